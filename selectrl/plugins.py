"""Other people's packages: found through their entry points, imported once, and never fatal.

A package names the module that registers its parts under the group ``selectrl.components``::

    [project.entry-points."selectrl.components"]
    my_encoder = "my_encoder"

In the module's package it may ship gin files, laid out as ours: ``gin/methods/my_encoder.gin``. Where names meet, ours
win.
"""

from __future__ import annotations

import importlib
import sys
from functools import cache
from hashlib import blake2b
from importlib.machinery import EXTENSION_SUFFIXES, SOURCE_SUFFIXES
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import attrs

from selectrl.errors import InputError

GROUP = "selectrl.components"


@attrs.frozen(kw_only=True)
class Plugin:
    """A package that registers parts.

    Attributes:
        name: its entry point.
        distribution: the installed package, with its version.
        gin: its folder of gin files, or None.
        problem: why it could not be loaded, in one sentence; empty if it was.
    """

    name: str
    distribution: str
    gin: Path | None = None
    problem: str = ""


@cache
def load() -> tuple[Plugin, ...]:
    """Import every plugin, at the first call, and return what was found; one that fails says so in ``problem``."""
    return tuple(_load(point) for point in sorted(entry_points(group=GROUP), key=lambda point: point.name))


def _load(point: EntryPoint) -> Plugin:
    distribution = f"{point.dist.name} {point.dist.version}" if point.dist else point.value
    try:
        module = importlib.import_module(point.module)
    except (Exception, SystemExit) as error:
        reason = next(iter(str(error).strip().splitlines()), "without a message")
        problem = (
            f"the plugin {point.name!r} of {distribution} cannot be loaded ({type(error).__name__}: {reason}); "
            f"repair it or uninstall {distribution.partition(' ')[0]}"
        )
        return Plugin(name=point.name, distribution=distribution, problem=problem)
    package = "." in point.module or hasattr(module, "__path__")  # a lone module shares its folder with strangers
    gin = Path(module.__file__).parent / "gin" if module.__file__ and package else None
    return Plugin(name=point.name, distribution=distribution, gin=gin if gin and gin.is_dir() else None)


def versions() -> dict[str, str]:
    """Return the version of every installed plugin's distribution, by its name."""
    names = (plugin.distribution.partition(" ") for plugin in load())
    return {name: version for name, _, version in names if version}


def fingerprint(part: type) -> str | None:
    """Return a checksum of the source files behind an outside class: its package's, and those of its base classes.

    A package counts whole, so that the checksum covers what its classes build; a module outside any package counts
    alone. The files are read once a process, because the code that runs is that of its start.

    Returns:
        The checksum, or None for a class of ours and for one that no file holds.

    Raises:
        InputError: a file cannot be read.
    """
    modules = dict.fromkeys(base.__module__ for base in part.__mro__)
    own = {"selectrl", *sys.stdlib_module_names} - {"__main__"}
    found = [_digest(name) for name in modules if name.partition(".")[0] not in own]
    digests = [digest for digest in found if digest is not None]
    return blake2b("".join(digests).encode(), digest_size=16).hexdigest() if digests else None


@cache
def _digest(name: str) -> str | None:
    """Return a checksum of the files of a module's outermost package, or of the module where it is in none."""
    while (above := name.rpartition(".")[0]) and _file(above):
        name = above
    file = _file(name)
    if file is None:
        return None
    folder, package = file.parent, hasattr(sys.modules[name], "__path__")
    kinds = (*SOURCE_SUFFIXES, *EXTENSION_SUFFIXES)
    paths = sorted(path for path in folder.rglob("*") if path.name.endswith(kinds)) if package else [file]
    total = blake2b(digest_size=16)
    try:
        for path in paths:
            content = path.read_bytes()
            total.update(f"{path.relative_to(folder).as_posix()} {len(content)}\n".encode("utf-8", "surrogateescape"))
            total.update(content)
    except OSError as error:
        raise InputError(f"cannot read the source code of {name}: {error}; make it readable") from error
    return total.hexdigest()


def _file(name: str) -> Path | None:
    """Return the file of an imported module; None for a namespace and for one that was typed in."""
    place = getattr(sys.modules.get(name), "__file__", None)
    return Path(place) if place and Path(place).is_file() else None


def excuse() -> str:
    """Return what a sentence on an unknown name adds when plugins could not be loaded, or nothing."""
    return "".join(f"; {plugin.problem}" for plugin in load() if plugin.problem)


@cache
def plugin_of(module: str) -> str | None:
    """Return how a sentence names the plugin that a module is part of, or None if it is part of none."""
    package = module.partition(".")[0]
    names = {point.name for point in entry_points(group=GROUP) if point.module.partition(".")[0] == package}
    plugin = next((plugin for plugin in load() if plugin.name in names), None)
    return f"the plugin {plugin.name!r} of {plugin.distribution}" if plugin else None
