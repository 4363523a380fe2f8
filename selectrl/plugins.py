"""Packages of other authors: listed by their entry points, imported once, and never fatal.

A package names the module that registers its parts under the group ``selectrl.components``::

    [project.entry-points."selectrl.components"]
    my_encoder = "my_encoder"

The module's package may contain gin files in the same layout: ``gin/methods/my_encoder.gin``. If two files have the
same name, this library's file is used.

A plugin is code that runs in this process. Any exception at its import, and an entry point that cannot be read, become
one sentence; signal handlers and warning filters that it sets are undone. In a command its output goes to stderr, and
errors in its threads are sentences too, see :mod:`selectrl.launch.background`. There is no protection against a plugin
that ends the process (``os._exit``), never returns or crashes the interpreter.
"""

from __future__ import annotations

import importlib
import os
import sys
import warnings
from collections.abc import Iterator
from functools import cache
from hashlib import blake2b, file_digest
from importlib.metadata import Distribution, EntryPoint, distribution, distributions
from pathlib import Path

import attrs

from selectrl.errors import InputError, Interrupted
from selectrl.stopping import raise_on_signal

GROUP = "selectrl.components"


@attrs.frozen(kw_only=True)
class Plugin:
    """A package that registers parts.

    Attributes:
        name: its entry point.
        distribution: the installed package, with its version.
        module: the module that its entry point names.
        gin: its folder of gin files, or None.
        problem: a sentence on the reason for which it could not be loaded; empty if it was.
    """

    name: str
    distribution: str
    module: str = ""
    gin: Path | None = None
    problem: str = ""


@cache
def load_plugins() -> tuple[Plugin, ...]:
    """Import every plugin, at the first call, and return all of them; a failure is in its ``problem``."""
    plugins = [plugin for package in distributions() for plugin in _load_package(package)]
    return tuple(sorted(plugins, key=lambda plugin: plugin.name))


def plugin_versions() -> dict[str, str]:
    """Return the version of every installed plugin's distribution, by its name."""
    names = (plugin.distribution.partition(" ") for plugin in load_plugins())
    return {name: version for name, _, version in names if version}


SCHEME = "2"
"""What a fingerprint covers, see :func:`fingerprint`; raised where that changes."""


def fingerprint(part: type) -> str | None:
    """Return a checksum of the files behind an outside class: its package's, and those of its base classes.

    A package counts whole, source and data files alike, so that the checksum covers what its classes build and read; a
    module outside any package counts alone. Not covered are compiled bytecode, hidden files and folders, gin files
    (what they bind is in a run's record), and other packages that the code imports. The files are read once a process,
    because the code that runs is that of its start.

    Returns:
        The checksum after the scheme, as ``2:0f1e…``, or None for a class of ours and for one that no file holds.

    Raises:
        InputError: a file cannot be read.
    """
    modules = dict.fromkeys(base.__module__ for base in part.__mro__)
    own = {"selectrl", *sys.stdlib_module_names} - {"__main__"}
    computed = [_digest(name) for name in modules if name.partition(".")[0] not in own]
    digests = [digest for digest in computed if digest is not None]
    total = blake2b("".join(digests).encode(), digest_size=16).hexdigest()
    return f"{SCHEME}:{total}" if digests else None


def is_changed(recorded: object, today: str) -> bool:
    """Say whether a recorded fingerprint is of other files than today's; one of another scheme does not tell."""
    if not isinstance(recorded, str) or recorded.rpartition(":")[0] != today.rpartition(":")[0]:
        return False
    return recorded != today


@cache
def _digest(name: str) -> str | None:
    """Return a checksum of the files of a module's outermost package, or of the module where it is in none."""
    while (above := name.rpartition(".")[0]) and _file(above):
        name = above
    file = _file(name)
    if file is None:
        return None
    folder, package = file.parent, hasattr(sys.modules[name], "__path__")
    total = blake2b(digest_size=16)
    try:
        for path in sorted(filter(_is_covered, _files_below(folder))) if package else [file]:
            with path.open("rb") as handle:
                content = file_digest(handle, "blake2b").hexdigest()
            total.update(f"{path.relative_to(folder).as_posix()} {content}\n".encode("utf-8", "surrogateescape"))
    except OSError as error:
        raise InputError(f"cannot read the source code of {name}: {error}; make it readable") from error
    return total.hexdigest()


