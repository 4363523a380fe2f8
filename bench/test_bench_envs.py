"""Episodes in 64 worlds of each robot, beside the bare C steps and Gymnasium's SyncVectorEnv in the same run.

An episode is all that a user calls: actions in, simulation, observations, rewards, ends and the resets. A robot may
fall under the random actions of this file and start anew; the bare C steps then get the same starts. Gymnasium's robots
(`-v5`) are not quite ours, their simulation steps per action are. The machine may be shared, so ratios are those of the
least times of rounds that take turns. Nothing is asserted about time.
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

import selectrl.envs  # noqa: F401  registers the families
from selectrl.registry import FAMILIES

WORLDS, STEPS = 64, 100
SECONDS = 15  # of turns for each robot
THEIRS = {
    "half_cheetah_vel": "HalfCheetah-v5",
    "ant_goal": "Ant-v5",
    "humanoid_dir": "Humanoid-v5",
    "hopper_rand_params": "Hopper-v5",
    "walker_rand_params": "Walker2d-v5",
}
BUILT = {name: FAMILIES.build(FAMILIES[name].config()) for name in THEIRS}


def drawn(name: str) -> np.ndarray:
    """Actions of an episode, (time, world, action)."""
    return np.random.default_rng(0).uniform(-1, 1, (STEPS, WORLDS, BUILT[name].spec.action)).astype(np.float32)


def ours(name: str, threads: int, starts: list[np.ndarray] | None = None) -> Callable[[], None]:
    worlds = BUILT[name].worlds([world % 40 for world in range(WORLDS)], threads=threads)
    actions = drawn(name)

    def episode() -> None:
        worlds.reset(seed=0)
        for action in actions:
            _, _, terminated, truncated, _ = worlds.step(action)
            ended = terminated | truncated
            if starts is not None:
                starts.append(ended)
            if ended.any():
                worlds.reset(options={"reset_mask": ended})

    return episode


def bare(name: str, threads: int) -> Callable[[], None]:
    """The simulation alone, with our resets of the robots that fell: what no Python around it can beat."""
    starts: list[np.ndarray] = []
    ours(name, 1, starts)()
    fallen = [np.flatnonzero(ended) for ended in starts]
    family, skip = BUILT[name], BUILT[name].kind.frame_skip
    batch = Batch(family.model(), WORLDS, nthread=threads)
    control = drawn(name).astype(np.float64)
    ctrl = batch.bind("ctrl")

    def episode() -> None:
        batch.reset()
        for action, ended in zip(control, fallen, strict=True):
            ctrl[:] = action
            batch.step(nstep=skip)
            if len(ended):
                batch.reset(ended)

    def rollout() -> None:
        batch.reset()
        batch.rollout(STEPS * skip, held, int(mujoco.mjtState.mjSTATE_CTRL), record=())

    held = np.repeat(control.swapaxes(0, 1), skip, axis=1)
    return episode if any(len(ended) for ended in fallen[:-1]) else rollout


def sync(name: str) -> Callable[[], None]:
    mujoco.set_mju_user_warning(lambda text: None)  # their Half-Cheetah is deprecated in parts
    worlds = SyncVectorEnv([lambda: gymnasium.make(THEIRS[name], max_episode_steps=STEPS)] * WORLDS)
    actions = drawn(name)[..., : worlds.single_action_space.shape[0]]

    def episode() -> None:
        worlds.reset(seed=0)
        for action in actions:
            worlds.step(action)

    return episode


@pytest.mark.benchmark(group=f"an episode of {STEPS} steps in {WORLDS} Half-Cheetah worlds, 2 threads")
@pytest.mark.parametrize("what", ["worlds", "bare", "sync"])
def test_episode(benchmark, what):
    name = "half_cheetah_vel"
    made = {"worlds": lambda: ours(name, 2), "bare": lambda: bare(name, 2), "sync": lambda: sync(name)}[what]()
    benchmark.pedantic(made, rounds=3, warmup_rounds=1)


def test_ratios():
    print(f"\n{'':<22}{'threads':>8}{'env steps / s':>15}{'of the bare C rate':>20}{'over SyncVectorEnv':>20}")
    for name in THEIRS:
        episodes = {"sync": sync(name)}
        episodes |= {
            (what, threads): make(name, threads)
            for what, make in (("ours", ours), ("bare", bare))
            for threads in (1, 2)
        }
        least = dict.fromkeys(episodes, float("inf"))
        started, turn = perf_counter(), 0
        while turn < 3 or perf_counter() - started < SECONDS:
            for what, episode in episodes.items():
                if what == "sync" and turn % 4:
                    continue  # it takes long
                begin = perf_counter()
                episode()
                least[what] = min(least[what], perf_counter() - begin)
            turn += 1
        for threads in (1, 2):
            seconds = least["ours", threads]
            over, times = least["bare", threads] / seconds, least["sync"] / seconds
            print(f"{name:<22}{threads:>8}{WORLDS * STEPS / seconds:>15.0f}{over:>20.2f}{times:>20.2f}")
        assert min(least.values()) > 0
