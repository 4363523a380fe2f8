"""The replay of every task's SAC; all tasks are at the same step, so time is a common axis."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from selectrl.arrays import Array
from selectrl.data.store import Episodes
from selectrl.structs import Rows, Spec

FIELDS = ("obs", "action", "reward", "next_obs", "terminal", "ended")


class Replay:
    """All transitions of all tasks, in the order of time.

    Attributes:
        obs: (task, step, obs); the other fields of a row likewise.
        ended: 1.0 at the last step of each episode, by termination or time-out, (task, step).
        size: number of filled steps.
    """

    def __init__(self, tasks: int, capacity: int, spec: Spec, device: str = "cpu") -> None:
        self.device, self.size = device, 0
        self.obs = torch.zeros(tasks, capacity, spec.obs, device=device)
        self.action = torch.zeros(tasks, capacity, spec.action, device=device)
        self.reward = torch.zeros(tasks, capacity, device=device)
        self.next_obs = torch.zeros(tasks, capacity, spec.obs, device=device)
        self.terminal = torch.zeros(tasks, capacity, device=device)
        self.ended = torch.zeros(tasks, capacity, device=device)

    def add(self, *row: Array) -> None:
        """Append one step of every task: obs, action, reward, next_obs, terminal, ended, each (task, …)."""
        for name, value in zip(FIELDS, row, strict=True):
            getattr(self, name)[:, self.size] = to_device(value.astype(np.float32), self.device)
        self.size += 1

    def rows(self, index: Array) -> Rows:
        """Return rows by step, for an index of (task, batch)."""
        steps = to_device(index, self.device)
        capacity = self.reward.shape[1]
        flat = (steps + capacity * torch.arange(len(steps), device=self.device)[:, None]).flatten()
        obs, action, reward, next_obs, terminal = (
            field.flatten(0, 1).index_select(0, flat).view(*steps.shape, *field.shape[2:])
            for field in (self.obs, self.action, self.reward, self.next_obs, self.terminal)
        )
        return Rows(obs, action, reward, next_obs, terminal, steps)

    def first_episodes(self, task: int, count: int, horizon: int) -> Episodes[Array]:
        """Return a task's first whole episodes, padded to the horizon and labelled 0; fewer if there are fewer."""
        stops = np.flatnonzero(self.ended[task, : self.size].cpu().numpy())[:count] + 1
        episodes = empty_episodes((len(stops),), horizon, self.obs.shape[-1], self.action.shape[-1])
        for episode, (start, stop) in enumerate(zip([0, *stops[:-1]], stops, strict=True)):
            length = int(stop - start)
            episodes.obs[episode, :length] = self.obs[task, start:stop].cpu()
            episodes.obs[episode, length] = self.next_obs[task, stop - 1].cpu()
            episodes.action[episode, :length] = self.action[task, start:stop].cpu()
            episodes.reward[episode, :length] = self.reward[task, start:stop].cpu()
            episodes.terminal[episode, :length] = self.terminal[task, start:stop].cpu()
            episodes.length[episode] = length
        return episodes

    def state(self) -> dict[str, Tensor]:
        """Return the filled part of every field, by name."""
        return {f"replay.{name}": getattr(self, name)[:, : self.size].contiguous() for name in FIELDS}

    def load(self, state: dict[str, Tensor]) -> None:
        """Load a state that :meth:`state` returned."""
        self.size = state["replay.reward"].shape[1]
        for name in FIELDS:
            getattr(self, name)[:, : self.size] = state[f"replay.{name}"].to(self.device)


def to_device(array: Array, device: str) -> Tensor:
    """Copy an array to the device; to a GPU from pinned memory, so that the host does not wait."""
    tensor = torch.from_numpy(array)
    return tensor if device == "cpu" else tensor.pin_memory().to(device, non_blocking=True)


def empty_episodes(lead: tuple[int, ...], time: int, obs: int, action: int) -> Episodes[Array]:
    """Return episodes of zeros, with the leading axes ``lead`` in place of the episode axis."""
    return Episodes(
        obs=np.zeros((*lead, time + 1, obs), np.float32),
        action=np.zeros((*lead, time, action), np.float32),
        reward=np.zeros((*lead, time), np.float32),
        terminal=np.zeros((*lead, time), np.bool_),
        length=np.zeros(lead, np.int64),
        label=np.zeros(lead, np.int64),
    )
