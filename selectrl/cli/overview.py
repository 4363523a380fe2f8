"""``selectrl list``: list parts, methods, ablations and presets."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from selectrl import plugins
from selectrl.cli.options import Json
from selectrl.cli.screen import emit, line, say, table
from selectrl.errors import InputError, suggest
from selectrl.evaluate.config import PRIORS
from selectrl.experiment.config import Experiment
from selectrl.gin_edge import SHIPPED, build_experiment, experiment_layers, shipped
from selectrl.registry import REGISTRIES, registered_name


def load_methods() -> dict[str, Experiment]:
    """Return every shipped method, built on the first shipped environment; a wrong one of a plugin is left out."""
    env = next(iter(shipped("envs")))
    methods = {}
    for name, path in shipped("methods").items():
        try:
            methods[name] = build_experiment(experiment_layers(method=name, env=env), name)
        except Exception as error:  # a plugin's config class may raise anything
            if path.is_relative_to(SHIPPED):
                raise
            say(str(error) if isinstance(error, InputError) else f"{path}: {type(error).__name__}: {error}")
    return methods


def list_parts(
    *,
    json: Json = False,
    kind: Annotated[str | None, Parameter(help="Only parts of this kind, for example encoders.")] = None,
) -> None:
    """List every registered part with its paper, and every shipped method as a composition of parts.

    With ``--kind`` it lists only the parts of that kind.
    """
    kinds = [registry.kind for registry in REGISTRIES]
    if kind not in (None, *kinds):
        raise InputError(f"unknown kind of parts {kind!r}: {suggest(str(kind), kinds)}")
    parts = {
        registry.kind: [{"name": e.name, "paper": e.paper, "summary": e.summary} for e in registry]
        for registry in REGISTRIES
        if kind in (None, registry.kind)
    }
    if kind is not None:
        if json:
            emit({"parts": parts})
        else:
            print_parts(kind, parts[kind])
        return
    grid = {
        name: {slot: registered_name(getattr(method, slot)) for slot in ("encoder", "critic", "actor", "collector")}
        for name, method in load_methods().items()
    }
    files = {name: list(shipped(name)) for name in ("methods", "envs", "profiles", "ablations", "behaviour")}
    others = [plugin.distribution for plugin in plugins.load_plugins() if not plugin.problem]
    if json:
        emit({"parts": parts, "methods": grid, "files": files, "priors": PRIORS, "plugins": others})
        return
    for name, entries in parts.items():
        print_parts(name, entries)
        line()
    slots = ["encoder", "critic", "actor", "collector"]
    table("methods", ["name", *slots], [[name, *(row[slot] for slot in slots)] for name, row in grid.items()])
    line()
    table("ablations", ["name", "summary"], [[name, read_heading(path)] for name, path in shipped("ablations").items()])
    line()
    line(f"profiles: {', '.join(files['profiles'])}   behaviour presets: {', '.join(files['behaviour'])}")
    line(f"beliefs without context (test.prior): {', '.join(PRIORS)}   plugins: {', '.join(others) or 'none'}")


def print_parts(kind: str, entries: list[dict[str, str]]) -> None:
    """Print the parts of one kind."""
    table(kind, ["name", "summary", "paper"], [[e["name"], e["summary"], e["paper"]] for e in entries])


def read_heading(path: Path) -> str:
    """Return the first sentence of a gin file's header."""
    lines = path.read_text(encoding="utf-8").partition("\n\n")[0].splitlines()
    text = " ".join(line.removeprefix("#").strip() for line in lines)
    return re.split(r"(?<=[a-z])(?<!\bEq)[.:] ", text)[0].rstrip(".")
