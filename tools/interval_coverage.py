"""Simulate how often the intervals of a report cover what they claim to.

Prints one line per scatter and number of seeds: the share of simulated comparisons whose interval covers the truth,
for these tasks (the mean over the tasks that were drawn) and for other tasks of the family (the mean over all tasks).
Nominal is 95%.

    python tools/interval_coverage.py [--repeats 4000] [--tasks 10]
"""

from __future__ import annotations

import argparse
import sys
from typing import NamedTuple

import numpy as np

from selectrl.functional.estimates import student_interval, two_way_interval

SEEDS = (3, 5, 10)


class Scatter(NamedTuple):
    """Standard deviations of the normal effects in a table of seeds and tasks."""

    seeds: float
    tasks: float
    interaction: float


SCATTERS = {
    "seeds": Scatter(seeds=1.0, tasks=0.0, interaction=0.5),
    "tasks": Scatter(seeds=0.0, tasks=1.0, interaction=0.5),
    "both": Scatter(seeds=1.0, tasks=1.0, interaction=0.5),
    "interaction": Scatter(seeds=0.0, tasks=0.0, interaction=1.0),
}


class Coverage(NamedTuple):
    """Shares of intervals that cover the truth."""

    these_tasks: float
    other_tasks: float


def coverage(scatter: Scatter, seeds: int, tasks: int, repeats: int, seed: int = 0) -> Coverage:
    """Draw tables of seeds and tasks around a mean of zero, and count the intervals that cover the truth."""
    generator = np.random.default_rng([seed, seeds, tasks])
    these = other = 0
    for _ in range(repeats):
        of_tasks = scatter.tasks * generator.normal(size=tasks)
        of_seeds = scatter.seeds * generator.normal(size=(seeds, 1))
        table = of_tasks + of_seeds + scatter.interaction * generator.normal(size=(seeds, tasks))
        low, high = student_interval(table.mean(axis=1))
        these += low <= of_tasks.mean() <= high
        low, high = two_way_interval(table)
        other += low <= 0 <= high
    return Coverage(these / repeats, other / repeats)


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=4000)
    parser.add_argument("--tasks", type=int, default=10)
    options = parser.parse_args()
    print("| scatter of | seeds | these tasks | other tasks |")  # noqa: T201
    print("| --- | ---: | ---: | ---: |")  # noqa: T201
    for name, scatter in SCATTERS.items():
        for seeds in SEEDS:
            shares = coverage(scatter, seeds, options.tasks, options.repeats)
            print(f"| {name} | {seeds} | {shares.these_tasks:.1%} | {shares.other_tasks:.1%} |")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
