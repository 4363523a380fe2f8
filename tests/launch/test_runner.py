"""The one runner of jobs gathers figures and failures, and raises the error that it was given."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import fakes
import pytest

from selectrl.errors import InputError, RunError
from selectrl.experiment.execution import Execution
from selectrl.launch.job import Event, Failure, Job, Tell
from selectrl.launch.runner import run_jobs

EXPERIMENT = fakes.experiment("select")
JOBS = [Job(folder=Path(f"seed{seed}"), experiment=EXPERIMENT, seed=seed, execution=Execution()) for seed in range(3)]


class Scripted:
    """A launcher that tells given events: kind and value by seed."""

    def __init__(self, *events: tuple[int, str, Any]) -> None:
        self.events = events

    def run(self, jobs: Sequence[Job], tell: Tell) -> None:
        for seed, kind, value in self.events:
            tell(Event(jobs[seed], kind, value))


def test_figures_and_failures_are_gathered_and_every_event_is_passed_on() -> None:
    failed, lost = Failure("a loss is no longer finite"), Failure("killed")
    launcher = Scripted(
        (2, "started", None), (2, "record", {}), (1, "lost", lost), (2, "done", {"return": 1.0}), (0, "failed", failed)
    )
    heard: list[str] = []
    results = run_jobs(JOBS, launcher, lambda event: heard.append(event.kind))
    assert results.figures == {Path("seed2"): {"return": 1.0}}
    assert results.failures == {Path("seed1"): lost, Path("seed0"): failed}
    assert heard == ["started", "record", "lost", "done", "failed"]
    with pytest.raises(RunError, match="killed"):
        results.raise_first()


def test_the_first_failure_is_raised_with_the_class_of_its_code() -> None:
    with pytest.raises(InputError, match="no dataset"):
        run_jobs(JOBS, Scripted((0, "failed", Failure("no dataset", 2)))).raise_first()
    run_jobs(JOBS, Scripted((0, "done", {}))).raise_first()


def test_a_bug_is_raised_as_itself_with_its_own_cause() -> None:
    cause = KeyError("why")
    bug = ZeroDivisionError("division by zero")
    bug.__cause__ = cause
    with pytest.raises(ZeroDivisionError) as raised:
        run_jobs(JOBS, Scripted((0, "failed", Failure.of(bug)))).raise_first()
    assert raised.value is bug
    assert raised.value.__cause__ is cause


def test_an_explained_error_names_the_error_as_its_cause() -> None:
    error = MemoryError("Unable to allocate 6 GiB")
    with pytest.raises(RunError, match="memory ran out") as raised:
        run_jobs(JOBS, Scripted((0, "failed", Failure.of(error)))).raise_first()
    assert raised.value.__cause__ is error
