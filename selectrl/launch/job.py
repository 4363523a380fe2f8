"""A run as a launcher sees it: the job, its events and its execution. Free of torch until it runs."""

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
from selectrl.experiment.labels import make_label
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
    """One run, with all facts that a worker needs.

    Attributes:
        folder: the run directory.
        experiment: the composition that is trained, and tested with its own collector.
        seed: its seed.
        execution: its execution.
        tests: more meta-tests of the trained policy, each a collector and a test.
        diagnostics: also test with offline context and write diagnostics; False for a trial of a search.
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
    def meta_tests(self) -> tuple[tuple[CollectorConfig, TestConfig], ...]:
        """All meta-tests at the end of the run: its own, then offline context, then others."""
        own, test = self.experiment.collector, self.experiment.test
        offline = [(OfflineConfig(), test)] if self.diagnostics else []
        return tuple(dict.fromkeys([(own, test), *offline, *self.tests]))


@attrs.frozen
class Failure:
    """The reason why a run did not finish.

    Attributes:
        sentence: the reason, and the remedy.
        code: exit code of a command that fails for this reason.
        error: the error itself, where the run was executed in this process.
    """

    sentence: str
    code: int = 1
    error: Exception | None = None

    @classmethod
    def of(cls, error: Exception) -> Failure:
        """Return the failure of an error."""
        return cls(*describe_failure(error), error)

    def as_error(self) -> Exception:
        """Return an error of this package with the same sentence; an unexpected error is returned as it is."""
        if self.error is not None:
            return explain(self.error) or self.error
        return InputError(self.sentence) if self.code == InputError.exit_code else RunError(self.sentence)


class Event(NamedTuple):
    """An event of a job.

    Attributes:
        job: the job.
        kind: ``set aside`` (an earlier run was renamed), ``started``, ``record`` (of losses or a meta-test), ``done``,
            ``failed`` (it would fail again) or ``lost`` (ended from outside: it can continue).
        value: the earlier run's new folder, nothing, the record, the run's figures, or for the last two a
            :class:`Failure`.
    """

    job: Job
    kind: str
    value: Any = None


Tell: TypeAlias = Callable[[Event], None]


class Launcher(Protocol):
    """Executes jobs.

    The loop that uses it::

        launcher.run(jobs, board.show)  # returns when every job is done or has failed

    It executes the groups of :func:`group_jobs` with :func:`run_group`, in any process.
    """

    def run(self, jobs: Sequence[Job], tell: Tell) -> None:
        """Execute all jobs and report each event; a job that fails does not stop the others."""


def choose_threads(folder: Path, requested: int | None, default: int) -> int:
    """Return the threads of a run: the requested number, else that of its start, because its bits depend on it."""
    if requested is not None:
        return requested
    try:
        record = ExecutionRecord.read_if_there(folder)
    except InputError:  # this run will end with it, and no other run
        return default
    return record.threads if record else default


def group_jobs(jobs: Sequence[Job]) -> list[tuple[Job, ...]]:
    """Return the jobs in groups for one process each: single jobs, or seeds of one experiment as a population."""
    by_settings: dict[Job, list[Job]] = {}
    for job in jobs:
        by_settings.setdefault(attrs.evolve(job, seed=0, folder=Path()), []).append(job)
    groups: list[tuple[Job, ...]] = []
    for settings, members in by_settings.items():
        size = settings.execution.seeds_per_process
        groups += [tuple(members[i : i + size]) for i in range(0, len(members), size)]
    return sorted(groups, key=lambda group: jobs.index(group[0]))


def run_group(group: Sequence[Job], tell: Tell) -> None:
    """Train and test a group, without repeating finished work; a failure does not stop the meta-tests of other runs."""
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
    for job, run, was_trained in zip(group, runs, trained, strict=True):
        try:
            figures = finish(job, run, was_trained)
        except Exception as error:
            tell(Event(job, "failed", Failure.of(error)))
        else:
            tell(Event(job, "done", figures))


def finish(job: Job, run: Run, trained: bool) -> JsonObject:
    """Run the missing meta-tests and diagnostics of a trained run, and return its figures."""
    first = run.open(job.folder, run.execution).experiment  # its collector and test may differ from the job's
    evaluations = {meta_test: load_or_test(run, *meta_test, first) for meta_test in job.meta_tests}
    if job.diagnostics and not run.is_diagnosed:
        run.diagnose()
    own = evaluations[job.experiment.collector, job.experiment.test]
    offline = evaluations.get((OfflineConfig(), job.experiment.test))
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


def load_or_test(run: Run, collector: CollectorConfig, test: TestConfig, first: Experiment) -> EvaluationRecord:
    """Return the record of a run's meta-test, from its file or from a new test."""
    label = make_label(collector, test, first)
    record = EvaluationRecord.read_if_sound(run.folder, label)
    if record is not None and is_wanted(record, run.experiment.train.steps, run.identity(collector, test)):
        return record
    return run.evaluate(label, collector, test)
