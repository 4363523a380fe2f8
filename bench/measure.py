"""Measure everything that docs/performance.md tells, one process at a time, into results/performance/<machine>.json.

Usage: python bench/measure.py OUT.json [STEPS]
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch

HERE = Path(__file__).parent
METHODS = ("select", "csro", "focal", "offpearl", "corro", "borel")
FAMILIES = ("half_cheetah_vel", "ant_goal", "humanoid_dir", "hopper_rand_params", "walker_rand_params")
CASES = [
    *((method, "point_robot", "laptop") for method in METHODS),
    *((method, "point_robot", "") for method in (*METHODS, "naive")),
    *((method, env, "") for env in FAMILIES for method in ("select", "csro")),
]
COMPOSITION = ("--method", "select", "--env", "point_robot", "--profile", "laptop")
START_UP = {
    "bare": ("-c", "import attrs, numpy"),
    "list": ("-m", "selectrl", "list"),
    "list_json": ("-m", "selectrl", "list", "--json"),
    "dry_run": ("-m", "selectrl", "train", *COMPOSITION, "--dry-run"),
    "help": ("-m", "selectrl", "--help"),
}


def in_own_process(method: str, env: str, steps: int, profile: str = "") -> dict[str, Any]:
    """Return what ``peak.py`` prints of one kind of step."""
    command = [sys.executable, str(HERE / "peak.py"), method, env, str(steps), profile]
    found: dict[str, Any] = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return found


def start_up(rounds: int = 10) -> dict[str, float]:
    """Return the shortest duration of each command, seconds; the commands take turns."""
    times: dict[str, list[float]] = {name: [] for name in START_UP}
    for _ in range(rounds):
        for name, arguments in START_UP.items():
            start = time.perf_counter()
            subprocess.run([sys.executable, *arguments], capture_output=True, check=True)
            times[name].append(time.perf_counter() - start)
    return {name: min(found) for name, found in times.items()}


def main() -> None:
    """Measure and write."""
    out, steps = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 10
    machine = {"cores": os.cpu_count(), "python": platform.python_version(), "torch": torch.__version__}
    found: list[dict[str, Any]] = []
    for case in CASES:
        found.append(in_own_process(case[0], case[1], steps, case[2]))
        print(found[-1], file=sys.stderr)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps({"machine": machine, "start_up": start_up(), "steps": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
