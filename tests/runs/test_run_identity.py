"""An evaluation is the meta-test that it records: collector, settings, data and source code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from run_records import EVALUATION

from selectrl.collectors.configs import OfflineConfig, ProximalConfig
from selectrl.errors import InputError
from selectrl.evaluate.config import TestConfig
from selectrl.experiment.config import to_record
from selectrl.runs.identity import find_difference, identity_of, is_own, is_wanted, refuse_to_replace


def offline(test: TestConfig) -> dict[str, Any]:
    return identity_of("k", to_record(OfflineConfig()), to_record(test), None, {})


def test_is_collector_settings_data_and_source() -> None:
    test = TestConfig()
    wanted = identity_of("k", to_record(ProximalConfig()), to_record(test), "f" * 64, {"encoders.mine": "1"})
    assert find_difference(wanted, wanted) is None
    assert find_difference({**wanted, "sources": {"encoders.mine": "2"}}, wanted) == "source code of encoders.mine"
    for name, value in (("dataset", "0"), ("budget", 1), ("test_seed", 1), ("prior", "centroid"), ("repeats", 1)):
        assert find_difference({**wanted, name: value}, wanted) == name
        assert find_difference({key: item for key, item in wanted.items() if key != name}, wanted) is None
    other = identity_of("k", to_record(ProximalConfig(sigma=0.5)), to_record(test), None, {})
    assert find_difference(other, wanted) == "collector"
    gates = [offline(TestConfig(protocol="paper", gate=gate)) for gate in (1, 2)]
    assert find_difference(*gates) == "gate"
    gates = [offline(TestConfig(gate=gate)) for gate in (1, 2)]
    assert find_difference(*gates) is None  # the equal budget has none


def test_a_wanted_meta_test_is_of_the_whole_training() -> None:
    record = EVALUATION
    assert is_wanted(record, 30, record.identity)
    assert not is_wanted(record, 31, record.identity)
    assert not is_wanted(record, 30, record.identity | {"budget": 1})
    assert not is_wanted(None, 30, record.identity)


def test_of_a_run_is_its_experiments() -> None:
    experiment = {"collector": to_record(ProximalConfig()), "test": to_record(TestConfig())}
    record = identity_of("k", to_record(ProximalConfig()), to_record(TestConfig()), "a", {})
    assert is_own(record, experiment)
    assert is_own(record, experiment, "a")
    assert not is_own(record, experiment, "b")
    assert not is_own({**record, "budget": 20}, experiment)
    assert not is_own({**record, "collector": to_record(OfflineConfig())}, experiment)


@pytest.mark.parametrize(
    ("changes", "step", "reason"),
    [
        ({}, 30, None),
        ({}, 40, None),
        ({}, 29, "a.json is of training step 30, later than 29, and is kept; do that"),
        ({"budget": 40}, 30, "a.json is of another meta-test (budget differs: 20, not 40); do that"),
        ({"dataset": None}, 30, None),
        (
            {"sources": {"encoders.theirs": "cd"}},
            30,
            "meta-test (source code of encoders.theirs differs)",
        ),
    ],
)
def test_a_record_gives_way_to_its_like_of_a_later_step_alone(
    changes: dict[str, Any], step: int, reason: str | None
) -> None:
    wanted = EVALUATION.identity | changes
    if reason is None:
        refuse_to_replace(Path("a.json"), EVALUATION, wanted, step, "do that")
        return
    with pytest.raises(InputError) as caught:
        refuse_to_replace(Path("a.json"), EVALUATION, wanted, step, "do that")
    assert reason in str(caught.value)


def test_nothing_stands_in_the_way_of_a_first_record() -> None:
    refuse_to_replace(Path("a.json"), None, EVALUATION.identity, 0, "do that")
