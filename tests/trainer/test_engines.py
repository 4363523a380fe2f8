"""Compiled losses on the CPU, where torch traces them as it does for CUDA, and what only a CUDA device can show."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fakes
import pytest
import torch
from torch.utils._pytree import tree_map

from selectrl.experiment.config import to_record
from selectrl.trainer.engine import Engine, stacked

Call = Callable[..., Any]
SIZES = (
    *(
        "STEPS=6",
        "PRETRAIN_STEPS=3",
        "BELIEF_EPISODES=2",
        "negatives.cvae.min_kl=0.0",
        "encoders.corro.min_spread=0.0",
        "train.log_every=1",
    ),
    *("TEST_EVERY=6", "BUDGET=20", "REPEATS=1", "DATASET='tiny'", "envs.point_robot.tasks=8"),
)
TRAIN = """
import json, sys
from pathlib import Path
from selectrl.experiment.config import experiment_from_record
from selectrl.experiment.execution import Execution
from selectrl.experiment.run import Run
from selectrl.experiment.training import train
record, data, out, device, engine, seeds = sys.argv[1:]
execution = Execution(data=Path(data), device=device, engine=engine)
what = experiment_from_record(json.loads(record))
train([Run(Path(out) / str(seed), what, seed, execution) for seed in range(int(seeds))])
"""
cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
absent = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has the device that the test wants missing")


def losses(method: str, data: Path, out: Path, *, device: str = "cpu", engine: str, seeds: int = 1) -> Any:
    """Train a method in a process of its own: torch's compiler does not see through the suite's shape checks."""
    record = json.dumps(to_record(fakes.experiment(method, *SIZES)))
    command = [sys.executable, "-c", TRAIN, record, str(data), str(out), device, engine, str(seeds)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = [line for seed in range(seeds) for line in (out / str(seed) / "metrics.jsonl").read_text().splitlines()]
    return [value for line in lines for value in [json.loads(line).get("values")] if value]


@pytest.mark.parametrize("method", ["select", "offpearl_brac", "corro", "borel"])
def test_compiled_losses_train_as_eager_ones(method: str, data: Path, tmp_path: Path) -> None:
    found, expected = (losses(method, data, tmp_path / engine, engine=engine) for engine in ("compiled", "eager"))
    assert len(found) >= 6
    assert found == expected


@absent
def test_a_missing_device_is_one_sentence(call: Call, small: Call, tmp_path: Path) -> None:
    done = call("train", *small(), "--out", tmp_path / "out", "--device", "cuda")
    assert "torch finds no CUDA device" in done.sentence()
    assert not (tmp_path / "out").exists()


def on_cuda(name: str, seeds: int, compiler: str | None, precision: str = "fp32") -> Iterator[dict[str, Any]]:
    """Steps of a method on the device, each without waiting for it."""
    members = [fakes.method(name, seed=seed) for seed in range(seeds)]
    engine = Engine([agent for agent, _, _ in members], device="cuda", compiler=compiler, precision=precision)
    phase, spec = members[0][1][-1], members[0][2]
    engine.enter(phase)
    for step in range(12):
        drawn = [fakes.phase_batch(phase, seed=1000 * seed + step, spec=spec) for seed in range(seeds)]
        batch = tree_map(lambda value: value.cuda(), stacked(drawn))
        torch.cuda.synchronize()
        torch.cuda.set_sync_debug_mode("error" if step > 6 else "default")  # compilers and recording may wait
        try:
            found = engine.step(batch, step)
        finally:
            torch.cuda.set_sync_debug_mode("default")
        yield found


@cuda
@pytest.mark.parametrize("name", fakes.METHODS)
@pytest.mark.parametrize("seeds", [1, 5])
def test_a_recorded_step_equals_an_eager_one_on_cuda(name: str, seeds: int) -> None:
    pairs = zip(on_cuda(name, seeds, "inductor"), on_cuda(name, seeds, None), strict=True)
    for step, (got, expected) in enumerate(pairs):
        assert got.keys() == expected.keys()
        for term, value in got.items():
            torch.testing.assert_close(value, expected[term], rtol=1e-3, atol=1e-4, msg=f"{term} at step {step}")


@cuda
@pytest.mark.parametrize("method", ["select", "corro", "borel"])
def test_a_population_on_cuda_equals_single_runs_on_the_cpu(method: str, data: Path, tmp_path: Path) -> None:
    here = losses(method, data, tmp_path / "cpu", engine="eager", seeds=2)
    there = losses(method, data, tmp_path / "cuda", device="cuda", engine="compiled", seeds=2)
    for got, expected in zip(there, here, strict=True):
        assert got == pytest.approx(expected, rel=1e-2, abs=1e-3)
