"""The values that metrics are taken over: one per seed, or one per seed and test task, of one row."""

from __future__ import annotations

import numpy as np

from selectrl.arrays import DoubleArray
from selectrl.functional.estimates import area, slopes
from selectrl.report.analysis.comparison import obstacle, paired_differences
from selectrl.report.records import Family, Row

TAIL, LATE = 0.2, 0.5
"""The slope at a learning curve's end is taken over this last share of training, or over its last three tests, if
these lie in that one."""


def final(row: Row, family: Family) -> DoubleArray:
    """Return the returns after all context, (seed, task)."""
    del family
    return row.scores[..., -1]


def first(row: Row, family: Family) -> DoubleArray:
    """Return the returns before any context, (seed, task)."""
    del family
    return row.scores[..., 0]


def seed_means(row: Row, family: Family) -> DoubleArray:
    """Return the means over tasks of the returns after all context, (seed,)."""
    means: DoubleArray = final(row, family).mean(axis=1)
    return means


def gain(row: Row, family: Family) -> DoubleArray:
    """Return the returns after all context minus those before any, (seed, task)."""
    return final(row, family) - first(row, family)


def areas(row: Row, family: Family) -> DoubleArray | None:
    """Return the mean heights of the few-shot curves, (seed,); None without a curve."""
    del family
    steps = np.array(row.evaluation.context_steps, float)
    return np.array([area(steps, curve) for curve in row.scores.mean(axis=1)]) if len(steps) > 1 else None


def last_tests(row: Row, count: int) -> DoubleArray | None:
    """Return the mean returns of the last tests in training, (seed,); None where there were fewer."""
    steps, returns = row.learning
    return returns[:, -count:].mean(axis=1) if len(steps) >= count else None


def end_slopes(row: Row, family: Family) -> DoubleArray | None:
    """Return the slopes at the end of training per 1,000 steps, (seed,); None where late tests are too few."""
    del family
    steps, returns = row.learning
    if len(steps) < 3:
        return None
    count = max(int((steps >= (1 - TAIL) * steps[-1]).sum()), 3)
    if steps[-count] < (1 - LATE) * steps[-1]:
        return None
    return 1000 * slopes(steps[-count:], returns[:, -count:])


def offline(row: Row, family: Family) -> DoubleArray | None:
    """Return the returns with context from the data, (seed, task), tested with the row's settings."""
    other = family.offline(row.method)
    return None if other is None or other is row else other.scores[..., -1]


def gap(row: Row, family: Family) -> DoubleArray | None:
    """Return the returns with context from the data minus the row's, (seed, task)."""
    other = family.offline(row.method)
    return None if other is None or other is row else _differences(other, row)


def against_own(row: Row, family: Family) -> DoubleArray | None:
    """Return the row's returns minus those with the method's own collector, (seed, task)."""
    return None if row.own else _differences(row, family.own(row.method))


def _differences(a: Row, b: Row) -> DoubleArray | None:
    """Return a minus b, paired, (seed, task); None where the two must not be compared."""
    return None if obstacle(a.evaluation, b.evaluation) else paired_differences(a, b)[0]
