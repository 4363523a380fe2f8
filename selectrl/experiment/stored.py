"""The experiment that a run directory was started with. Free of torch."""

from __future__ import annotations

from pathlib import Path

from selectrl.errors import InputError
from selectrl.experiment.config import Experiment, experiment_from_record
from selectrl.runs.experiment import ExperimentRecord
from selectrl.runs.layout import EXPERIMENT


def read_experiment(folder: Path) -> tuple[Experiment, ExperimentRecord]:
    """Read the experiment of a run directory, and its record.

    Raises:
        UnreadableError: the record cannot be read.
        InputError: the folder contains no run, its record is damaged or does not match its key, or a part of the
            experiment is not available here.
    """
    record = ExperimentRecord.read(folder)
    experiment = experiment_from_record(record.experiment)
    if record.key != experiment.key:
        raise InputError(
            f"{folder / EXPERIMENT}: key: expected {experiment.key}, that of its experiment, got {record.key!r:.80}; "
            "restore it or train again in another folder"
        )
    return experiment, record