def _files_below(folder: Path) -> Iterator[Path]:
    """Go through the files of a package, without hidden folders and compiled bytecode."""
    for place, below, names in os.walk(folder):
        below[:] = [name for name in below if name != "__pycache__" and not name.startswith(".")]
        yield from (Path(place, name) for name in names)


def _is_covered(path: Path) -> bool:
    return not path.name.startswith(".") and path.suffix not in (".pyc", ".gin") and path.is_file()


def _file(name: str) -> Path | None:
    """Return the file of an imported module; None for a namespace and for a module without a file."""
    place = getattr(sys.modules.get(name), "__file__", None)
    return Path(place) if place and Path(place).is_file() else None


def explain_problems() -> str:
    """Return the end of a sentence on an unknown name: the plugins that could not be loaded, or an empty string."""
    return "".join(f"; {plugin.problem}" for plugin in load_plugins() if plugin.problem)


def describe_plugin(module: str) -> str | None:
    """Return the words for the plugin of a module in a sentence, or None if it belongs to no plugin."""
    package = module.partition(".")[0]
    plugin = next((plugin for plugin in load_plugins() if plugin.module.partition(".")[0] == package), None)
    return f"the plugin {plugin.name!r} of {plugin.distribution}" if plugin else None


def _load_package(package: Distribution) -> Iterator[Plugin]:
    """Import the plugins of an installed package; most packages have none."""
    title = f"a package in {package.locate_file('')}"
    try:
        if GROUP not in (package.read_text("entry_points.txt") or ""):
            return
        if not package.name:
            raise InputError("its METADATA names no package")
        title = f"{package.name} {package.version}"
        if distribution(package.name).locate_file("") != package.locate_file(""):
            return  # Python imports another version from an earlier folder of the path
        points = sorted(package.entry_points.select(group=GROUP), key=lambda point: point.name)
    except Exception as error:
        problem = f"the entry points of {title} cannot be read ({_reason(error)}); repair or uninstall it"
        yield Plugin(name=title, distribution=title, problem=problem)
        return
    for point in points:
        yield _load(point, title)


def _load(point: EntryPoint, title: str) -> Plugin:
    """Import the module of an entry point."""
    module_name = point.value.partition(":")[0].partition("[")[0].strip()
    try:
        if not all(word.isidentifier() for word in module_name.split(".")):
            raise InputError(f"its entry point {point.value!r} does not name a module")
        with warnings.catch_warnings(), raise_on_signal():
            module = importlib.import_module(module_name)
        # A single module shares its folder with other packages, so gin files there may not be its own.
        in_package = "." in module_name or hasattr(module, "__path__")
        file = getattr(module, "__file__", None)
        gin = Path(file).parent / "gin" if file and in_package else None
        for path in gin.glob("*/*.gin") if gin else ():
            _check_text(path)
        gin = gin if gin and gin.is_dir() else None
        return Plugin(name=point.name, distribution=title, module=module_name, gin=gin)
    except Interrupted:
        raise
    except BaseException as error:  # SystemExit, KeyboardInterrupt and others that a module may raise
        problem = f"the plugin {point.name!r} of {title} cannot be loaded ({_reason(error)}); "
        problem += f"repair it or uninstall {title.partition(' ')[0]}"
        return Plugin(name=point.name, distribution=title, module=module_name, problem=problem)


def _check_text(path: Path) -> None:
    """Refuse a gin file that cannot be read, before any command uses it."""
    try:
        path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: {error}") from error


def _reason(error: BaseException) -> str:
    """Return kind and first line of an error, even of one whose message cannot be printed."""
    try:
        text = str(error)
    except Exception:
        text = ""
    if isinstance(error, InputError):
        return text
    return f"{type(error).__name__}: {next(iter(text.strip().splitlines()), 'without a message')}"
