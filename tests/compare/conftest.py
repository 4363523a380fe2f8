"""Experiments at toy size, run directories as runs would write them, and a launcher that runs nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import attrs
import fakes
import pytest
from selectrl.experiment.identity import settings_of

from selectrl.api.rows import row_of
from selectrl.compare.plan import Row
from selectrl.experiment.config import Experiment, to_record
from selectrl.files import write_json
from selectrl.json_text import sealed
from selectrl.launch.job import Event, Failure, Job, Tell

FINGERPRINT = "f" * 64


def toy(method: str, *settings: str, name: str | None = None) -> Experiment:
    """A shipped method at toy size on the tiny dataset."""
    sizes = ("DATASET='tiny'", "envs.point_robot.tasks=8", "test.budget=40", "test.repeats=2")
    return attrs.evolve(fakes.experiment(method, *sizes, *settings), name=name or method)


@pytest.fixture(scope="session")
def make() -> Callable[..., Experiment]:
    return toy


@pytest.fixture(scope="session")
def rows() -> list[Row]:
    return [row_of(toy("select")), row_of(toy("focal"))]


def write_finished(job: Job, value: float = -1.0, *, fingerprint: str = FINGERPRINT, step: int | None = None) -> None:
    """Write the records of a finished run, as far as a comparison reads them."""
    record = {"schema": 1, "name": job.experiment.name, "seed": job.seed, "key": job.experiment.key}
    write_json(job.folder / "experiment.json", sealed({**record, "experiment": to_record(job.experiment)}))
    execution = {"threads": 1, "versions": {}, "plugins": {}, "sources": {}, "dataset": {"fingerprint": fingerprint}}
    write_json(job.folder / "execution.json", execution)
    for collector, test in job.wanted:
        label = "offline" if "offline" in str(to_record(collector)["part"]) else "own"
        name = label if label == "offline" else str(to_record(collector)["part"]).partition(".")[2]
        written = {
            "train_step": job.experiment.train.steps if step is None else step,
            "collector": to_record(collector),
            **settings_of(to_record(test)),
            "dataset": fingerprint if label == "offline" else None,
            "sources": {},
            "return": value,
        }
        write_json(job.folder / "evaluations" / f"{name}.json", sealed(written))


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
