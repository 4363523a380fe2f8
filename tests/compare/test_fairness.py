"""Bindings that rows share and those in which they differ, and the conditions of a fair comparison."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import attrs
import pytest
from finished_runs import write_execution

from selectrl.compare.fairness import Fairness, check_fairness
from selectrl.data.manifest import NAME, Manifest, read_manifest
from selectrl.errors import InputError
from selectrl.experiment.config import Experiment

Make = Callable[..., Experiment]


@pytest.fixture
def manifest(data: Path) -> Manifest:
    return read_manifest(data / "point_robot" / "tiny" / NAME)


def wrong(fairness: Fairness) -> list[tuple[str, str]]:
    return [(check.what, check.detail) for check in fairness.checks if not check.ok]


def test_two_methods_on_one_dataset_are_fair(make: Make, manifest: Manifest) -> None:
    fairness = check_fairness([make("select"), make("focal")], {"tiny": manifest})
    assert wrong(fairness) == []
    assert fairness.same["data.fingerprint"] == manifest.fingerprint
    assert fairness.same["train.steps"] == 40
    assert fairness.differs["encoder"] == {"select": "encoders.csro", "focal": "encoders.focal"}
    fairness.refuse()


def test_a_binding_that_one_row_lacks_is_neither_shared_nor_different(make: Make, manifest: Manifest) -> None:
    fairness = check_fairness([make("select"), make("focal")], {"tiny": manifest})
    assert "encoder.club_weight" not in {**fairness.same, **fairness.differs}


@pytest.mark.parametrize(
    ("setting", "what", "detail"),
    [
        ("test.budget=80", "the same meta-test: budget, repeats, prior", "test.budget differs (select 40, other 80)"),
        ("test.prior=centroid", "the same meta-test", "test.prior differs (select zero, other centroid)"),
        ("train.steps=50", "the same RL updates", "train.steps differs (select 40, other 50)"),
        ("data.terminals=paper", "the same rows of data", "data.terminals differs (select true, other paper)"),
        ("envs.point_robot.tasks=12", "the same environment", "env.tasks differs (select 8, other 12)"),
    ],
)
def test_another_budget_is_refused(setting: str, what: str, detail: str, make: Make, manifest: Manifest) -> None:
    fairness = check_fairness([make("select"), make("focal", setting, name="other")], {"tiny": manifest})
    ((condition, reason),) = wrong(fairness)
    assert condition.startswith(what)
    assert reason == detail
    with pytest.raises(InputError, match=r"not a fair comparison: .*--allow-differences"):
        fairness.refuse()


def test_a_test_task_among_the_training_data_is_found(make: Make, manifest: Manifest) -> None:
    other = attrs.evolve(manifest, split={"train": (2, 3), "test": (0, 1)})
    assert wrong(check_fairness([make("select"), make("focal")], {"tiny": other})) == [
        ("no data of a test task in training", "tasks [0, 1] are both")
    ]


def test_runs_on_other_data_are_named_by_their_fingerprints(make: Make, manifest: Manifest, tmp_path: Path) -> None:
    ran = {"focal": [write_execution(tmp_path, fingerprint="0" * 64)]}
    ((what, detail),) = wrong(check_fairness([make("select"), make("focal")], {"tiny": manifest}, executions=ran))
    assert what == "the same data"
    assert detail == f"fingerprints {'0' * 12}, {manifest.fingerprint[:12]}"


def test_an_early_checkpoint_is_refused(make: Make, manifest: Manifest) -> None:
    steps = {"select": [40], "focal": [40, 20]}
    evaluations: Any = {name: [SimpleNamespace(train_step=step) for step in own] for name, own in steps.items()}
    found = wrong(check_fairness([make("select"), make("focal")], {"tiny": manifest}, evaluations))
    assert found == [("the same checkpoint is tested", "not so for focal")]


def test_a_row_that_alone_was_tuned_is_refused(make: Make, manifest: Manifest) -> None:
    spent = {"select": "no tuning", "focal": "3 trials of 60 steps"}
    found = wrong(check_fairness([make("select"), make("focal")], {"tiny": manifest}, tuning=spent))
    assert found == [("the same tuning budget", "select no tuning, focal 3 trials of 60 steps")]


def test_versions_and_sources_of_the_runs_are_bindings(make: Make, manifest: Manifest, tmp_path: Path) -> None:
    """All that differ within a row stand after each other, and a fingerprint is cut."""
    older, newer = (write_execution(tmp_path, versions={"torch": text}) for text in ("2.1", "2.2"))
    mine = attrs.evolve(older, sources={"encoders.mine": "a" * 64})
    executions = {"select": [mine], "focal": [older, newer]}
    fairness = check_fairness([make("select"), make("focal")], {"tiny": manifest}, executions=executions)
    assert fairness.differs["versions.torch"] == {"select": "2.1", "focal": "2.1, 2.2"}
    assert "sources.encoders.mine" not in fairness.differs
    again = dict.fromkeys(("select", "focal"), executions["select"])
    same = check_fairness([make("select"), make("focal")], {"tiny": manifest}, executions=again).same
    assert (same["versions.torch"], same["sources.encoders.mine"]) == ("2.1", "a" * 12)


def test_a_default_that_records_leave_out_differs_from_another_value(make: Make, manifest: Manifest) -> None:
    rows = [make("select", "train.hold_tasks=5", name="kept"), make("select", name="drawn")]
    fairness = check_fairness(rows, {"tiny": manifest})
    assert fairness.differs["train.hold_tasks"] == {"kept": 5, "drawn": 1}
    split = attrs.evolve(rows[1], data=attrs.evolve(rows[1].data, split="tuning"))
    assert (
        "data.split differs (kept family, drawn tuning)" in dict(wrong(check_fairness([rows[0], split], {}))).values()
    )


def test_the_record_is_json(make: Make, manifest: Manifest) -> None:
    record = check_fairness([make("select"), make("focal")], {"tiny": manifest}).record().to_json()
    assert set(record) == {"same", "differs", "checks", "rows"}
    assert {"what": "encoder", "values": {"select": "encoders.csro", "focal": "encoders.focal"}} in record["differs"]
    assert record["checks"][0]["ok"] is True
