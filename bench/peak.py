"""Run one kind of step in a process of its own; print time, memory and the floor of its matrix products as JSON.

Usage: python bench/peak.py naive|METHOD [ENV [STEPS [PROFILE]]]

The floor is the operations by formula (``roofline.py``) over the fastest rate at which this process multiplies matrices
of the step's dominant shapes: rows by a hidden layer (forwards), and a hidden layer's transpose by rows (its gradient).
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from naive import NaiveCsro
from published import shipped_experiment, stepper
from roofline import step_flops

from selectrl.registry import FAMILIES


def peak() -> float:
    """Peak resident memory of this process since it was started, MiB (``ru_maxrss`` would inherit the parent's)."""
    line = next(one for one in Path("/proc/self/status").read_text().splitlines() if one.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def fastest(function: Callable[[], object], rounds: int) -> float:
    """Return the shortest of several durations after one that is not counted, seconds."""
    times = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times[1:])


def gemm_rate(rows: int, width: int) -> float:
    """Return operations per second of the faster of the two shapes that dominate a step."""
    x, w, out, grad = (torch.randn(shape) for shape in [(rows, width), (width, width)] * 2)
    products = (lambda: torch.mm(x, w, out=out), lambda: torch.mm(x.T, x, out=grad))
    return 2 * rows * width**2 / min(fastest(product, 20) for product in products)


def measure(method: str, env: str, steps: int, profile: str | None) -> dict[str, object]:
    """Return what a step of a method takes; two steps make a round, as SELECT's actor moves on every second one."""
    experiment = shipped_experiment(method, env, profile)
    rows, hidden = experiment.train.meta_batch * experiment.train.batch, experiment.critic.hidden[0]
    step = stepper(experiment)

    def pair() -> None:
        step()
        step()

    rate = gemm_rate(rows, hidden)
    seconds = fastest(pair, steps) / 2
    rate = max(rate, gemm_rate(rows, hidden))  # taken before and after, because a loaded machine is not even
    flops = step_flops(experiment, FAMILIES.build(experiment.env).spec)
    return {"seconds": seconds, "flops": flops, "gemm_rate": rate, "over_floor": seconds * rate / flops}


def main() -> None:
    """Measure the kind of step that the command line names."""
    method, env, steps, profile = [*sys.argv[1:], *("naive", "point_robot", "3", "")[len(sys.argv) - 1 :]]
    before = peak()
    if method == "naive":
        found: dict[str, object] = {"seconds": fastest(NaiveCsro().step, int(steps))}
    else:
        found = measure(method, env, int(steps), profile or None)
    about = {"method": method, "env": env, "profile": profile or "published", "threads": torch.get_num_threads()}
    print(json.dumps(about | found | {"peak_mib": peak() - before}))


if __name__ == "__main__":
    main()
