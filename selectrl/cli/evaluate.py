"""``selectrl evaluate``: meta-test trained runs again, with another collector, budget or prior."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from cyclopts import Parameter

from selectrl.cli.options import REPEATS, STEPS, Data, Json, Sets, Threads, plain_name
from selectrl.cli.screen import bars, emit, line, table
from selectrl.errors import InputError
from selectrl.evaluate.config import PAPER_REPEATS
from selectrl.experiment.config import walk_parts
from selectrl.experiment.folders import run_folders
from selectrl.experiment.labels import label_of
from selectrl.gin_edge import as_layer, build_experiment, build_part, shipped_layer, user_layers
from selectrl.launch.local import require_cores
from selectrl.registry import COLLECTORS, tag

if TYPE_CHECKING:
    from selectrl.experiment.run import Run


Force: TypeAlias = Annotated[
    bool,
    Parameter(
        negative="",
        show_default=False,
        help="Use the weights even where the source code of a part has changed since the training.",
    ),
]


def find_runs(folders: tuple[Path, ...]) -> list[Path]:
    """Return all run directories at or below the folders.

    Raises:
        InputError: there is none.
    """
    found = list(dict.fromkeys(run for folder in folders for run in run_folders(folder)))
    if not found:
        names = ", ".join(map(str, folders))
        raise InputError(f"no run at or below {names} (no experiment.json); give a folder like runs/point_robot")
    return found


def evaluate(
    *runs: Annotated[Path, Parameter(help="Run directories, or folders above them.")],
    collector: Annotated[str | None, Parameter(help="A registered collector; default: the run's own.")] = None,
    ablation: Annotated[
        str | None, Parameter(help="A shipped ablation of the collection, see `selectrl list`.")
    ] = None,
    protocol: Annotated[
        str | None, Parameter(help="Either equal_budget, or paper: the collector's published schedule, 2 repeats.")
    ] = None,
    budget: Annotated[
        int | None, STEPS, Parameter(help="Environment steps of context per task and repeat; default: the run's own.")
    ] = None,
    repeats: Annotated[int | None, REPEATS, Parameter(help="Repeats per task; default: the run's own.")] = None,
    diagnose: Annotated[
        bool, Parameter(negative="", show_default=False, help="Also write what the encoder makes of stored context.")
    ] = False,
    set_: Sets = (),
    label: Annotated[
        str | None, Parameter(validator=plain_name, help="Name of the result; default: made of what differs.")
    ] = None,
    force: Force = False,
    threads: Threads = None,
    data: Data = Path("data"),
    json: Json = False,
) -> None:
    """Meta-test trained runs on unseen tasks; results lie below each run, in evaluations/.

    `--set collectors.proximal.sigma=0.5` changes the collector, `--set
    test.prior=centroid` the test.
    """
    require_cores(threads)
    if not runs:
        raise InputError("no run given; for example `selectrl evaluate runs/point_robot`")
    if collector is not None:
        COLLECTORS[collector]  # names the choices if there is none
        if ablation is not None:
            raise InputError("--collector and --ablation both name a collector; give one of them")
    bound = {setting.partition("=")[0].strip() for setting in set_}
    if protocol == "paper" and repeats is None and "test.repeats" not in bound:
        repeats = PAPER_REPEATS
    words = (("protocol", protocol and f"'{protocol}'"), ("budget", budget), ("repeats", repeats))
    settings = [*(f"test.{name}={value}" for name, value in words if value is not None), *set_]
    found = find_runs(runs)
    plans = [plan(folder, collector, ablation, settings, label, threads, data, force) for folder in found]
    results: list[dict[str, Any]] = []
    with bars() as shown:
        for run, *what in plans:
            shown.update("evaluate", len(results), len(plans), str(run.folder))
            results.append({"run": str(run.folder), **run.evaluate(*what, force=force)})
            if diagnose:
                run.diagnose(force=force)
            shown.update("evaluate", len(results), len(plans), str(run.folder), tell=True)
    if json:
        emit({"evaluations": results})
        return
    for one in results:
        low, high = one["interval"]
        line(f"{one['run']}  {one['label']}: {one['return']:.2f} [{low:.2f}, {high:.2f}] after {one['budget']} steps")
        steps, curve = one["context_steps"], one["curve"]
        picks = sorted({0, 1, 2, 4, len(steps) // 2, len(steps) - 1} & set(range(len(steps))))
        for quirk in one.get("quirks", ()):
            line(f"  {quirk}")
        table("", ["context steps", *(str(steps[i]) for i in picks)], [["return", *(f"{curve[i]:.2f}" for i in picks)]])


def plan(
    folder: Path,
    collector: str | None,
    ablation: str | None,
    settings: Sequence[str],
    label: str | None,
    threads: int | None,
    data: Path,
    force: bool,
) -> tuple[Run, str, Any, Any]:
    """Return a run, and the label, collector and test of the meta-test that the command asks for.

    Raises:
        InputError: the folder's record is damaged, the source code of a part has changed, a setting is wrong or about
            something else, the ablation changes what is trained, or the label is that of another meta-test.
    """
    from selectrl.experiment.execution import Execution
    from selectrl.experiment.run import Run

    run = Run.open(folder, Execution(data=data, threads=threads or 1))
    if not force:
        run.refuse_changed_part()
    own = base = run.experiment
    if ablation is not None:
        base = build_experiment([as_layer(own), shipped_layer("ablations", ablation)], own.name)
        if base.key != own.key:
            raise InputError(f"--ablation {ablation} changes what is trained; `selectrl train --ablation {ablation}`")
    selector = f"collectors.{collector}" if collector else str(tag(base.collector))
    below = [as_layer(base.collector)] if str(tag(base.collector)) == selector else []
    direct = [one for one in settings if one.startswith(f"{selector}.")]
    built = build_part(selector, [*below, *user_layers(None, direct)])
    prefixes = tuple(f"{tag(part)}." for part in walk_parts(built))  # a collector may wrap another
    mine = [one for one in settings if one.startswith(prefixes)]
    tests = [one for one in settings if one.startswith("test.")]
    others = [one for one in settings if one not in (*mine, *tests)]
    if others:
        raise InputError(
            f"--set {others[0]!r}: a meta-test has {selector}.* and test.* alone; train again to change more"
        )
    chosen: Any = build_part(selector, [*below, *user_layers(None, mine)])
    test: Any = build_part("test", [as_layer(base.test), *user_layers(None, tests)])
    name = label or label_of(chosen, test, own)
    run.refuse_label(name, chosen, test)
    return run, name, chosen, test
