"""4 million transitions, 40 tasks of Half-Cheetah-Vel's shape: seconds to open them, memory to train on them."""

from __future__ import annotations

import subprocess
import sys
from time import perf_counter

import numpy as np
import pytest

from selectrl.data.store import Episodes, OfflineDataset, write_manifest, write_task
from selectrl.envs.configs import HalfCheetahVelConfig
from selectrl.registry import FAMILIES

EPISODES = 500  # per task, of 200 steps
TRAIN = """
import sys
from pathlib import Path
import torch
import selectrl
from selectrl.experiment.run import Execution, Run

def peak():
    line = next(one for one in Path("/proc/self/status").read_text().splitlines() if one.startswith("VmHWM"))
    return int(line.split()[1]) / 1024

settings = ["data.name='big'", "train.steps=5", "test.repeats=1"]
experiment = selectrl.compose("select", "half_cheetah_vel", settings=settings)
Run(Path(sys.argv[1]) / "run", experiment, 0, Execution(data=Path(sys.argv[1]))).train()
print(peak())
"""


@pytest.fixture(scope="module")
def big(tmp_path_factory):
    root = tmp_path_factory.mktemp("big")
    family, rng = FAMILIES.build(HalfCheetahVelConfig()), np.random.default_rng(0)
    spec, folder = family.spec, root / "half_cheetah_vel" / "big"
    entries = []
    for task, parameter in enumerate(family.parameters):
        episodes = Episodes(
            rng.standard_normal((EPISODES, spec.horizon + 1, spec.obs), np.float32),
            rng.uniform(-1, 1, (EPISODES, spec.horizon, spec.action)).astype(np.float32),
            rng.standard_normal((EPISODES, spec.horizon), np.float32),
            np.zeros((EPISODES, spec.horizon), np.bool_),
            np.full(EPISODES, spec.horizon, np.int64),
            np.ones(EPISODES, np.int64),
        )
        entries.append(write_task(folder, task, [float(v) for v in parameter], episodes))
    split = {"train": list(family.train_tasks), "test": list(family.test_tasks)}
    write_manifest(
        folder,
        env="half_cheetah_vel",
        env_id=family.env_id,
        env_config={},
        spec=spec,
        tasks=entries,
        behaviour={},
        split=split,
    )
    OfflineDataset.open(folder)  # reads and stamps it
    return root


def test_open_and_train(big, capsys):
    folder = big / "half_cheetah_vel" / "big"
    times = []
    for _ in range(5):
        begin = perf_counter()
        dataset = OfflineDataset.open(folder)
        times.append(perf_counter() - begin)
    size = sum(entry.bytes for entry in dataset.manifest.tasks) / 2**20
    done = subprocess.run([sys.executable, "-c", TRAIN, str(big)], capture_output=True, text=True, check=True)
    rows = sum(entry.rows for entry in dataset.manifest.tasks)
    peak = float(done.stdout.split()[-1])
    with capsys.disabled():
        print(f"\n{rows:,} transitions, {size:.0f} MiB: opened in {min(times):.4f} s;", end=" ")
        print(f"training on them peaks at {peak:.0f} MiB, {peak - size:.0f} above the dataset")
    assert rows == 4_000_000
