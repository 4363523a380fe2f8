"""What is missing is run, failures are remembered, and fairness is examined with what runs recorded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from selectrl.compare.plan import ComparisonPlan, ComparisonRow, make_plan
from selectrl.compare.run import examine_fairness, run_missing
from selectrl.errors import DataError
from selectrl.experiment.execution import Execution
from selectrl.files import read_json
from selectrl.launch.job import Event, Failure, Job

Finish = Callable[..., None]


@pytest.fixture
def plan(rows: list[ComparisonRow], data: Path, tmp_path: Path) -> ComparisonPlan:
    return make_plan(rows[:1], 3, data, tmp_path / "runs")


@pytest.fixture
def jobs(plan: ComparisonPlan) -> tuple[Job, ...]:
    return plan.jobs(Execution(data=plan.data))


def ignore(event: Event) -> None:
    pass


def test_what_is_finished_is_told_and_not_run(plan: ComparisonPlan, jobs: Any, launcher: Any, finish: Finish) -> None:
    finish(jobs[1])
    events: list[tuple[int, str]] = []
    outcome = run_missing(plan, jobs, launcher, lambda event: events.append((event.job.seed, event.kind)))
    assert [job.seed for job in launcher.jobs] == [0, 2]
    assert events == [(1, "done"), (0, "started"), (0, "done"), (2, "started"), (2, "done")]
    assert outcome.done == jobs
    assert (outcome.failed, outcome.retryable) == ({}, True)
    assert not (plan.out / "failures.json").exists()


def test_a_failure_is_remembered_and_retried_when_asked(plan: ComparisonPlan, jobs: Any, launcher: Any) -> None:
    launcher.failing = {1: ("failed", Failure("a loss is no longer finite"))}
    outcome = run_missing(plan, jobs, launcher, ignore)
    folder = str(jobs[1].folder)
    assert outcome.failed == {folder: "a loss is no longer finite"}
    assert [job.seed for job in outcome.done] == [0, 2]
    assert not outcome.retryable
    assert read_json(plan.out / "failures.json") == outcome.failed
    launcher.failing, launcher.jobs = {}, []
    events: list[Event] = []
    again = run_missing(plan, jobs, launcher, events.append)
    assert (launcher.jobs, again.failed) == ([], outcome.failed)
    assert [event.value for event in events if event.kind == "failed"] == [Failure("a loss is no longer finite")]
    retried = run_missing(plan, jobs, launcher, ignore, retry=True)
    assert [job.seed for job in launcher.jobs] == [1]
    assert retried.failed == {}
    assert read_json(plan.out / "failures.json") == {}


@pytest.mark.parametrize(("kind", "code"), [("lost", 1), ("failed", 2)])
def test_what_the_same_call_may_repair_is_tried_again(
    kind: str, code: int, plan: ComparisonPlan, jobs: Any, launcher: Any
) -> None:
    launcher.failing = {1: (kind, Failure("why", code))}
    outcome = run_missing(plan, jobs, launcher, ignore)
    assert outcome.failed == {str(jobs[1].folder): "why"}
    assert outcome.retryable
    launcher.failing, launcher.jobs = {}, []
    run_missing(plan, jobs, launcher, ignore)
    assert [job.seed for job in launcher.jobs] == [1]


def test_a_failure_of_a_run_that_is_finished_now_is_forgotten(
    plan: ComparisonPlan, jobs: Any, launcher: Any, finish: Finish
) -> None:
    launcher.failing = {1: ("failed", Failure("why"))}
    run_missing(plan, jobs, launcher, ignore)
    finish(jobs[1])
    assert run_missing(plan, jobs, launcher, ignore).failed == {}
    assert read_json(plan.out / "failures.json") == {}


class TestFairnessOf:
    def test_reads_what_the_finished_runs_recorded(
        self, rows: list[ComparisonRow], data: Path, tmp_path: Path, finish: Finish
    ) -> None:
        plan = make_plan(rows, 1, data, tmp_path)
        before = examine_fairness(plan, "point_robot")
        assert all(check.ok for check in before.checks)
        assert set(before.rows) == {"select", "focal"}
        assert before.rows["select"].policy == plan.policies[0].folder.name
        for job in plan.jobs(Execution()):
            finish(job, fingerprint="0" * 64)
        (wrong,) = [check for check in examine_fairness(plan, "point_robot").checks if not check.ok]
        assert wrong.what == "the same data"
        assert "0" * 12 in wrong.detail

    def test_needs_the_datasets(self, rows: list[ComparisonRow], tmp_path: Path) -> None:
        with pytest.raises(DataError, match="cannot be read"):
            examine_fairness(make_plan(rows, 1, tmp_path, tmp_path), "point_robot")
