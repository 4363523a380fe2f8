"""The experiment of a run directory is the one whose key its record names."""

from __future__ import annotations

import json
from pathlib import Path

import attrs
import fakes
import pytest

from selectrl.errors import InputError
from selectrl.experiment.config import to_record
from selectrl.experiment.stored import read_experiment
from selectrl.runs.experiment import ExperimentRecord


@pytest.fixture
def record() -> ExperimentRecord:
    experiment = fakes.experiment("select")
    return ExperimentRecord(name="select", seed=3, key=experiment.key, experiment=to_record(experiment))


def test_is_read_as_it_was_written(tmp_path: Path, record: ExperimentRecord) -> None:
    record.write(tmp_path)
    assert read_experiment(tmp_path) == (fakes.experiment("select"), record)


def test_a_record_of_another_key_is_refused(tmp_path: Path, record: ExperimentRecord) -> None:
    """As a hand makes that changes a binding, or copies the record of a tuning trial over that of a full training."""
    attrs.evolve(record, key="0" * 16).write(tmp_path)
    with pytest.raises(InputError, match=f"experiment.json: key: expected {record.key}, that of its experiment, got"):
        read_experiment(tmp_path)
    tuning = record.experiment | {"data": record.experiment["data"] | {"split": "tuning"}}
    attrs.evolve(record, experiment=tuning).write(tmp_path)
    with pytest.raises(InputError, match=f"that of its experiment, got '{record.key}'"):
        read_experiment(tmp_path)


def test_a_part_that_is_not_installed_is_named(tmp_path: Path, record: ExperimentRecord) -> None:
    """The record alone can be read all the same, as a report does."""
    encoder = record.experiment["encoder"] | {"part": "encoders.theirs"}
    attrs.evolve(record, experiment=record.experiment | {"encoder": encoder}).write(tmp_path)
    assert json.loads((tmp_path / "experiment.json").read_text())["seed"] == 3
    assert ExperimentRecord.read(tmp_path).env == "point_robot"
    with pytest.raises(InputError, match=r"no part named 'encoders\.theirs'"):
        read_experiment(tmp_path)
