"""Run one kind of step in a process of its own; print time per step and peak memory above the imports' as JSON.

Usage: python bench/peak.py naive|csro|select [steps]
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import torch
from naive import NaiveCsro
from published import stepper


def peak() -> float:
    """Peak resident memory of this process since it was started, MiB (``ru_maxrss`` would inherit the parent's)."""
    line = next(one for one in Path("/proc/self/status").read_text().splitlines() if one.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def main() -> None:
    """Measure the kind of step that the command line names."""
    kind, steps = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 3
    before = peak()
    step = NaiveCsro().step if kind == "naive" else stepper(kind)
    times = []
    for _ in range(steps):
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    print(
        json.dumps(
            {"kind": kind, "seconds": min(times), "peak_mib": peak() - before, "threads": torch.get_num_threads()}
        )
    )


if __name__ == "__main__":
    main()
