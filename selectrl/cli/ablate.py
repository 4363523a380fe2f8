"""``selectrl ablate``: variations of one method against each other, in every combination."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Annotated, Any, cast

from cyclopts import Parameter

from selectrl.cli.comparing import Options, conduct, refuse_unused, row, settings_of
from selectrl.cli.options import Profile, Sets, at_home
from selectrl.compare.plan import GridConfig, Row
from selectrl.errors import InputError, suggest
from selectrl.gin_edge import (
    build_experiment,
    build_part,
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


def ablate(
    grid: Annotated[
        Path | None, Parameter(help='A gin file that binds grid.vary = ("NAME=a,b", ...), beside --vary.')
    ] = None,
    /,
    *,
    method: Annotated[str, Parameter(help="A shipped method, see `selectrl list`.")],
    env: Annotated[tuple[str, ...], Parameter(negative="", help="A shipped environment; may be given again.")],
    vary: Annotated[
        tuple[str, ...],
        Parameter(
            negative="",
            show_default=False,
            help="What is varied, NAME=a,b: parts, ablations, gin files or values; give it again.",
        ),
    ] = (),
    profile: Profile = None,
    set_: Sets = (),
    options: Options = Options(),  # noqa: B008  frozen
) -> None:
    """Train a method with each combination of variations, and say which is better.

    NAME is encoder, critic, actor or collector, and takes registered parts; a
    binding such as actors.weighted_bc.alpha, and takes its values; or any word, and
    takes shipped ablations and gin files. Combinations that differ only in how they
    collect context share one trained policy. The first values are set against all
    others.
    """
    varied = [*cast(GridConfig, build_part("grid", user_layers(grid, ()))).vary, *vary]
    if not varied:
        raise InputError("nothing varies; give --vary actor=weighted_bc,brac or a grid file")
    axes = [[(name, value) for value in values] for name, values in map(_axis, varied)]
    names = [axis[0][0] for axis in axes]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise InputError(f"--vary {twice}=: {twice} is given twice; give it once, with commas between its values")
    rows: list[Row] = []
    for one in env:
        for combination in product(*axes):
            above = [_variation(name, value) for name, value in combination]
            layers = [*experiment_layers(method=method, env=one, profile=profile), *above, *settings_of(set_)]
            name = "-".join([method, *(_word(*pair) for pair in combination)])
            rows.append(row(build_experiment(layers, name)))
    refuse_unused(rows, set_)
    conduct(rows, options)


def _axis(text: str) -> tuple[str, Sequence[str]]:
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
        InputError: it is no part, ablation or readable file.
    """
    if "." in name:
        return user_layers(None, [f"{name}={value}"])[0]
    if value.endswith(".gin"):
        return user_layers(Path(at_home(value)), ())[0]
    parts = {entry.name for entry in PARTS[name]} if name in PARTS else set()
    if value in parts:
        return user_layers(None, [f"experiment.{name}=@{PARTS[name].kind}.{value}()"])[0]
    if value in shipped("ablations"):
        return shipped_layer("ablations", value)
    raise InputError(
        f"--vary {name}={value}: no such part or ablation; {suggest(value, {*parts, *shipped('ablations')})}"
    )


def _word(name: str, value: str) -> str:
    """Return a value as a word of a row's name."""
    short = f"{name.rpartition('.')[2]}{value}" if "." in name else Path(value).stem
    return "".join(letter if letter.isalnum() or letter in "_." else "_" for letter in short)
