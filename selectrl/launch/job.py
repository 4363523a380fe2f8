"""A run as a launcher sees it, the events of its work, and the work itself. Free of torch until it runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

import attrs

from selectrl.collectors.configs import OfflineConfig
from selectrl.errors import InputError, RunError
from selectrl.evaluate.config import TestConfig
from selectrl.experiment.config import Experiment
from selectrl.experiment.execution import Execution
from selectrl.experiment.labels import label_of
from selectrl.launch.verdict import describe_failure, explain
from selectrl.protocols import CollectorConfig
from selectrl.runs.evaluation import EvaluationRecord
from selectrl.runs.execution import ExecutionRecord
from selectrl.runs.identity import is_wanted
from selectrl.runs.reading import JsonObject

if TYPE_CHECKING:
    from selectrl.experiment.run import Run


@attrs.frozen(kw_only=True)
class Job:
    """One run: all that a worker needs to know.

    Attributes:
        folder: the run directory.
        experiment: the composition that is trained, and tested with its own collector.
        seed: its seed.
        execution: how it is carried out.
        tests: more meta-tests of the trained policy, each a collector and a test.
        diagnostics: also test with offline context and write diagnostics; a trial of a search does without them.
    """

    folder: Path
    experiment: Experiment
    seed: int
    execution: Execution
    tests: tuple[tuple[CollectorConfig, TestConfig], ...] = ()
    diagnostics: bool = True

    @property
    def name(self) -> str:
        """Name of the run on the screen."""
        return f"{self.experiment.name} seed {self.seed}"

    @property
    def wanted(self) -> tuple[tuple[CollectorConfig, TestConfig], ...]:
        """Every meta-test that the run ends with: its own, then offline context, then others."""
        own, test = self.experiment.collector, self.experiment.test
        offline = [(OfflineConfig(), test)] if self.diagnostics else []
        return tuple(dict.fromkeys([(own, test), *offline, *self.tests]))


@attrs.frozen
class Failure:
    """The reason why a run did not end.

    Attributes:
        sentence: the reason, and the remedy.
        code: exit code of a command that fails for this reason.
        error: the error itself, where the run was carried out in this process.
    """

    sentence: str
    code: int = 1
    error: Exception | None = None

    @classmethod
    def of(cls, error: Exception) -> Failure:
        """Return the failure that an error is."""
        return cls(*describe_failure(error), error)

    def as_error(self) -> Exception:
        """Return an error of this package that says the same; an error that nobody foresaw is returned as it is."""
        if self.error is not None:
            return explain(self.error) or self.error
        return InputError(self.sentence) if self.code == InputError.exit_code else RunError(self.sentence)


class Event(NamedTuple):
    """Something that happened to a job.

    Attributes:
        job: the job.
        kind: ``set aside`` (an earlier run was renamed), ``started``, ``record`` (of losses or a meta-test), ``done``,
            ``failed`` (by itself: it would fail again) or ``lost`` (ended from outside: it can continue).
        value: the earlier run's new folder, nothing, the record, the run's figures, or for the last two a
            :class:`Failure`.
    """

    job: Job
    kind: str
    value: Any = None


Tell: TypeAlias = Callable[[Event], None]


class Launcher(Protocol):
    """Carries jobs out.

    The loop that uses one::

        launcher.run(jobs, board.show)  # returns when every job is done or has failed

    It carries out the :func:`grouped` jobs with :func:`run_group`, wherever that runs.
    """

    def run(self, jobs: Sequence[Job], tell: Tell) -> None:
        """Carry out all jobs, telling each event; a job that fails does not stop the others."""


def threads_of(folder: Path, asked: int | None, otherwise: int) -> int:
    """Return the thread count for a run: as asked, or what it began with, for its bits depend on that, or another."""
    if asked is not None:
        return asked
    try:
        begun = ExecutionRecord.read_if_there(folder)
    except InputError:  # with which the run itself will end, and no other run
        return otherwise
    return begun.threads if begun else otherwise


def grouped(jobs: Sequence[Job]) -> list[tuple[Job, ...]]:
    """Return the jobs in groups that one process carries out: alone, or seeds of one experiment as a population."""
    alike: dict[Job, list[Job]] = {}
    for job in jobs:
        alike.setdefault(attrs.evolve(job, seed=0, folder=Path()), []).append(job)
    groups: list[tuple[Job, ...]] = []
    for settings, members in alike.items():
        size = settings.execution.together
        groups += [tuple(members[i : i + size]) for i in range(0, len(members), size)]
    return sorted(groups, key=lambda group: jobs.index(group[0]))


def run_group(group: Sequence[Job], tell: Tell) -> None:
    """Train and test a group, or what is missing of it; a failure is told, and stops no other run's meta-test."""
    from selectrl.experiment.run import Run
    from selectrl.experiment.training import train

    try:
        runs = []
        for job in group:
            tell(Event(job, "started"))
            runs.append(Run(job.folder, job.experiment, job.seed, job.execution))
        owner = {id(run): job for run, job in zip(runs, group, strict=True)}
        trained = train(runs, lambda run, record: tell(Event(owner[id(run)], "record", record)))
    except Exception as error:
        for job in group:
            tell(Event(job, "failed", Failure.of(error)))
        return
    for job, run, was in zip(group, runs, trained, strict=True):
        try:
            figures = finished(job, run, was)
        except Exception as error:
            tell(Event(job, "failed", Failure.of(error)))
        else:
            tell(Event(job, "done", figures))


def finished(job: Job, run: Run, trained: bool) -> JsonObject:
    """Make a trained run's meta-tests and diagnostics, where they are missing, and return its figures."""
    first = run.open(job.folder, run.execution).experiment  # collector and test may have been others then
    found = {wanted: tested(run, *wanted, first) for wanted in job.wanted}
    if job.diagnostics and not run.diagnosed:
        run.diagnose()
    own = found[job.experiment.collector, job.experiment.test]
    offline = found.get((OfflineConfig(), job.experiment.test))
    return {
        "seed": job.seed,
        "run": str(job.folder),
        "trained": trained,
        "collector": run.collector_name,
        "return": own.final_return,
        "context_free": own.context_free,
        "offline": offline.final_return if offline else None,
        "wall_seconds": run.wall_seconds,
    }


def tested(run: Run, collector: CollectorConfig, test: TestConfig, first: Experiment) -> EvaluationRecord:
    """Return the meta-test of a trained run, done now unless this very one lies there already."""
    label = label_of(collector, test, first)
    record = EvaluationRecord.read_if_sound(run.folder, label)
    if record is not None and is_wanted(record, run.experiment.train.steps, run.identity(collector, test)):
        return record
    return run.evaluate(label, collector, test)
