"""Hold seeds that were trained anew against the record of the same experiment; ``make reproduce`` trains them.

On the machine of the record the same numbers come out. On another processor rounding makes other data of the same kind,
so that a seed anew is one more seed: exit 1 where the two means are told apart by Student's 95% interval of their
difference over seeds, the spread being that of both, or where no seed is shared.
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
    found = [json.loads(file.read_text(encoding="utf-8")) for file in runs.glob(f"seed*/evaluations/{label}.json")]
    return {one["seed"]: float(np.mean(one["return_per_task"])) for one in found}


def main(arguments: Sequence[str]) -> int:
    """Print the record of an evaluation beside what came out anew."""
    label, *folders = arguments
    record, anew = (returns(Path(folder), label) for folder in folders)
    shared = sorted(record.keys() & anew.keys())
    if not shared:
        sys.stderr.write(f"no seed was tested as {label} in both: {sorted(record)} recorded, {sorted(anew)} anew\n")
        return 1
    for seed in shared:
        sys.stdout.write(
            f"seed {seed}: {record[seed]:.4f} recorded, {anew[seed]:.4f} anew, {anew[seed] - record[seed]:+.1e}\n"
        )
    before, after = list(record.values()), [anew[seed] for seed in shared]
    low, high = ttest_ind(after, before).confidence_interval(0.95)
    told = "not told apart" if low <= 0 <= high else "told apart"
    seeds = f"{len(after)} and {len(before)} seeds"
    sys.stdout.write(
        f"{np.mean(after):.2f} anew, {np.mean(before):.2f} recorded, {seeds}: {told}, the difference is "
        f"{np.mean(after) - np.mean(before):+.2f}, 95% interval {low:+.2f} to {high:+.2f}\n"
    )
    return 0 if low <= 0 <= high else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
