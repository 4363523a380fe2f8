"""The settings, the result and the progress messages of a comparison. Free of torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypedDict

import attrs

from selectrl.compare.fairness import Fairness
from selectrl.compare.plan import ComparisonPlan
from selectrl.compare.state import CostEstimate
from selectrl.experiment.execution import Execution
from selectrl.fields import MOST, as_tuple, integer, names, optional
from selectrl.launch.job import Event, Job

if TYPE_CHECKING:
    from selectrl.compare.verdicts import Verdict
    from selectrl.experiment.run import Run
    from selectrl.report import Report


@attrs.frozen(kw_only=True)
class Settings:
    """The settings of a comparison.

    Attributes:
        seeds: seeds of each method: 0, 1, and so on.
        jobs: runs in parallel on this machine; ``None`` stands for one per core.
        threads: threads of each run; ``None`` stands for its share of the cores.
        launcher: launcher of the runs: ``inline``, ``local`` or ``slurm``.
        launcher_settings: settings of the launcher, ``name=value``.
        allow_differences: continue where the rows have other data or budgets.
        retry_failed: run again the runs that failed at an earlier call.
        calibrate: time a few steps of each policy where no run has logged its speed.
        dry_run: stop after the plan.
        data: folder of the datasets.
        out: folder of the runs.
        device: device of the training.
        engine: execution of steps, ``eager`` or ``compiled``.
        population: seeds in parallel on CUDA, at most.
    """

    seeds: int = attrs.field(default=1, validator=integer(1, MOST))
    jobs: int | None = attrs.field(default=None, validator=optional(integer(1, MOST)))
    threads: int | None = attrs.field(default=None, validator=optional(integer(1, MOST)))
    launcher: str = "local"
    launcher_settings: tuple[str, ...] = attrs.field(default=(), converter=as_tuple, validator=names())
    allow_differences: bool = False
    retry_failed: bool = False
    calibrate: bool = False
    dry_run: bool = False
    data: Path = attrs.field(default=Path("data"), converter=Path)
    out: Path = attrs.field(default=Path("runs"), converter=Path)
    device: str = "cpu"
    engine: str = "eager"
    population: int = 64

    @property
    def execution(self) -> Execution:
        """The execution of each run, without its threads."""
        return Execution(data=self.data, device=self.device, engine=self.engine, population=self.population)


@attrs.frozen(kw_only=True)
class Comparison:
    """A comparison: its plan and its result. A dry run has only a plan.

    Attributes:
        plan: rows, and the policies that they are tests of.
        estimate: runs and steps before it started.
        fairness: by environment, the bindings that rows share and those in which they differ; an environment whose
            data are missing before the start is absent.
        done: the jobs that are finished.
        verdicts: the first row of each environment compared with every other.
        report: the written report; ``None`` where no run is finished.
        failures: by run directory, the sentence why a run is not finished.
        retryable: whether the same call runs each failed run again; otherwise ``retry_failed`` is needed.
    """

    plan: ComparisonPlan
    estimate: CostEstimate
    fairness: Mapping[str, Fairness]
    done: tuple[Job, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    report: Report | None = None
    failures: Mapping[str, str] = attrs.field(factory=dict)
    retryable: bool = True

    @property
    def runs(self) -> tuple[Run, ...]:
        """The finished runs, each with its agent and its meta-tests, seed by seed."""
        from selectrl.experiment.run import Run

        return tuple(Run(job.folder, job.experiment, job.seed, job.execution) for job in self.done)


class SettingsDict(TypedDict, total=False):
    """The fields of :class:`Settings` as keyword arguments."""

    seeds: int
    jobs: int | None
    threads: int | None
    launcher: str
    launcher_settings: Sequence[str]
    allow_differences: bool
    retry_failed: bool
    calibrate: bool
    dry_run: bool
    data: Path | str
    out: Path | str
    device: str
    engine: str
    population: int


class DatasetProgress(NamedTuple):
    """The progress of a missing dataset that is collected.

    Attributes:
        folder: the dataset's folder.
        at: state of the collection, see :class:`~selectrl.behaviour.collect.CollectProgress`.
    """

    folder: Path
    at: Any


Message: TypeAlias = Comparison | DatasetProgress | CostEstimate | Event
"""The plan when it is made, the progress of missing data, an estimate after timing, and the events of the runs."""

Listener: TypeAlias = Callable[[Message], None]
