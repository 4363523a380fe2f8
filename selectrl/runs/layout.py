"""The names of the files of a run directory, defined only in this module. Free of torch and NumPy."""

from __future__ import annotations

from pathlib import Path

EXPERIMENT = "experiment.json"  # experiment and seed; a folder with this file is a run directory
GIN = "config.gin"  # the experiment as bindings
EXECUTION = "execution.json"  # the training: code, data, machine, time
METRICS = "metrics.jsonl"  # losses and meta-tests during training
DIAGNOSTICS = "diagnostics.json"  # the encoder on stored context
EVALUATIONS = "evaluations"  # folder of the meta-tests of trained agents
TENSORBOARD = "tensorboard"  # folder of event files
FAIRNESS = "fairness.json"  # of a comparison, next to the folders of its methods
FAILURES = "failures.json"  # of a comparison, in its folder


def evaluation_file(folder: Path, label: str) -> Path:
    """Return the file of an evaluation of a run."""
    return folder / EVALUATIONS / f"{label}.json"


def arrays_file(record: Path) -> Path:
    """Return the file of the arrays that belong to an evaluation or to diagnostics."""
    return record.with_suffix(".safetensors")
