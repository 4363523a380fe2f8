"""Options that ``selectrl compare`` and ``selectrl ablate`` share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import attrs
from cyclopts import Parameter

from selectrl.cli.options import JOBS, SEEDS, Data, Device, DryRun, EngineMode, Json, Population, TrainThreads
from selectrl.launch.choice import LAUNCHERS

if TYPE_CHECKING:
    from selectrl.compare.comparison import SettingsDict


@Parameter(name="*")
@attrs.frozen(kw_only=True)
class Options:
    """The execution of a comparison; see :class:`~selectrl.compare.comparison.Settings`.

    Attributes:
        seeds: seeds of each method.
        jobs: runs in parallel on this machine.
        threads: threads of each run.
        launcher: inline, local or slurm.
        launcher_set: settings of the launcher, ``name=value``.
        preset: behaviour preset to collect a missing dataset with.
        allow_differences: continue where the rows have other data or budgets.
        retry_failed: run again the runs that failed at an earlier call.
        data: folder of the datasets.
        out: folder of the runs.
        dry_run: stop after the plan.
        json: print one JSON object.
        device: the device that they train on.
        engine: how steps run.
        population: seeds in parallel on CUDA, at most.
    """

    seeds: Annotated[int, SEEDS, Parameter(help="Number of seeds of each method: 0, 1, and so on.")] = 1
    jobs: Annotated[int | None, JOBS, Parameter(help="Runs in parallel; default: one per core.")] = None
    threads: TrainThreads = None
    launcher: Annotated[str, Parameter(help=f"Launcher of the runs: {', '.join(LAUNCHERS)}.")] = "local"
    launcher_set: Annotated[
        tuple[str, ...],
        Parameter(
            negative="",
            show_default=False,
            help="A setting of the launcher, such as time=240 (minutes); may be repeated.",
        ),
    ] = ()
    preset: Annotated[str | None, Parameter(help="Collect a missing dataset with this behaviour preset.")] = None
    allow_differences: Annotated[
        bool, Parameter(negative="", show_default=False, help="Compare rows even if data or budgets differ.")
    ] = False
    retry_failed: Annotated[
        bool, Parameter(negative="", show_default=False, help="Run again the runs that failed at an earlier call.")
    ] = False
    data: Data = Path("data")
    out: Annotated[Path, Parameter(help="Folder of the runs; the report is in OUT/report.")] = Path("runs")
    dry_run: DryRun = False
    json: Json = False
    device: Device = "cpu"
    engine: EngineMode = "eager"
    population: Population = 64

    @property
    def how(self) -> SettingsDict:
        """The options as keyword arguments of :func:`selectrl.compare`."""
        values = {field.name: getattr(self, field.name) for field in attrs.fields(Options)}
        values |= {"launcher_settings": values.pop("launcher_set"), "calibrate": not values.pop("json")}
        del values["preset"]  # a separate argument
        return cast("SettingsDict", values)
