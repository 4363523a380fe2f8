"""Options that ``selectrl compare`` and ``selectrl ablate`` share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import attrs
from cyclopts import Parameter

from selectrl.cli.options import JOBS, SEEDS, Data, Device, DryRun, EngineMode, Json, Population, TrainThreads
from selectrl.launch.choice import LAUNCHERS

if TYPE_CHECKING:
    from selectrl.compare.comparison import How


@Parameter(name="*")
@attrs.frozen(kw_only=True)
class Options:
    """How a comparison is carried out; see :class:`~selectrl.compare.comparison.Settings`.

    Attributes:
        seeds: seeds of each method.
        jobs: runs side by side on this machine.
        threads: threads of each run.
        launcher: where runs are carried out.
        launcher_set: settings of the launcher, ``name=value``.
        preset: behaviour preset to collect a missing dataset with.
        allow_differences: continue where the rows have other data or budgets.
        retry_failed: run again what failed at an earlier call.
        data: folder of the datasets.
        out: folder of the runs.
        dry_run: stop after the plan.
        json: print one JSON object.
        device: where they train.
        engine: how steps run.
        population: seeds side by side on CUDA, at most.
    """

    seeds: Annotated[int, SEEDS, Parameter(help="How many seeds of each method: 0, 1, and so on.")] = 1
    jobs: Annotated[int | None, JOBS, Parameter(help="Runs side by side; default: as many as cores.")] = None
    threads: TrainThreads = None
    launcher: Annotated[str, Parameter(help=f"Where runs are carried out: {', '.join(LAUNCHERS)}.")] = "local"
    launcher_set: Annotated[
        tuple[str, ...],
        Parameter(negative="", show_default=False, help="Set one thing of the launcher, for example time=240 minutes."),
    ] = ()
    preset: Annotated[str | None, Parameter(help="Collect a missing dataset with this behaviour preset.")] = None
    allow_differences: Annotated[
        bool, Parameter(negative="", show_default=False, help="Compare rows with other data or another budget, too.")
    ] = False
    retry_failed: Annotated[
        bool, Parameter(negative="", show_default=False, help="Run again what failed at an earlier call.")
    ] = False
    data: Data = Path("data")
    out: Annotated[Path, Parameter(help="Folder of the runs; the report lies in its folder report.")] = Path("runs")
    dry_run: DryRun = False
    json: Json = False
    device: Device = "cpu"
    engine: EngineMode = "eager"
    population: Population = 64

    @property
    def how(self) -> How:
        """The same as keyword arguments of :func:`selectrl.compare`."""
        own = {field.name: getattr(self, field.name) for field in attrs.fields(Options)}
        own |= {"launcher_settings": own.pop("launcher_set"), "calibrate": not own.pop("json")}
        del own["preset"]  # an argument of its own
        return cast("How", own)
