"""Experiments at toy size, run directories as runs would write them, and a launcher that runs nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import attrs
import fakes
import pytest
from finished_runs import write_finished

from selectrl.api.rows import make_row
from selectrl.compare.plan import ComparisonRow
from selectrl.experiment.config import Experiment
from selectrl.launch.job import Event, Failure, Job, Tell


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
def rows() -> list[ComparisonRow]:
    return [make_row(toy("select")), make_row(toy("focal"))]


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
