"""SELECT learns Point-Robot from scripted data in a short run: with context of the task it finds goals it never saw."""

from __future__ import annotations

import numpy as np
import pytest

from selectrl import compose
from selectrl.collectors.configs import OfflineConfig
from selectrl.data.store import Episodes, write_manifest, write_task
from selectrl.experiment.execution import Execution
from selectrl.experiment.run import Run
from selectrl.experiment.training import train
from selectrl.registry import FAMILIES

SETTINGS = [
    "encoders.csro.hidden=(64,64)",
    "encoders.csro.club_hidden=(64,64)",
    "critics.dual_target.hidden=(64,64)",
    "policies.deterministic.hidden=(64,64)",
    "encoders.csro.lr=1e-3",
    "encoders.csro.club_weight=10.0",  # at 25 so few steps barely leave the bound's hold, by a processor's rounding
    "encoders.csro.club_lr=1e-3",
    "critics.dual_target.q_lr=1e-3",
    "critics.dual_target.v_lr=1e-3",
    "actors.weighted_bc.lr=1e-3",
    "critics.dual_target.tau=0.02",
    "train.steps=1500",
    "train.meta_batch=10",
    "train.batch=64",
    "train.context=64",
    "train.test_every=1500",
    "test.repeats=2",
    "test.budget=100",
    "data.name=scripted",
]


def scripted_data(folder, family, rng):
    """Episodes from random to nearly greedy, 15 levels of 10 episodes a task."""
    level = np.repeat(np.linspace(0, 1, 15), 10)[:, None]
    entries = []
    for task, goal in enumerate(family.parameters):
        obs, action = np.zeros((150, 21, 2)), np.zeros((150, 20, 2))
        for t in range(20):
            greedy = np.clip((goal - obs[:, t]) / 0.1, -1, 1)
            action[:, t] = np.clip(level * greedy + (1 - level) * rng.uniform(-1, 1, (150, 2)), -1, 1)
            obs[:, t + 1] = obs[:, t] + 0.1 * action[:, t]
        reward = -np.linalg.norm(obs[:, 1:] - goal, axis=-1)
        data = Episodes(
            obs.astype(np.float32),
            action.astype(np.float32),
            reward.astype(np.float32),
            np.zeros((150, 20), bool),
            np.full(150, 20),
            np.round(level[:, 0] * 1000).astype(np.int64),
        )
        entries.append(write_task(folder, task, goal, data))
    split = {"train": list(family.train_tasks), "test": list(family.test_tasks)}
    write_manifest(
        folder,
        env="point_robot",
        env_id=family.env_id,
        env_config={},
        spec=family.spec,
        tasks=entries,
        behaviour={},
        split=split,
    )


@pytest.mark.slow
def test_select_adapts_to_unseen_goals(tmp_path):
    experiment = compose("select", "point_robot", settings=SETTINGS)
    scripted_data(
        tmp_path / "data" / "point_robot" / "scripted", FAMILIES.build(experiment.env), np.random.default_rng(0)
    )
    run = Run(tmp_path / "run", experiment, 0, Execution(data=tmp_path / "data"))
    train([run])
    assert run.dataset.read_tasks == set(run.family.train_tasks)  # no test task was read for training
    offline = run.evaluate("offline", OfflineConfig())
    assert offline.final_return > -15  # -8 to -11 over seeds and processors; standing still -20, optimum -3.86
    assert offline.final_return > offline.context_free + 3
