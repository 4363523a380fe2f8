"""Hold seeds that were trained anew against the record of the same experiment; ``make reproduce`` trains them.

Exit 1 where the mean of the seeds trained anew lies outside the record's 95% interval, or where no seed is shared.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from selectrl.functional.estimates import stratified_bootstrap


def returns(runs: Path, label: str) -> dict[int, list[float]]:
    """Return each seed's return on every unseen task, in one evaluation of the runs in a folder."""
    found = [json.loads(file.read_text(encoding="utf-8")) for file in runs.glob(f"seed*/evaluations/{label}.json")]
    return {one["seed"]: one["return_per_task"] for one in found}


def main(arguments: Sequence[str]) -> int:
    """Print the record of an evaluation beside what came out anew."""
    label, *folders = arguments
    record, anew = (returns(Path(folder), label) for folder in folders)
    shared = sorted(record.keys() & anew.keys())
    if not shared:
        sys.stderr.write(f"no seed was tested as {label} in both: {sorted(record)} recorded, {sorted(anew)} anew\n")
        return 1
    for seed in shared:
        before, after = np.mean(record[seed]), np.mean(anew[seed])
        sys.stdout.write(f"seed {seed}: {before:.4f} recorded, {after:.4f} anew, {after - before:+.1e}\n")
    tasks = np.array(list(record.values())).T
    low, high = stratified_bootstrap(tasks, np.mean, together=True)
    mean = np.mean([anew[seed] for seed in shared])
    inside = low <= mean <= high
    where = "inside" if inside else "outside"
    sys.stdout.write(f"{mean:.2f} anew is {where} {low:.2f} to {high:.2f}, the 95% interval of {tasks.mean():.2f}\n")
    return 0 if inside else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
