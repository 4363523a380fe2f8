"""Rows become policies and jobs: what is trained once, in which folder, and in which order."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import attrs
import pytest
from finished_runs import write_execution

from selectrl.api.rows import make_row
from selectrl.collectors.configs import NonPriorConfig
from selectrl.compare.plan import ComparisonRow, make_plan
from selectrl.errors import InputError
from selectrl.experiment.config import Experiment
from selectrl.experiment.execution import Execution

Make = Callable[..., Experiment]


def under(experiment: Experiment, name: str) -> ComparisonRow:
    """The same policy under another collector."""
    return make_row(attrs.evolve(experiment, name=name, collector=NonPriorConfig()))


def test_rows_that_differ_at_meta_test_alone_share_a_policy(make: Make, tmp_path: Path) -> None:
    select = make("select")
    plan = make_plan(
        [make_row(select), make_row(make("focal")), under(select, "other")], 2, tmp_path, tmp_path / "runs"
    )
    names = [[row.experiment.name for row in policy.rows] for policy in plan.policies]
    assert names == [["select", "other"], ["focal"]]
    assert [row.experiment.name for row in plan.rows] == ["select", "other", "focal"]
    assert plan.policies[0].labels(select) == {"select": "proximal", "other": "non_prior"}
    assert plan.envs == ("point_robot",)
    assert plan.rows_of("point_robot") == plan.rows
    assert plan.rows_of("hopper") == ()


def test_jobs_go_seed_by_seed_with_the_tests_of_all_rows(make: Make, tmp_path: Path) -> None:
    select = make("select")
    plan = make_plan(
        [make_row(select), make_row(make("focal")), under(select, "other")], 2, tmp_path, tmp_path / "runs"
    )
    jobs = plan.jobs(Execution(data=tmp_path, threads=3))
    assert [(job.seed, job.experiment.name) for job in jobs] == [
        (0, "select"),
        (0, "focal"),
        (1, "select"),
        (1, "focal"),
    ]
    assert jobs[0].tests == ((NonPriorConfig(), select.test),)
    assert jobs[1].tests == ()
    assert jobs[2].folder == tmp_path / "runs" / "point_robot" / select.folder_name / "seed1"
    assert "encoders.csro" in jobs[0].execution.gin
    assert "encoders.focal" in jobs[1].execution.gin


def test_a_run_keeps_the_threads_that_it_began_with(make: Make, tmp_path: Path) -> None:
    plan = make_plan([make_row(make("select"))], 2, tmp_path, tmp_path)
    write_execution(plan.policies[0].folder / "seed1", threads=5)
    assert [job.execution.threads for job in plan.jobs(Execution(threads=3))] == [3, 5]
    assert [job.execution.threads for job in plan.jobs(Execution(threads=3), 2)] == [2, 2]


def test_a_policy_that_lies_under_another_name_is_taken_up(make: Make, tmp_path: Path) -> None:
    select = make("select")
    folder = tmp_path / "point_robot" / f"mine-{select.key[:8]}"
    assert make_plan([make_row(select)], 1, tmp_path, tmp_path).policies[0].folder.name == select.folder_name
    folder.mkdir(parents=True)
    assert make_plan([make_row(select)], 1, tmp_path, tmp_path).policies[0].folder == folder


def test_each_dataset_is_named_once_with_its_first_reader(make: Make, tmp_path: Path) -> None:
    select, focal = make("select"), make("focal")
    other = make("csro", "data.name=other")
    plan = make_plan([make_row(select), make_row(focal), make_row(other)], 1, tmp_path, tmp_path / "runs")
    found = {folder.relative_to(tmp_path).as_posix(): user.name for folder, user in plan.datasets().items()}
    assert found == {"point_robot/tiny": "select", "point_robot/other": "csro"}


def test_what_cannot_be_compared_is_refused(make: Make, tmp_path: Path) -> None:
    select = make("select")
    for rows, sentence in (
        ([], "nothing to compare"),
        ([make_row(select), make_row(make("focal", name="select"))], "two rows have the name 'select' on point_robot"),
        ([make_row(select), make_row(attrs.evolve(select, name="again"))], "select and again are the same"),
    ):
        with pytest.raises(InputError, match=sentence):
            make_plan(rows, 1, tmp_path, tmp_path)
