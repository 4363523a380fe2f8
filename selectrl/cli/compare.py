"""``selectrl compare``: methods against each other on the same data, with the same budget, seed by seed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import attrs
from cyclopts import Parameter

from selectrl.cli.comparing import Options, conduct, refuse_unused, row, settings_of
from selectrl.cli.options import Profile, Sets
from selectrl.compare.plan import Row
from selectrl.errors import InputError
from selectrl.experiment.config import Experiment
from selectrl.files import read_json
from selectrl.gin_edge import build_experiment, build_part, default_name, experiment_layers, user_layers
from selectrl.gin_text import Layer
from selectrl.registry import COLLECTORS


def compare(
    file: Annotated[Path | None, Parameter(help="A gin file of yours, laid over every row.")] = None,
    /,
    *,
    env: Annotated[tuple[str, ...], Parameter(negative="", help="A shipped environment; may be given again.")],
    methods: Annotated[str, Parameter(help="Shipped methods, with commas: select,csro. The first is set against all.")],
    ablation: Annotated[
        tuple[str, ...],
        Parameter(
            negative="", show_default=False, help="Also the first method under this ablation; may be given again."
        ),
    ] = (),
    collector: Annotated[
        tuple[str, ...],
        Parameter(negative="", show_default=False, help="Also every policy under this collector; may be given again."),
    ] = (),
    tuned: Annotated[
        Path | None, Parameter(help="Folder that `selectrl tune` wrote to; its findings are laid over each method.")
    ] = None,
    profile: Profile = None,
    set_: Sets = (),
    options: Options = Options(),  # noqa: B008  frozen
) -> None:
    """Train methods on the same data, test them with the same budget, and say which is better.

    Prints plan, estimate and what the methods do not share, and then runs what is
    missing: give the same command again after an interruption. Ends with a report
    in OUT/report and one sentence a pair.
    """
    names = [name.strip() for name in methods.split(",") if name.strip()]
    rows: list[Row] = []
    for one in env:
        for method in names:
            found, budget = _found(tuned, one, method)
            for changed in (None, *(ablation if method == names[0] else ())):
                layers = experiment_layers(method=method, env=one, profile=profile, ablation=changed, file=file)
                experiment = build_experiment(
                    [*layers, *found, *settings_of(set_)], default_name(method, changed, None)
                )
                rows += [row(tested, budget) for tested in (experiment, *_under(experiment, collector, set_))]
    if len(rows) < 2 * len(env):
        raise InputError(f"{methods} is nothing to compare with; give two methods or more, for example select,csro")
    refuse_unused(rows, set_)
    conduct(rows, options)


def _found(tuned: Path | None, env: str, method: str) -> tuple[list[Layer], str]:
    """Return what tuning found for a method, as a layer, and what it spent."""
    if tuned is None:
        return [], "no tuning"
    if not (tuned / env).is_dir():
        raise InputError(
            f"{tuned} has nothing for {env}: {tuned / env} is no folder; name the one that `selectrl tune --out` wrote"
        )
    if not (tuned / env / f"{method}.gin").exists():
        return [], "no tuning"
    spent = read_json(tuned / env / method / "tuned.json")
    return user_layers(tuned / env / f"{method}.gin", ()), f"{spent['trials']} trials of {spent['steps']} steps"


def _under(experiment: Experiment, collectors: tuple[str, ...], settings: tuple[str, ...]) -> list[Experiment]:
    """Return the experiment under other collectors than its own, which change nothing of what is trained."""
    found = []
    for name in collectors:
        COLLECTORS[name]  # names the choices if there is none
        mine = [one for one in settings if one.startswith(f"collectors.{name}.")]
        built: object = build_part(f"collectors.{name}", user_layers(None, mine))
        if built != experiment.collector:
            found.append(attrs.evolve(experiment, name=f"{experiment.name}-{name}", collector=built))  # type: ignore[arg-type]
    return found
