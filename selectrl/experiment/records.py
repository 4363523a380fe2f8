"""What a run writes about itself and its meta-tests, as JSON values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from selectrl.errors import InputError
from selectrl.evaluate.config import TestConfig
from selectrl.evaluate.harness import TestResult
from selectrl.experiment.config import Experiment
from selectrl.files import is_there, read_json
from selectrl.functional.estimates import area, stratified_bootstrap
from selectrl.registry import registered_name

SCHEMA = 1
Record = dict[str, Any]


def curve_point(result: TestResult, step: int, experiment: Experiment) -> Record:
    """Return a meta-test during training as a point of the learning curve."""
    curve = result.returns.mean((0, 1))
    return {
        "kind": "test",
        "step": step,
        "collector": registered_name(experiment.collector),
        "return": float(curve[-1]),
        "context_free": float(curve[0]),
        "context_steps": list(result.context_steps),
        "curve": [float(value) for value in curve],
    }


def summary(result: TestResult, test: TestConfig, horizon: int) -> Record:
    """Return what a meta-test found as JSON values, with a 95 % interval over repeats within tasks."""
    final, steps = result.returns[:, :, -1], list(result.context_steps)
    curve = result.returns.mean((0, 1))
    low, high = stratified_bootstrap(final, np.mean) if test.repeats > 1 else (float(final.mean()),) * 2
    return {
        "protocol": test.protocol,
        "budget": test.budget,
        "block": horizon,
        "repeats": test.repeats,
        "prior": test.prior,
        "test_seed": test.seed,
        "tasks": list(result.tasks),
        "context_steps": steps,
        "returns": result.returns.tolist(),
        "return": float(final.mean()),
        "interval": [float(low), float(high)],
        "context_free": float(curve[0]),
        "curve": [float(value) for value in curve],
        "area": float(area(np.array(steps, float), curve)) if len(steps) > 1 else float(curve[0]),
        "return_per_task": final.mean(1).tolist(),
        "return_per_repeat": final.mean(0).tolist(),
        "env_steps": dict(result.env_steps),
        **result.about,
    }


def read_record(folder: Path) -> dict[str, Any]:
    """Read a run's experiment.json.

    Raises:
        UnreadableError: the record cannot be read.
        InputError: the folder holds no run, or its record is damaged.
    """
    path = folder / "experiment.json"
    if not is_there(path):
        raise InputError(f"{folder} holds no run (no experiment.json); give a run directory like runs/ENV/NAME/seed0")
    record = read_json(path)
    if not isinstance(record, dict) or not isinstance(record.get("seed"), int) or "experiment" not in record:
        raise InputError(f"{path} is no run's record; restore it or train again")
    return record
