"""One estimated number: its value, its intervals, and the number of seeds behind it."""

from __future__ import annotations

from typing import TypeAlias

import attrs

from selectrl.arrays import DoubleArray
from selectrl.functional.estimates import student_interval, two_way_interval

Interval: TypeAlias = tuple[float, float] | None

FEWEST_SEEDS = 3
"""With fewer seeds there is no interval."""

ENOUGH_SEEDS = 5
"""With fewer seeds it cannot be seen whether they scatter as an interval assumes."""


@attrs.frozen(kw_only=True)
class Estimate:
    """An estimated number.

    Attributes:
        value: the estimate.
        interval: its 95% interval on these tasks: other seeds, the same tasks; absent with too few seeds.
        interval_other_tasks: its 95% interval on other tasks of the family: other seeds, other tasks; absent with too
            few seeds, with a single task, and for numbers that are not means over tasks.
        seeds: number of seeds that it is taken over.
    """

    value: float
    interval: Interval
    interval_other_tasks: Interval = None
    seeds: int

    @property
    def sign(self) -> int:
        """1 or -1 where the interval excludes zero, else 0."""
        if self.interval is None or self.interval[0] <= 0 <= self.interval[1]:
            return 0
        return 1 if self.interval[0] > 0 else -1


def these_tasks(values: DoubleArray) -> Interval:
    """Return Student's interval over seeds of a mean on these tasks.

    Args:
        values: (seed,) or (seed, task); differences are paired before.
    """
    enough = len(values) >= FEWEST_SEEDS
    return student_interval(values.reshape(len(values), -1).mean(axis=1)) if enough else None


def other_tasks(values: DoubleArray) -> Interval:
    """Return the interval of a mean over seeds and tasks on other tasks of the family; values are (seed, task)."""
    seeds, tasks = values.shape
    return two_way_interval(values) if seeds >= FEWEST_SEEDS and tasks > 1 else None
