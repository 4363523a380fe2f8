"""One run as a launcher sees it, what it tells while it works, and the work itself. Free of torch until it runs."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

import attrs

from selectrl.collectors.configs import OfflineConfig
from selectrl.errors import RunError, SelectRLError
from selectrl.evaluate.config import TestConfig
from selectrl.experiment.config import Experiment, to_record
from selectrl.experiment.execution import Execution
from selectrl.experiment.labels import label_of
from selectrl.files import read_sound_json
from selectrl.protocols import CollectorConfig

if TYPE_CHECKING:
    from selectrl.experiment.run import Run

Record: TypeAlias = dict[str, Any]
NO_MEMORY = ("allocate memory", "out of memory")  # how torch says so, on the CPU and on CUDA
LESS = (
    "run fewer side by side (--jobs) or bind smaller batches; the same command, of a comparison with --retry-failed, "
    "goes on from the last checkpoint"
)


@attrs.frozen(kw_only=True)
class Job:
    """One run: all that a worker needs to know.

    Attributes:
        folder: the run directory.
        experiment: what is trained, and tested with its own collector and with offline context.
        seed: its seed.
        execution: how it is carried out.
        tests: more meta-tests of the trained policy, each a collector and a test.
    """

    folder: Path
    experiment: Experiment
    seed: int
    execution: Execution
    tests: tuple[tuple[CollectorConfig, TestConfig], ...] = ()

    @property
    def name(self) -> str:
        """What the run is called on the screen."""
        return f"{self.experiment.name} seed {self.seed}"

    @property
    def wanted(self) -> tuple[tuple[CollectorConfig, TestConfig], ...]:
        """Every meta-test that the run ends with: its own, then offline context, then others."""
        own, test = self.experiment.collector, self.experiment.test
        return tuple(dict.fromkeys([(own, test), (OfflineConfig(), test), *self.tests]))


class Event(NamedTuple):
    """Something that happened to a job.

    Attributes:
        job: the job.
        kind: ``started``, ``record`` (of losses or a meta-test), ``done``, ``failed`` (by itself: it would fail again)
            or ``lost`` (ended from outside: it can go on).
        value: nothing, the record, the run's figures, or for the last two sentence and exit code.
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
    found = read_sound_json(folder / "execution.json")  # None: a new run, or a record that a hand has damaged
    threads = found.get("threads") if isinstance(found, dict) else None
    return threads if isinstance(threads, int) and threads > 0 else otherwise


def verdict(error: Exception) -> tuple[str, int]:
    """Return the sentence and the exit code with which an error ends; a bug of ours is still one sentence."""
    if isinstance(error, SelectRLError):
        return str(error), error.exit_code
    if isinstance(error, MemoryError) or any(word in str(error) for word in NO_MEMORY):
        return f"memory ran out ({' '.join(str(error).split())[:120]}); {LESS}", RunError.exit_code
    if os.environ.get("SELECTRL_TRACEBACK"):
        raise error
    return f"internal error, {type(error).__name__}: {error}; SELECTRL_TRACEBACK=1 shows where, please report it", 1


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
            tell(Event(job, "failed", verdict(error)))
        return
    for job, run, was in zip(group, runs, trained, strict=True):
        try:
            figures = finished(job, run, was)
        except Exception as error:
            tell(Event(job, "failed", verdict(error)))
        else:
            tell(Event(job, "done", figures))


def finished(job: Job, run: Run, trained: bool) -> Record:
    """Make a trained run's meta-tests and diagnostics, where they are missing, and return its figures."""
    first = run.open(job.folder, run.execution).experiment  # collector and test may have been others then
    found = {wanted: tested(run, *wanted, first) for wanted in job.wanted}
    if not run.diagnosed:
        run.diagnose()
    own, offline = (found[one, job.experiment.test] for one in (job.experiment.collector, OfflineConfig()))
    return {
        "seed": job.seed,
        "run": str(job.folder),
        "trained": trained,
        "collector": run.collector_name,
        "return": own["return"],
        "context_free": own["context_free"],
        "offline": offline["return"],
        "wall_seconds": run.wall_seconds,
    }


def matches(found: object, steps: int, collector: CollectorConfig, test: TestConfig) -> bool:
    """Say whether a written evaluation is the very meta-test that is wanted."""
    wanted: Record = {"train_step": steps, "collector": to_record(collector), "protocol": test.protocol}
    wanted |= {"budget": test.budget, "repeats": test.repeats, "prior": test.prior, "test_seed": test.seed}
    return isinstance(found, dict) and all(found.get(name) == value for name, value in wanted.items())


def tested(run: Run, collector: CollectorConfig, test: TestConfig, first: Experiment) -> Record:
    """Return the meta-test of a trained run, done now unless this very one lies there already."""
    label = label_of(collector, test, first)
    found = read_sound_json(run.folder / "evaluations" / f"{label}.json")
    if matches(found, run.experiment.train.steps, collector, test):
        return dict(found)
    return run.evaluate(label, collector, test)
