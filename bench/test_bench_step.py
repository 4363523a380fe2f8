"""A training step of every method at laptop sizes, of two at published ones, beside a naive reference of the same run.

Published for Point-Robot: 16 × 256 RL rows, 16 × 1024 context rows, networks 3 × 256 and 3 × 200, fp32. Nothing is
asserted about time.
"""

from __future__ import annotations

import pytest
from measure import in_own_process
from naive import NaiveCsro
from published import shipped_experiment, stepper

from selectrl.gin_edge import shipped


@pytest.mark.benchmark(group="training step, published Point-Robot configuration")
@pytest.mark.parametrize("method", ["select", "csro"])
def test_step(benchmark, method):
    benchmark.pedantic(stepper(shipped_experiment(method)), rounds=10, warmup_rounds=2)


@pytest.mark.benchmark(group="training step, laptop profile of Point-Robot")
@pytest.mark.parametrize("method", shipped("methods"))
def test_laptop_step(benchmark, method):
    benchmark.pedantic(stepper(shipped_experiment(method, profile="laptop")), rounds=20, warmup_rounds=2)


@pytest.mark.benchmark(group="training step, published Point-Robot configuration")
def test_naive_csro_step(benchmark):
    benchmark.pedantic(NaiveCsro().step, rounds=2, warmup_rounds=1)


def test_time_and_memory_beside_the_naive_reference():
    found = {kind: in_own_process("peak.py", kind, "point_robot", "1") for kind in ("csro", "select", "naive")}
    print(f"\n{'step':<8}{'seconds':>9}{'peak MiB above imports':>24}{'naive time / time':>19}")
    for kind, one in found.items():
        ratio = found["naive"]["seconds"] / one["seconds"]
        print(f"{kind:<8}{one['seconds']:>9.3f}{one['peak_mib']:>24.0f}{ratio:>19.1f}")
    assert found["csro"]["peak_mib"] < found["naive"]["peak_mib"]
