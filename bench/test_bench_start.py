"""How long commands take until they end, beside a Python that imports attrs and NumPy; nothing is asserted about it."""

from __future__ import annotations

import subprocess
import sys

import pytest
from measure import START_UP, start_up


@pytest.mark.benchmark(group="start-up of the command line")
@pytest.mark.parametrize("name", START_UP)
def test_command(benchmark, name):
    command = [sys.executable, *START_UP[name]]
    benchmark.pedantic(subprocess.run, (command,), {"capture_output": True, "check": True}, rounds=5, warmup_rounds=1)


def test_ratios():
    times = start_up()
    print("\n" + "".join(f"{name:<10}{1e3 * t:>6.0f} ms{t / times['bare']:>6.2f}\n" for name, t in times.items()))
    assert min(times.values()) > 0
