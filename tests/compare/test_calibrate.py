"""Training is timed by a few steps of each phase, and nothing is written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from selectrl.compare import calibrate
from selectrl.compare.calibrate import enter_phase, training_seconds, training_times
from selectrl.compare.plan import ComparisonRow, make_plan
from selectrl.errors import RunError
from selectrl.experiment.config import Experiment
from selectrl.experiment.execution import Execution
from selectrl.experiment.run import Run


@pytest.mark.parametrize("method", ["select", "corro", "borel"])
def test_a_method_is_timed_through_all_its_phases(
    method: str, make: Callable[..., Experiment], data: Path, tmp_path: Path
) -> None:
    """CORRO's second phase refuses a generator of negatives that a few steps have trained; it is timed all the same."""
    experiment = make(method, "BELIEF_EPISODES=2", "PRETRAIN_STEPS=100")
    run = Run(tmp_path / "run", experiment, 0, Execution(data=data))
    assert training_seconds(run) > 0
    assert not (tmp_path / "run").exists()


def test_a_longer_training_takes_longer_in_proportion(
    make: Callable[..., Experiment], data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock that advances a second at each look: every step takes one."""
    ticks = iter(range(10**6))
    monkeypatch.setattr(calibrate, "perf_counter", lambda: float(next(ticks)))
    for steps in (40, 400):
        run = Run(tmp_path / "run", make("focal", f"train.steps={steps}"), 0, Execution(data=data))
        assert training_seconds(run) == steps


def test_each_policy_is_timed_once(rows: list[ComparisonRow], data: Path, tmp_path: Path) -> None:
    plan = make_plan(rows, 3, data, tmp_path)
    times = training_times(plan)
    assert list(times) == [policy.folder for policy in plan.policies]
    assert all(seconds > 0 for seconds in times.values())
    assert not list(tmp_path.iterdir())


def test_a_phase_that_refuses_to_prepare_is_entered_with_earlier_buffers() -> None:
    entered: list[str] = []

    def refuse() -> None:
        raise RunError("too little was trained")

    stage: Any = SimpleNamespace(enter=refuse, engine=SimpleNamespace(enter=entered.append), phase="rl")
    enter_phase(stage)
    assert entered == ["rl"]
    stage.enter = lambda: entered.append("prepared")
    enter_phase(stage)
    assert entered == ["rl", "prepared"]
