"""Builds the records of a meta-test from its results."""

from __future__ import annotations

from typing import Any

import numpy as np

from selectrl.evaluate.config import TestConfig
from selectrl.evaluate.harness import TestResult
from selectrl.experiment.config import Experiment
from selectrl.functional.estimates import area, stratified_bootstrap
from selectrl.registry import registered_name
from selectrl.runs.evaluation import EvaluationRecord
from selectrl.runs.metrics import TestLine


def curve_point(result: TestResult, step: int, experiment: Experiment) -> TestLine:
    """Return a meta-test during training as a point of the learning curve."""
    curve = _tuples(result.returns.mean((0, 1)).tolist())
    return TestLine(
        step=step,
        collector=registered_name(experiment.collector),
        final_return=curve[-1],
        context_free=curve[0],
        context_steps=tuple(result.context_steps),
        curve=curve,
    )


def evaluation_record(result: TestResult, test: TestConfig, horizon: int, **about: Any) -> EvaluationRecord:
    """Return the record of a meta-test, with a 95 % interval over repeats within tasks.

    Args:
        result: its measurements.
        test: its settings.
        horizon: steps of an episode.
        about: the other fields of the record: label, run, collector, data and code.
    """
    final, steps = result.returns[:, :, -1], np.array(result.context_steps, float)
    curve = result.returns.mean((0, 1))
    low, high = stratified_bootstrap(final, np.mean) if test.repeats > 1 else (float(final.mean()),) * 2
    return EvaluationRecord(
        **about,
        protocol=test.protocol,
        budget=test.budget,
        block=horizon,
        repeats=test.repeats,
        prior=test.prior,
        test_seed=test.seed,
        tasks=tuple(result.tasks),
        context_steps=tuple(result.context_steps),
        returns=_tuples(result.returns.tolist()),
        final_return=float(final.mean()),
        interval=(float(low), float(high)),
        context_free=float(curve[0]),
        curve=_tuples(curve.tolist()),
        area=float(area(steps, curve)) if len(steps) > 1 else float(curve[0]),
        return_per_task=_tuples(final.mean(1).tolist()),
        return_per_repeat=_tuples(final.mean(0).tolist()),
        env_steps=result.env_steps,
        **{name: _tuples(value) for name, value in result.about.items()},
    )


def _tuples(value: Any) -> Any:
    """Return nested lists as tuples."""
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
