"""Measure all numbers of docs/performance.md, one process at a time, into results/performance/<machine>.json.

Usage: python bench/measure.py OUT.json [ROUNDS]
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
from pairs import PAIRS

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


def in_own_process(script: str, *words: str) -> dict[str, Any]:
    """Return what a script of this folder prints: ``peak.py`` of one kind of step, ``pairs.py`` of one pair."""
    command = [sys.executable, str(HERE / script), *words]
    found: dict[str, Any] = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    print(found, file=sys.stderr)
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
    out, rounds = Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "10"
    found = {
        "machine": {"cores": os.cpu_count(), "python": platform.python_version(), "torch": torch.__version__},
        "start_up": start_up(),
        "steps": [in_own_process("peak.py", method, env, rounds, profile) for method, env, profile in CASES],
        "pairs": [in_own_process("pairs.py", name) for name in PAIRS],
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
