"""Episodes of fixed policies, which a checkpoint adds to the dataset."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from selectrl.arrays import Array
from selectrl.behaviour.replay import empty_episodes
from selectrl.data.store import Episodes
from selectrl.protocols import TaskFamily

Act: TypeAlias = Callable[[Array, int], Array]  # (task, episode, obs) and the time -> (task, episode, action)


def play(
    family: TaskFamily, tasks: Sequence[int], seeds: Sequence[Sequence[int]], act: Act, label: int, threads: int = 1
) -> Episodes[Array]:
    """Play whole episodes in several tasks, all in lockstep.

    Args:
        family: the family of the tasks.
        tasks: ids, (task,).
        seeds: seed of each episode's start, (task, episode).
        act: the policies.
        label: label of the episodes.
        threads: CPU threads of the simulator.

    Returns:
        Episodes with a leading task axis, (task, episode, …), zero after each episode's end.
    """
    spec, lead = family.spec, (len(tasks), len(seeds[0]))
    episodes = empty_episodes(lead, spec.horizon, spec.obs, spec.action)
    episodes.label[:] = label
    worlds = family.worlds([task for task in tasks for _ in seeds[0]], threads=threads)
    obs = worlds.reset(seed=[seed for row in seeds for seed in row])[0].reshape(*lead, spec.obs)
    episodes.obs[:, :, 0] = obs
    live = np.ones(lead, np.bool_)
    for time in range(spec.horizon):
        action = act(obs, time)
        next_obs, reward, terminated, truncated, _ = worlds.step(action.reshape(-1, spec.action))
        obs, terminal = next_obs.reshape(*lead, spec.obs), terminated.reshape(lead)
        episodes.obs[live, time + 1], episodes.action[live, time] = obs[live], action[live]
        episodes.reward[live, time], episodes.terminal[live, time] = reward.reshape(lead)[live], terminal[live]
        episodes.length[live] += 1
        ended = terminated | truncated
        live &= ~ended.reshape(lead)
        if not live.any():
            break
        if ended.any():  # worlds step together: one that has ended restarts, and its further steps are not recorded
            obs = worlds.reset(options={"reset_mask": ended})[0].reshape(*lead, spec.obs)
    worlds.close()
    return episodes
