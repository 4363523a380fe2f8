"""A tiny belief filter and a store of three tasks, some of whose episodes end early."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import attrs
import fakes
import numpy as np
import torch
from torch import Tensor

from selectrl.data.episodes import Episodes
from selectrl.data.rows import RowStore
from selectrl.protocols import Phase
from selectrl.registry import ENCODERS

TINY = fakes.TINY["encoders.borel"]
TIME = fakes.SPEC.horizon
TASKS = (7, 1, 4)  # not in order
COUNTS = {7: 5, 1: 4, 4: 3}  # episodes; no multiple of the 2 of a sequence, but for one task


def build(spec: Any = fakes.SPEC, **changes: Any) -> Any:
    return fakes.scramble(ENCODERS.build(attrs.evolve(TINY, **changes), spec))


def goal_reward(parameters: Any, obs: Any, action: Any, next_obs: Any) -> Any:
    return (parameters * next_obs).sum(-1) - action[..., 0]


def make_store(reward_of: Any = goal_reward) -> RowStore:
    """Three tasks with different numbers of episodes, some of which end early."""

    def task(number: int) -> Episodes[Tensor]:
        rng, n = np.random.default_rng(number), COUNTS[number]
        values = rng.standard_normal((n, TIME + 1, 3)), rng.uniform(-1, 1, (n, TIME, 2))
        obs, action = (torch.from_numpy(value).float() for value in values)
        reward = goal_reward(torch.tensor([float(number), 1.0, -1.0]), obs[:, :-1], action, obs[:, 1:])
        length = torch.tensor([TIME, 2, TIME, 4, TIME][:n])
        return Episodes(obs, action, reward, torch.zeros(n, TIME, dtype=torch.bool), length, torch.zeros(n))

    entries = [SimpleNamespace(task=n, parameter=(float(n), 1.0, -1.0)) for n in TASKS]
    dataset: Any = SimpleNamespace(task=task, manifest=SimpleNamespace(spec=fakes.SPEC, tasks=entries))
    return RowStore(dataset, TASKS, reward_of=reward_of)


def prepared(encoder: Any, store: RowStore, seed: int = 0) -> dict[str, Tensor]:
    _, rl = encoder.phases(Phase(name="rl", steps=1))
    return rl.prepare(store, np.random.default_rng(seed))
