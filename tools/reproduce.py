"""Compares seeds that were trained again with the record of the same experiment; ``make reproduce`` trains them.

The machine of the record gives the same numbers. On another processor rounding makes other data of the same kind, so
that a new seed is an additional seed. The exit code is 1 if Student's 95% interval of the difference of the two means
over seeds, with the spread of both, excludes zero, or if no seed is shared.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.stats import ttest_ind


def returns(runs: Path, label: str) -> dict[int, float]:
    """Return each seed's mean return over the unseen tasks, in one evaluation of the runs in a folder."""
    files = runs.glob(f"seed*/evaluations/{label}.json")
    evaluations = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    return {evaluation["seed"]: float(np.mean(evaluation["return_per_task"])) for evaluation in evaluations}


def main(arguments: Sequence[str]) -> int:
    """Print the returns of the record next to the new ones, and their difference."""
    label, *folders = arguments
    record, new = (returns(Path(folder), label) for folder in folders)
    shared = sorted(record.keys() & new.keys())
    if not shared:
        sys.stderr.write(f"no seed has the evaluation {label} in both: {sorted(record)} recorded, {sorted(new)} new\n")
        return 1
    for seed in shared:
        sys.stdout.write(
            f"seed {seed}: {record[seed]:.4f} recorded, {new[seed]:.4f} new, {new[seed] - record[seed]:+.1e}\n"
        )
    before, after = list(record.values()), [new[seed] for seed in shared]
    low, high = ttest_ind(after, before).confidence_interval(0.95)
    significance = "no significant difference" if low <= 0 <= high else "a significant difference"
    seeds = f"{len(after)} and {len(before)} seeds"
    sys.stdout.write(
        f"{np.mean(after):.2f} new, {np.mean(before):.2f} recorded, {seeds}: {significance}, "
        f"{np.mean(after) - np.mean(before):+.2f}, 95% interval {low:+.2f} to {high:+.2f}\n"
    )
    return 0 if low <= 0 <= high else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
