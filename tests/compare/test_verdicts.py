"""The first row of an environment against every other, over the seeds that both have finished."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from report.conftest import write_run

from selectrl.api.rows import make_row
from selectrl.compare.plan import ComparisonPlan, TrainedPolicy
from selectrl.compare.verdicts import make_verdicts
from selectrl.experiment.config import Experiment


@pytest.fixture
def plan(make: Any, tmp_path: Path) -> ComparisonPlan:
    """Three methods of three seeds, the first of which adapts best."""
    policies = []
    for method, skill in (("select", 0.9), ("csro", 0.6), ("focal", 0.35)):
        for seed in (0, 1, 2):
            write_run(tmp_path, method, seed, skill=skill)
        experiment: Experiment = make(method)
        policies.append(TrainedPolicy(folder=tmp_path / "point_robot" / method, rows=(make_row(experiment),)))
    return ComparisonPlan(policies=tuple(policies), seeds=3, data=tmp_path, out=tmp_path)


def finished(plan: ComparisonPlan, *without: str) -> Any:
    """The jobs of the plan, as far as their folders matter, without some of the form ``method/seed0``."""
    folders = [policy.folder / f"seed{seed}" for policy in plan.policies for seed in range(plan.seeds)]
    return tuple(SimpleNamespace(folder=f) for f in folders if f"{f.parent.name}/{f.name}" not in without)


def test_the_first_row_is_set_against_every_other(plan: ComparisonPlan) -> None:
    found = make_verdicts(plan, finished(plan))
    assert [(verdict.env, verdict.a, verdict.b, verdict.seeds) for verdict in found] == [
        ("point_robot", "select", "csro", 3),
        ("point_robot", "select", "focal", 3),
    ]
    assert all(verdict.sentence.startswith("point_robot: ") for verdict in found)
    first, second = (verdict.difference for verdict in found)
    assert first is not None
    assert second is not None
    assert 0 < first < second
    assert found[0].interval is not None
    assert found[0].interval[0] <= first <= found[0].interval[1]
    assert found[0].interval_other_tasks is not None
    assert found[0].margin == 0.83


def test_seeds_that_are_not_finished_do_not_count(plan: ComparisonPlan) -> None:
    csro, focal = make_verdicts(plan, finished(plan, "select/seed1", "select/seed2", "csro/seed0"))
    assert (csro.seeds, focal.seeds) == (0, 1)
    assert csro.sentence != focal.sentence


def test_a_row_without_a_finished_run_has_no_verdict(plan: ComparisonPlan) -> None:
    (verdict,) = make_verdicts(plan, finished(plan, "select/seed0", "select/seed1", "select/seed2"))
    assert (verdict.a, verdict.b) == ("csro", "focal")
    assert make_verdicts(plan, ()) == ()
