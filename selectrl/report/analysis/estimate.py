"""One estimated number: its value, its interval, and the number of seeds behind it."""

from __future__ import annotations

from typing import TypeAlias

import attrs

Interval: TypeAlias = tuple[float, float] | None

ENOUGH_SEEDS = 5
"""With fewer shared seeds nobody can see whether they scatter as an interval assumes."""


@attrs.frozen(kw_only=True)
class Estimate:
    """An estimated number.

    Attributes:
        value: the estimate.
        interval: its 95% interval; absent where there are too few values for one.
        seeds: number of seeds that it is taken over.
    """

    value: float
    interval: Interval
    seeds: int

    @property
    def sign(self) -> int:
        """1 or -1 where the interval excludes zero, else 0."""
        if self.interval is None or self.interval[0] <= 0 <= self.interval[1]:
            return 0
        return 1 if self.interval[0] > 0 else -1
