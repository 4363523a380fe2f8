"""Episodes of policies that stand still: what a checkpoint leaves in the dataset."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from selectrl.behaviour.replay import blank
from selectrl.data.store import Episodes
from selectrl.protocols import TaskFamily

Array: TypeAlias = NDArray[Any]
Act: TypeAlias = Callable[[Array, int], Array]  # (task, episode, obs) and the time -> (task, episode, action)


def play(
    family: TaskFamily, tasks: Sequence[int], seeds: Sequence[Sequence[int]], act: Act, label: int, threads: int = 1
) -> Episodes[Array]:
    """Play whole episodes in several tasks, all at once.

    Args:
        family: whose tasks they are.
        tasks: ids, (task,).
        seeds: of each episode's start, (task, episode).
        act: the policies.
        label: what the episodes are labelled with.
        threads: that simulate them.

    Returns:
        Episodes with a leading task axis, (task, episode, …), zero after each episode's end.
    """
    spec, lead = family.spec, (len(tasks), len(seeds[0]))
    found = blank(lead, spec.horizon, spec.obs, spec.action)
    found.label[:] = label
    worlds = family.worlds([task for task in tasks for _ in seeds[0]], threads=threads)
    obs = worlds.reset(seed=[seed for row in seeds for seed in row])[0].reshape(*lead, spec.obs)
    found.obs[:, :, 0] = obs
    live = np.ones(lead, np.bool_)
    for time in range(spec.horizon):
        action = act(obs, time)
        moved, reward, terminated, truncated, _ = worlds.step(action.reshape(-1, spec.action))
        obs, terminal = moved.reshape(*lead, spec.obs), terminated.reshape(lead)
        found.obs[live, time + 1], found.action[live, time] = obs[live], action[live]
        found.reward[live, time], found.terminal[live, time] = reward.reshape(lead)[live], terminal[live]
        found.length[live] += 1
        ended = terminated | truncated
        live &= ~ended.reshape(lead)
        if not live.any():
            break
        if ended.any():  # worlds move in lockstep, so one that has ended runs on from a new start, unrecorded
            obs = worlds.reset(options={"reset_mask": ended})[0].reshape(*lead, spec.obs)
    worlds.close()
    return found
