"""One training step at Point-Robot's published configuration, beside a naive reference in the same run.

16 × 256 RL rows, 16 × 1024 context rows, networks 3 × 256 and 3 × 200, fp32. Nothing is asserted about time.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from naive import NaiveCsro
from published import stepper

HERE = Path(__file__).parent


@pytest.mark.benchmark(group="CSRO step, published Point-Robot configuration")
def test_csro_step(benchmark):
    benchmark.pedantic(stepper("csro"), rounds=10, warmup_rounds=2)


@pytest.mark.benchmark(group="CSRO step, published Point-Robot configuration")
def test_naive_csro_step(benchmark):
    benchmark.pedantic(NaiveCsro().step, rounds=2, warmup_rounds=1)


@pytest.mark.benchmark(group="SELECT step, published Point-Robot configuration")
def test_select_step(benchmark):
    benchmark.pedantic(stepper("select"), rounds=10, warmup_rounds=2)


def test_time_and_memory_beside_the_naive_reference():
    found = {}
    for kind, steps in (("csro", 5), ("select", 5), ("naive", 2)):
        command = [sys.executable, str(HERE / "peak.py"), kind, str(steps)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=HERE)
        found[kind] = json.loads(done.stdout)
    print(f"\n{'step':<8}{'seconds':>9}{'peak MiB above imports':>24}{'naive time / time':>19}")
    for kind, one in found.items():
        ratio = found["naive"]["seconds"] / one["seconds"]
        print(f"{kind:<8}{one['seconds']:>9.3f}{one['peak_mib']:>24.0f}{ratio:>19.1f}")
    assert found["csro"]["peak_mib"] < found["naive"]["peak_mib"]
