"""The transitions of a run's training tasks, stacked so that a batch of rows needs one gather per field."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import torch
from torch import Tensor

from selectrl.arrays import Array, IntArray
from selectrl.data.store import OfflineDataset
from selectrl.errors import CompositionError, InputError
from selectrl.protocols import Reward
from selectrl.structs import Rows

TERMINALS = ("true", "paper")


class RowStore:
    """Transitions of some tasks of a dataset, in memory.

    A row is numbered ``episode * time + t`` in its task; it leads from state t to state t + 1 of its episode. Valid
    rows are those before their episode's end, in ascending order; the rank of a row is its place among them.

    Attributes:
        spec: shapes of the task family.
        tasks: ids of the tasks, (task,) int64; the *local* index of a task is its place here.
        place: the local index of each id, (largest id + 1,) int64; -1 for ids that are not loaded.
        counts: valid rows of each task, (task,) int64, on the host.
        episodes: width of the episode axis; tasks with fewer episodes are padded with empty ones.
        time: width of the time axis.
        obs: (task, episode * (time + 1), obs) float32.
        action: (task, episode * time, action) float32.
        reward: (task, episode * time) float32.
        terminal: (task, episode * time) float32, 1 where the bootstrap ends.
        length: steps of each episode, (task, episode) int64, 0 for padding.
        parameters: the numbers that distinguish the tasks, (task, parameter) float32.
        reward_of: the family's reward as a function of parameters and transition, if any.
        device: device of the tensors.
    """

    def __init__(
        self,
        dataset: OfflineDataset,
        tasks: Sequence[int],
        *,
        terminals: str = "true",
        reward_of: Reward | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        """Load the tasks; no other task of the dataset is opened.

        Args:
            dataset: the data.
            tasks: ids of the tasks.
            terminals: ``true`` ends the bootstrap at true terminations only, ``paper`` at the last row of every episode
                too, as the published code does.
            reward_of: the family's reward, for :meth:`relabel`.
            device: device of the tensors.

        Raises:
            DataError: the dataset lacks a task.
            InputError: no tasks, a task named twice, or an unknown kind of terminals.
        """
        if not tasks or len(set(tasks)) < len(tasks):
            raise InputError(f"tasks: expected one id or more, each once, got {list(tasks)}")
        if terminals not in TERMINALS:
            raise InputError(f"terminals: expected one of {', '.join(TERMINALS)}, got {terminals!r}")
        loaded = [dataset.task(task) for task in tasks]
        n, spec = len(tasks), dataset.manifest.spec
        self.spec = spec
        self.device = torch.device(device)
        self.episodes = max(e.action.shape[0] for e in loaded)
        self.time = max(e.action.shape[1] for e in loaded)
        obs = torch.zeros(n, self.episodes, self.time + 1, spec.obs)
        action = torch.zeros(n, self.episodes, self.time, spec.action)
        reward = torch.zeros(n, self.episodes, self.time)
        terminal = torch.zeros(n, self.episodes, self.time)
        length = torch.zeros(n, self.episodes, dtype=torch.int64)
        for i, e in enumerate(loaded):
            episodes, time = e.reward.shape
            obs[i, :episodes, : time + 1] = e.obs
            action[i, :episodes, :time] = e.action
            reward[i, :episodes, :time] = e.reward
            terminal[i, :episodes, :time] = e.terminal.float()
            if terminals == "paper":
                terminal[i, torch.arange(episodes), e.length - 1] = 1.0
            length[i, :episodes] = e.length
        self.tasks = torch.tensor(tasks, dtype=torch.int64, device=self.device)
        self.place = torch.full((max(tasks) + 1,), -1, dtype=torch.int64, device=self.device)
        self.place[self.tasks] = torch.arange(n, device=self.device)
        self.obs = obs.flatten(1, 2).to(self.device)
        self.action = action.flatten(1, 2).to(self.device)
        self.reward = reward.flatten(1).to(self.device)
        self.terminal = terminal.flatten(1).to(self.device)
        self.length = length.to(self.device)
        by_task = {entry.task: entry.parameter for entry in dataset.manifest.tasks}
        parameters = np.array([by_task[task] for task in tasks], np.float32)
        self.parameters = torch.from_numpy(parameters).to(self.device)
        self.reward_of = reward_of
        self.episode_counts: IntArray = (length > 0).sum(1).numpy()
        self.counts: IntArray = length.sum(1).numpy()
        self._valid = _valid_rows(length, self.time, self.counts)
        if self._valid is not None:
            self._valid = self._valid.to(self.device)

    def put(self, values: Array) -> Tensor:
        """Return an array as a tensor on the device of the rows; the host does not wait for the copy."""
        tensor = torch.from_numpy(np.require(values, requirements="C"))
        return tensor.pin_memory().to(self.device, non_blocking=True) if self.device.type == "cuda" else tensor

    def rows(self, local: Tensor, rank: Tensor) -> Tensor:
        """Return row numbers (task, batch) of the ranks (task, batch) in the tasks with local indices (task,).

        Ranks must be from 0 to the task's count - 1; this is not checked.

        Raises:
            InputError: the two do not agree on the task axis.
        """
        if local.ndim != 1 or rank.ndim != 2 or rank.shape[0] != local.shape[0]:
            got = f"{tuple(local.shape)} and {tuple(rank.shape)}"
            raise InputError(f"local, rank: expected shapes (task,) and (task, batch), got {got}")
        if self._valid is None:
            return rank
        return _pick(self._valid, local[:, None], rank)

    def gather(self, local: Tensor, rank: Tensor, fields: Collection[str]) -> Rows:
        """Return rows (task, batch, …), one gather per field; fields that are not named have width 0.

        Args:
            local: local index of each task, (task,) int64.
            rank: ranks of the rows in each task, (task, batch) int64; see :meth:`rows`.
            fields: names among obs, action, reward, next_obs and terminal; ``row`` is always included.

        Raises:
            InputError: the shapes of local and rank do not agree.
        """
        return self._gather(local[:, None], self.rows(local, rank), fields)

    def whole(self, local: Tensor, episode: Tensor, fields: Collection[str]) -> Rows:
        """Return whole episodes in sequence, (task, episode * time, …).

        After the end of a short episode, rows are zeros and their number is -1.

        Args:
            local: local index of each episode's task, (task, episode) int64.
            episode: the episodes' places in their tasks, (task, episode) int64.
            fields: names among obs, action, reward, next_obs and terminal; ``row`` is always included.

        Raises:
            InputError: the shapes of local and episode do not agree.
        """
        if local.ndim != 2 or local.shape != episode.shape:
            got = f"{tuple(local.shape)} and {tuple(episode.shape)}"
            raise InputError(f"local, episode: expected one shape (task, episode), got {got}")
        time = torch.arange(self.time, device=self.device)
        row = (episode[..., None] * self.time + time).flatten(1)
        rows = self._gather(local.repeat_interleave(self.time, dim=1), row, fields)
        live = (time < self.length[local, episode][..., None]).flatten(1)
        if self.device.type == "cpu" and bool(live.all()):  # on a GPU the host would wait for this test
            return rows
        values = (rows.obs, rows.action, rows.reward, rows.next_obs, rows.terminal)
        obs, action, reward, next_obs, terminal = (
            torch.where(live[..., None] if value.ndim > 2 else live, value, 0) if value.numel() else value
            for value in values
        )
        return Rows(obs, action, reward, next_obs, terminal, torch.where(live, rows.row, -1))

    def relabel(self, local: Tensor, rows: Rows) -> Rows:
        """Return rows (task, batch, …) with the rewards of the tasks with local indices (task,).

        Raises:
            CompositionError: the family has no reward function of a transition.
        """
        if self.reward_of is None:
            raise CompositionError(
                "relabelled rewards were requested, but this family has no reward function of a transition "
                "(or its dynamics vary); bind the encoder without relabelling"
            )
        reward = self.reward_of(self.parameters[local][:, None], rows.obs, rows.action, rows.next_obs)
        return rows._replace(reward=torch.where(rows.row < 0, 0, reward).to(rows.reward.dtype))

    def _gather(self, local: Tensor, row: Tensor, fields: Collection[str]) -> Rows:
        """Return rows (task, batch, …) by row number; local is (task, 1 or batch)."""
        state = row + row // self.time if "obs" in fields or "next_obs" in fields else row
        vector = self.obs.new_empty((*row.shape, 0))
        scalar = self.reward.new_empty((row.shape[0], 0))
        return Rows(
            obs=_pick(self.obs, local, state) if "obs" in fields else vector,
            action=_pick(self.action, local, row) if "action" in fields else vector,
            reward=_pick(self.reward, local, row) if "reward" in fields else scalar,
            next_obs=_pick(self.obs, local, state + 1) if "next_obs" in fields else vector,
            terminal=_pick(self.terminal, local, row) if "terminal" in fields else scalar,
            row=row,
        )


def _pick(table: Tensor, local: Tensor, place: Tensor) -> Tensor:
    """Return ``table[local[i, j], place[i, j]]``, through one flat index; local may be (task, 1)."""
    flat = place + local * table.shape[1]
    return table.flatten(0, 1).index_select(0, flat.flatten()).view(*place.shape, *table.shape[2:])


def _valid_rows(length: Tensor, time: int, counts: IntArray) -> Tensor | None:
    """Return the row number of each rank, (task, row) int64, or ``None`` where rank and row are the same."""
    valid = (torch.arange(time) < length[:, :, None]).flatten(1)  # (task, episode * time)
    if all(bool(mask[:count].all()) for mask, count in zip(valid, counts.tolist(), strict=True)):
        return None
    rows = torch.zeros(len(counts), int(counts.max()), dtype=torch.int64)
    for i, mask in enumerate(valid):
        rows[i, : int(counts[i])] = mask.nonzero()[:, 0]
    return rows
