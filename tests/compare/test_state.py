"""How far runs are, read from their directories: finished, begun, damaged; and the time that is left."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from selectrl.api.rows import make_row
from selectrl.collectors.configs import NonPriorConfig
from selectrl.compare.plan import ComparisonRow, make_plan
from selectrl.compare.state import count_pretraining_steps, estimate_cost, find_first_experiment, is_done, read_progress
from selectrl.errors import DamageWarning
from selectrl.experiment.config import Experiment
from selectrl.experiment.execution import Execution
from selectrl.files import read_json
from selectrl.launch.job import Job
from selectrl.runs.metrics import LossLine

Make = Callable[..., Experiment]
Finish = Callable[..., None]


@pytest.fixture
def job(make: Make, tmp_path: Path) -> Job:
    return Job(folder=tmp_path / "seed0", experiment=make("select"), seed=0, execution=Execution(data=tmp_path))


def log(folder: Path, *records: tuple[str, int, float], torn: bool = False) -> None:
    """Write metrics: phase, step and steps per second."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [
        json.dumps(LossLine(phase=phase, step=step, phase_steps=40, steps_per_second=speed, values={}).to_json())
        for phase, step, speed in records
    ]
    (folder / "metrics.jsonl").write_text("\n".join(lines) + ('\n{"kind": "tra' if torn else "\n"))


class TestDone:
    def test_is_a_run_with_every_meta_test_of_its_last_step(self, job: Job, finish: Finish) -> None:
        assert not is_done(job)
        finish(job)
        assert is_done(job)
        assert find_first_experiment(job.folder) == job.experiment

    def test_is_not_a_run_that_lacks_a_wanted_meta_test(self, job: Job, finish: Finish) -> None:
        finish(job)
        more = attrs.evolve(job, tests=((NonPriorConfig(), job.experiment.test),))
        assert not is_done(more)
        finish(more)
        assert is_done(more)

    def test_is_not_an_early_step_another_key_or_another_test(self, job: Job, finish: Finish, make: Make) -> None:
        finish(job, step=20)
        assert not is_done(job)
        finish(job)
        assert not is_done(attrs.evolve(job, experiment=make("select", "train.steps=50")))
        path = job.folder / "evaluations" / "offline.json"
        path.write_text(json.dumps({**read_json(path), "budget": 80}))
        assert not is_done(job)

    def test_is_not_a_test_on_other_data_than_the_training(self, job: Job, finish: Finish) -> None:
        finish(job)
        path = job.folder / "evaluations" / "offline.json"
        path.write_text(json.dumps({**read_json(path), "dataset": "0" * 64}))
        assert not is_done(job)

    def test_is_not_a_run_with_a_damaged_record(self, job: Job, finish: Finish) -> None:
        finish(job)
        evaluation, record = job.folder / "evaluations" / "offline.json", job.folder / "experiment.json"
        evaluation.write_text("[]")
        with pytest.warns(DamageWarning, match="it counts as missing"):
            assert not is_done(job)
        finish(job)
        record.write_text("[]")
        assert not is_done(job)
        record.unlink()
        assert not is_done(job)

    def test_is_not_what_cannot_be_read_and_it_stays(self, job: Job, finish: Finish) -> None:
        finish(job)
        path = job.folder / "evaluations" / "offline.json"
        path.unlink()
        path.mkdir()  # what even root cannot read as a file
        assert not is_done(job)
        assert path.is_dir()


class TestReached:
    def test_adds_the_last_steps_of_all_phases(self, tmp_path: Path) -> None:
        log(tmp_path, ("cvae", 10, 4.0), ("cvae", 20, 5.0), ("rl", 7, 6.0), torn=True)
        assert read_progress(tmp_path) == (27, [4.0, 5.0, 6.0])

    def test_is_nothing_without_metrics(self, tmp_path: Path) -> None:
        assert read_progress(tmp_path) == (0, [])


class TestPretraining:
    def test_counts_the_phases_before_rl(self, make: Make) -> None:
        assert count_pretraining_steps(make("select")) == 0
        assert count_pretraining_steps(make("corro", "PRETRAIN_STEPS=100")) == 200  # generator and encoder


class TestEstimate:
    @pytest.fixture
    def plan(self, rows: list[ComparisonRow], tmp_path: Path) -> Any:
        return make_plan(rows, 2, tmp_path, tmp_path / "runs")

    def test_without_any_speed_says_steps_alone(self, plan: Any) -> None:
        found = estimate_cost(plan, 2)
        assert (found.runs, found.done, found.steps, found.left, found.seconds) == (4, 0, 160, 160, None)

    def test_takes_the_speed_of_the_policy_or_failing_that_of_the_environment(self, plan: Any) -> None:
        select, focal = (policy.folder for policy in plan.policies)
        log(select / "seed0", ("rl", 30, 10.0))
        assert estimate_cost(plan, 1).seconds == pytest.approx((10 + 40 + 40 + 40) / 10)
        log(focal / "seed1", ("rl", 20, 2.0), ("rl", 40, 4.0))
        assert estimate_cost(plan, 1).seconds == pytest.approx((10 + 40) / 10 + 40 / 3)
        assert estimate_cost(plan, 2).seconds == pytest.approx(((10 + 40) / 10 + 40 / 3) / 2)

    def test_takes_what_was_timed_where_nothing_is_logged(self, plan: Any) -> None:
        timed = {policy.folder: 8.0 for policy in plan.policies}  # of a whole training
        assert estimate_cost(plan, 1, timed).seconds == pytest.approx(32.0)

    def test_of_a_finished_plan_is_nothing(self, plan: Any, finish: Finish) -> None:
        for job in plan.jobs(Execution()):
            finish(job)
        found = estimate_cost(plan, 2)
        assert (found.done, found.left, found.seconds) == (4, 0, 0.0)

    def test_divides_by_no_more_runs_than_are_left(self, plan: Any, finish: Finish) -> None:
        *finished, last = plan.jobs(Execution())
        for job in finished:
            finish(job)
        log(last.folder, ("rl", 10, 3.0))
        assert estimate_cost(plan, 8).seconds == pytest.approx(10.0)


def test_the_row_of_an_experiment_is_its_bindings(make: Make) -> None:
    assert "experiment.encoder = @encoders.csro()" in make_row(make("select")).gin
