"""Experiments at toy size, run directories as runs would write them, and a launcher that runs nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import attrs
import fakes
import pytest
import run_records

from selectrl.api.rows import row_of
from selectrl.compare.plan import Row
from selectrl.experiment.config import Experiment, to_record
from selectrl.launch.job import Event, Failure, Job, Tell
from selectrl.runs.experiment import ExperimentRecord
from selectrl.runs.identity import settings_of

FINGERPRINT = "f" * 64


def toy(method: str, *settings: str, name: str | None = None) -> Experiment:
    """A shipped method at toy size on the tiny dataset."""
    sizes = {"DATASET": "'tiny'", "envs.point_robot.tasks": "8", "test.budget": "40", "test.repeats": "2"}
    sizes |= dict(setting.split("=", 1) for setting in settings)
    return attrs.evolve(
        fakes.experiment(method, *(f"{path}={value}" for path, value in sizes.items())), name=name or method
    )


@pytest.fixture(scope="session")
def make() -> Callable[..., Experiment]:
    return toy


@pytest.fixture(scope="session")
def rows() -> list[Row]:
    return [row_of(toy("select")), row_of(toy("focal"))]


def write_finished(job: Job, value: float = -1.0, *, fingerprint: str = FINGERPRINT, step: int | None = None) -> None:
    """Write the records of a finished run that a comparison reads."""
    experiment = job.experiment
    ExperimentRecord(name=experiment.name, seed=job.seed, key=experiment.key, experiment=to_record(experiment)).write(
        job.folder
    )
    dataset = attrs.evolve(run_records.EXECUTION.dataset, fingerprint=fingerprint)
    code: dict[str, Any] = {"versions": {}, "plugins": {}, "sources": {}}
    attrs.evolve(run_records.EXECUTION, **code, threads=1, dataset=dataset).write(job.folder)
    for collector, test in job.wanted:
        name = str(to_record(collector)["part"]).partition(".")[2]
        attrs.evolve(
            run_records.EVALUATION,
            **code,
            **settings_of(to_record(test)),
            label=name,
            train_step=experiment.train.steps if step is None else step,
            collector=to_record(collector),
            dataset=fingerprint if name == "offline" else None,
            final_return=value,
        ).write(job.folder)


@pytest.fixture(scope="session")
def finish() -> Callable[..., None]:
    return write_finished


@attrs.define
class FakeLauncher:
    """Finishes every job but those of the named seeds, which fail as they are told to."""

    failing: dict[int, tuple[str, Failure]] = attrs.field(factory=dict)
    jobs: list[Job] = attrs.field(factory=list)

    def run(self, jobs: Sequence[Job], tell: Tell) -> None:
        self.jobs += jobs
        for job in jobs:
            tell(Event(job, "started"))
            if job.seed in self.failing:
                kind, failure = self.failing[job.seed]
                tell(Event(job, kind, failure))
            else:
                write_finished(job)
                tell(Event(job, "done", {"return": -1.0}))


@pytest.fixture
def launcher() -> Any:
    return FakeLauncher()
