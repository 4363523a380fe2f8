"""``selectrl evaluate``: meta-test trained runs again, with another collector, budget or prior."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import attrs
from cyclopts import Parameter

from selectrl.cli.options import Data, Json, Sets, Threads
from selectrl.cli.screen import bars, emit, line, table
from selectrl.errors import InputError
from selectrl.evaluate.config import TestConfig
from selectrl.gin_edge import as_layer, build_part, user_layers
from selectrl.registry import COLLECTORS, tag


def find_runs(folders: tuple[Path, ...]) -> list[Path]:
    """Return all run directories at or below the folders.

    Raises:
        InputError: there is none.
    """
    found = [path.parent for folder in folders for path in sorted(folder.rglob("experiment.json"))]
    if not found:
        names = ", ".join(map(str, folders))
        raise InputError(f"no run at or below {names} (no experiment.json); give a folder like runs/point_robot")
    return found


def label_of(collector: Any, test: TestConfig, default: TestConfig) -> str:
    """Return a name for a meta-test: the collector and what differs from its defaults and the run's own test."""
    words = [str(tag(collector)).removeprefix("collectors.")]
    words += [f"{f.name}{getattr(collector, f.name)}" for f in _changed(collector, type(collector)())]
    words += [f"{f.name}{getattr(test, f.name)}" for f in _changed(test, default)]
    return "-".join(words)


def _changed(value: Any, default: Any) -> list[Any]:
    return [f for f in attrs.fields(type(value)) if getattr(value, f.name) != getattr(default, f.name)]


def evaluate(
    *runs: Annotated[Path, Parameter(help="Run directories, or folders above them.")],
    collector: Annotated[str | None, Parameter(help="A registered collector; default: the run's own.")] = None,
    budget: Annotated[int | None, Parameter(help="Environment steps of context per task and repeat.")] = None,
    repeats: Annotated[int | None, Parameter(help="Repeats per task.")] = None,
    set_: Sets = (),
    label: Annotated[str | None, Parameter(help="Name of the result; default: made of what differs.")] = None,
    threads: Threads = None,
    data: Data = Path("data"),
    json: Json = False,
) -> None:
    """Meta-test trained runs on unseen tasks; results lie below each run, in evaluations/.

    `--set collectors.proximal.sigma=0.5` changes the collector, `--set test.prior=centroid` the test.
    """
    if not runs:
        raise InputError("no run given; for example `selectrl evaluate runs/point_robot`")
    if collector is not None:
        COLLECTORS[collector]  # names the choices if there is none
    folders = find_runs(runs)
    results = []
    with bars() as shown:
        for done, folder in enumerate(folders):
            shown.update("evaluate", done, len(folders), str(folder), tell=True)
            results.append(_evaluate_one(folder, collector, budget, repeats, set_, label, threads, data))
        shown.update("evaluate", len(folders), len(folders))
    if json:
        emit({"evaluations": results})
        return
    for one in results:
        low, high = one["interval"]
        line(f"{one['run']}  {one['label']}: {one['return']:.2f} [{low:.2f}, {high:.2f}] after {one['budget']} steps")
        steps, curve = one["context_steps"], one["curve"]
        picks = sorted({0, 1, 2, 4, len(steps) // 2, len(steps) - 1} & set(range(len(steps))))
        table("", ["context steps", *(str(steps[i]) for i in picks)], [["return", *(f"{curve[i]:.2f}" for i in picks)]])


def _evaluate_one(
    folder: Path,
    collector: str | None,
    budget: int | None,
    repeats: int | None,
    settings: tuple[str, ...],
    label: str | None,
    threads: int | None,
    data: Path,
) -> dict[str, Any]:
    from selectrl.experiment.run import Execution, Run

    run = Run.open(folder, Execution(data=data, threads=threads or 1))
    own = run.experiment
    selector = f"collectors.{collector}" if collector else str(tag(own.collector))
    extra = [f"test.{name}={value}" for name, value in (("budget", budget), ("repeats", repeats)) if value is not None]
    mine = [one for one in settings if one.startswith(selector)]
    others = [one for one in settings if not one.startswith((selector, "test."))]
    if others:
        raise InputError(
            f"--set {others[0]!r}: a meta-test has {selector}.* and test.* alone; train again to change more"
        )
    base = [as_layer(own.collector)] if str(tag(own.collector)) == selector else []
    chosen: Any = build_part(selector, [*base, *user_layers(None, mine)])
    tests = [one for one in settings if one.startswith("test.")]
    test: Any = build_part("test", [as_layer(own.test), *user_layers(None, [*extra, *tests])])
    return run.evaluate(label or label_of(chosen, test, own.test), chosen, test)
