"""The rows of a comparison: from names, files and experiments to lines of its table."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any, cast

import attrs

from selectrl.compare.plan import ComparisonRow, GridConfig
from selectrl.errors import InputError, suggest
from selectrl.experiment.config import Experiment
from selectrl.files import expand_home, read_json
from selectrl.gin_edge import (
    as_layer,
    build_experiment,
    build_part,
    default_name,
    experiment_layers,
    shipped,
    shipped_layer,
    user_layers,
)
from selectrl.gin_text import Layer
from selectrl.registry import ACTORS, COLLECTORS, CRITICS, ENCODERS, Registry

PARTS: dict[str, Registry[..., Any]] = {
    "encoder": ENCODERS,
    "critic": CRITICS,
    "actor": ACTORS,
    "collector": COLLECTORS,
}


def method_rows(
    methods: Sequence[str | Path | Experiment],
    envs: Sequence[str],
    *,
    ablations: Sequence[str],
    collectors: Sequence[str],
    tuned: Path | None,
    profile: str | None,
    file: Path | None,
    settings: Sequence[str],
) -> list[ComparisonRow]:
    """Return the rows of ``selectrl.compare``, see there.

    Raises:
        InputError: a name, a binding or a value is wrong, or there is nothing to compare.
    """
    specified = [method for method in methods if not isinstance(method, Experiment)]
    if specified and not envs:
        raise InputError(f"{specified[0]} needs an environment; give env, for example env='point_robot'")
    if ablations and (not specified or specified[0] is not methods[0]):
        raise InputError("an ablation applies to the first method; give its name instead of an Experiment")
    above = setting_layers(settings)
    rows: list[ComparisonRow] = []
    for env in dict.fromkeys([*envs, *(method.env_name for method in methods if isinstance(method, Experiment))]):
        for method in methods:
            if isinstance(method, Experiment):
                rows += _policy_rows(method, "no tuning", collectors, settings) if method.env_name == env else []
                continue
            if env not in envs:
                continue
            tuning, spent = _read_tuning(tuned, env, method)
            for ablation in (None, *(ablations if method is methods[0] else ())):
                experiment = _compose_row(method, env, profile, ablation, file, [*tuning, *above])
                rows += _policy_rows(experiment, spent, collectors, settings)
    if len(rows) < 2 * len({row.experiment.env_name for row in rows}):
        names = ", ".join(row.experiment.name for row in rows)
        raise InputError(f"{names} has nothing to compare with; give two methods or more, for example select,csro")
    refuse_unused(rows, settings)
    return rows


def grid_rows(
    method: str,
    envs: Sequence[str],
    vary: Sequence[str],
    *,
    grid: Path | None,
    profile: str | None,
    settings: Sequence[str],
) -> list[ComparisonRow]:
    """Return the rows of ``selectrl.ablate``, see there.

    Raises:
        InputError: a name, a binding or a value is wrong, or nothing varies.
    """
    varied = [*cast(GridConfig, build_part("grid", user_layers(grid, ()))).vary, *vary]
    if not varied:
        raise InputError("nothing varies; give --vary actor=weighted_bc,brac or a grid file")
    axes = [[(name, value) for value in values] for name, values in map(_read_axis, varied)]
    names = [axis[0][0] for axis in axes]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise InputError(f"--vary {twice}=: {twice} is given twice; give it only once, with commas between its values")
    rows: list[ComparisonRow] = []
    for env in envs:
        for combination in product(*axes):
            above = [_variation(name, value) for name, value in combination]
            layers = [*experiment_layers(method=method, env=env, profile=profile), *above, *setting_layers(settings)]
            name = "-".join([method, *(_name_word(*pair) for pair in combination)])
            rows.append(make_row(build_experiment(layers, name)))
    refuse_unused(rows, settings)
    return rows


def make_row(experiment: Experiment, tuning: str = "no tuning") -> ComparisonRow:
    """Return an experiment as a row, with the budget that was spent on tuning it."""
    return ComparisonRow(experiment=experiment, gin=as_layer(experiment).text, tuning=tuning)


def setting_layers(settings: Sequence[str]) -> list[Layer]:
    """Return ``--set`` bindings as layers that a row without such a part or macro ignores."""
    shared = {name for path in shipped("envs").values() for name in re.findall(r"^(\w+) =", path.read_text(), re.M)}
    paths = [text.partition("=")[0].strip() for text in settings]
    layers = user_layers(None, settings)
    return [attrs.evolve(layer, own="." in path or path in shared) for layer, path in zip(layers, paths, strict=True)]


def refuse_unused(rows: Sequence[ComparisonRow], settings: Sequence[str]) -> None:
    """Refuse a binding that no row uses.

    Raises:
        InputError: a binding is unused; the sentence names it.
    """
    bound = {line.partition(" = ")[0] for row in rows for line in row.gin.splitlines() if line}
    for setting in settings:
        path = setting.partition("=")[0].strip()
        if "." in path and path not in bound:
            near = suggest(path, {other for other in bound if other.startswith(path.partition(".")[0])})
            raise InputError(f"--set {setting}: {path} is bound but no row uses it; {near}")


def _compose_row(
    method: str | Path, env: str, profile: str | None, ablation: str | None, file: Path | None, above: list[Layer]
) -> Experiment:
    """Compose one row from the name of a method, or from a gin file of a method."""
    if isinstance(method, Path) or method.endswith(".gin"):
        own = user_layers(Path(expand_home(str(method))), ())
        name, layers = Path(method).stem, experiment_layers(env=env, profile=profile, ablation=ablation, file=file)
        return build_experiment([*layers, *own, *above], "-".join(filter(None, (name, ablation))))
    layers = experiment_layers(method=method, env=env, profile=profile, ablation=ablation, file=file)
    return build_experiment([*layers, *above], default_name(method, ablation, None))


def _policy_rows(
    experiment: Experiment, tuning: str, collectors: Sequence[str], settings: Sequence[str]
) -> list[ComparisonRow]:
    """Return the rows of one trained policy: with its own collector and with others, without more training."""
    rows = [make_row(experiment, tuning)]
    for name in collectors:
        COLLECTORS[name]  # raises an error with the choices if there is none
        own_settings = [setting for setting in settings if setting.startswith(f"collectors.{name}.")]
        collector: Any = build_part(f"collectors.{name}", user_layers(None, own_settings))
        if collector != experiment.collector:
            other = attrs.evolve(experiment, name=f"{experiment.name}-{name}", collector=collector)
            rows.append(make_row(other, tuning))
    return rows


def _read_tuning(tuned: Path | None, env: str, method: str | Path) -> tuple[list[Layer], str]:
    """Return the best bindings of a search as a layer, and the budget that it spent."""
    if tuned is None:
        return [], "no tuning"
    if not (tuned / env).is_dir():
        raise InputError(
            f"{tuned} has nothing for {env}: {tuned / env} is not a folder; name the folder of `selectrl tune --out`"
        )
    if not (tuned / env / f"{method}.gin").exists():
        return [], "no tuning"
    spent = read_json(tuned / env / str(method) / "tuned.json")
    return user_layers(tuned / env / f"{method}.gin", ()), f"{spent['trials']} trials of {spent['steps']} steps"


def _read_axis(text: str) -> tuple[str, Sequence[str]]:
    """Read ``name=a,b``; commas inside brackets belong to a value."""
    name, equals, rest = text.partition("=")
    values, depth = [""], 0
    for letter in rest:
        depth += (letter in "([") - (letter in ")]")
        if letter == "," and depth == 0:
            values.append("")
        else:
            values[-1] += letter
    values = [value.strip() for value in values]
    if not equals or not name.strip() or "" in values:
        raise InputError(f"--vary {text!r}: expected NAME=a,b, for example --vary actor=weighted_bc,brac")
    return name.strip(), values


def _variation(name: str, value: str) -> Layer:
    """Return one value of one axis as a layer.

    Raises:
        InputError: the value is not a part, ablation or readable file.
    """
    if "." in name:
        return user_layers(None, [f"{name}={value}"])[0]
    if value.endswith(".gin"):
        return user_layers(Path(expand_home(value)), ())[0]
    parts = {entry.name for entry in PARTS[name]} if name in PARTS else set()
    if value in parts:
        return user_layers(None, [f"experiment.{name}=@{PARTS[name].kind}.{value}()"])[0]
    if value in shipped("ablations"):
        return shipped_layer("ablations", value)
    raise InputError(
        f"--vary {name}={value}: no such part or ablation; {suggest(value, {*parts, *shipped('ablations')})}"
    )


def _name_word(name: str, value: str) -> str:
    """Return a value as a word of a row's name."""
    short = f"{name.rpartition('.')[2]}{value}" if "." in name else Path(value).stem
    return "".join(letter if letter.isalnum() or letter in "_." else "_" for letter in short)
