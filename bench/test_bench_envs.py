"""Steps of 64 Half-Cheetah worlds on 2 threads, beside the bare C steps and Gymnasium's SyncVectorEnv in the same run.

A step is all that a user calls: actions in, simulation, observations, rewards, ends and the resets after 200 steps. The
machine may be shared, so ratios are those of the least times of rounds that take turns. Nothing is asserted about time.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

import gymnasium
import mujoco
import numpy as np
import pytest
from gymnasium.vector import SyncVectorEnv
from mujoco.batch import Batch

from selectrl.envs.half_cheetah_vel import HalfCheetahVelConfig
from selectrl.envs.mujoco_worlds import MujocoWorlds
from selectrl.envs.robots import compiled

WORLDS, THREADS, STEPS, SKIP = 64, 2, 200, 5
ACTIONS = np.random.default_rng(0).uniform(-1, 1, (STEPS, WORLDS, 6)).astype(np.float32)
GROUP = pytest.mark.benchmark(group=f"an episode of {STEPS} steps in {WORLDS} Half-Cheetah worlds, {THREADS} threads")


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MujocoWorlds, "threads", THREADS)


def ours() -> Callable[[], None]:
    worlds = HalfCheetahVelConfig().build().worlds([world % 40 for world in range(WORLDS)])
    worlds.reset(seed=0)

    def episode() -> None:
        for actions in ACTIONS:
            _, _, terminated, truncated, _ = worlds.step(actions)
            if (ended := terminated | truncated).any():
                worlds.reset(options={"reset_mask": ended})

    return episode


def raw() -> Callable[[], None]:
    batch = Batch(compiled("half_cheetah"), WORLDS, nthread=THREADS)
    control = np.repeat(ACTIONS.swapaxes(0, 1), SKIP, axis=1).astype(np.float64)
    part = int(mujoco.mjtState.mjSTATE_CTRL)

    def episode() -> None:
        batch.reset()
        batch.rollout(STEPS * SKIP, control, part, record=())

    return episode


def sync() -> Callable[[], None]:
    mujoco.set_mju_user_warning(lambda text: None)  # their robot file is deprecated in parts
    worlds = SyncVectorEnv([lambda: gymnasium.make("HalfCheetah-v5", max_episode_steps=STEPS)] * WORLDS)
    worlds.reset(seed=0)

    def episode() -> None:
        for actions in ACTIONS:
            worlds.step(actions)

    return episode


@GROUP
def test_worlds(benchmark, threads):
    benchmark.pedantic(ours(), rounds=5, warmup_rounds=1)


@GROUP
def test_bare_rollout(benchmark):
    benchmark.pedantic(raw(), rounds=5, warmup_rounds=1)


@GROUP
def test_sync_vector_env(benchmark):
    benchmark.pedantic(sync(), rounds=2, warmup_rounds=1)


def test_ratios(threads):
    episodes = {"worlds": ours(), "bare rollout": raw(), "SyncVectorEnv": sync()}
    least = dict.fromkeys(episodes, float("inf"))
    for turn in range(11):
        for name, episode in episodes.items():
            if name == "SyncVectorEnv" and turn % 3:
                continue  # it takes long
            begin = perf_counter()
            episode()
            least[name] = min(least[name], perf_counter() - begin)
    print(f"\n{'episode':<16}{'seconds':>9}{'env steps / s':>15}{'time / bare':>13}{'SyncVectorEnv / time':>22}")
    for name, seconds in least.items():
        rate, over = WORLDS * STEPS / seconds, seconds / least["bare rollout"]
        print(f"{name:<16}{seconds:>9.3f}{rate:>15.0f}{over:>13.2f}{least['SyncVectorEnv'] / seconds:>22.2f}")
    assert min(least.values()) > 0
