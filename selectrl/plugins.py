"""Other people's packages: found through their entry points, imported once, and never fatal.

A package names the module that registers its parts under the group ``selectrl.components``::

    [project.entry-points."selectrl.components"]
    my_encoder = "my_encoder"

In the module's package it may ship gin files, laid out as ours: ``gin/methods/my_encoder.gin``. Where names meet, ours
win.
"""

from __future__ import annotations

import importlib
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import attrs

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
