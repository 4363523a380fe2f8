"""A running collection: worlds, learners and replay in lockstep, saved so that it resumes bit for bit after a kill."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from torch import Tensor

from selectrl.arrays import Array
from selectrl.behaviour.config import SacBehaviourConfig
from selectrl.behaviour.parts import REMEDY, write_part
from selectrl.behaviour.play import play
from selectrl.behaviour.replay import Replay, to_device
from selectrl.behaviour.sac import BatchedSac
from selectrl.errors import RunError
from selectrl.protocols import TaskFamily
from selectrl.streams import key, stream
from selectrl.tensor_files import open_tensors, write_tensors


class LockstepCollection:
    """The learners of all tasks, all at the same step.

    The caller runs the loop::

        collection = LockstepCollection(family, config, tasks, work)
        collection.resume()
        while collection.step < config.steps:
            collection.advance()

    Every draw is a function of (seed, purpose, task, step), so only the learners and their replay are saved: the worlds
    are restored by a repetition of the stored actions of their current episodes.

    Args:
        family: the task family.
        config: the learners and the checkpoints.
        tasks: ids of the tasks to collect.
        work: folder of the parts and of the saved state.
        device: device of networks and replay.
        threads: CPU threads of the simulator.

    Attributes:
        step: environment steps that every task has taken.
        label: the latest kept checkpoint; 0 before the first.
        returns: mean return of each task's latest kept checkpoint, (task,); NaN before its first.
    """

    def __init__(
        self,
        family: TaskFamily,
        config: SacBehaviourConfig,
        tasks: Sequence[int],
        work: Path,
        device: str = "cpu",
        threads: int = 1,
    ) -> None:
        self.family, self.config, self.tasks, self.work = family, config, list(tasks), work
        self.device, self.threads = device, threads
        self.step, self.label, self.returns = 0, 0, np.full(len(tasks), np.nan)
        self.sac = BatchedSac(config, family.spec, tasks, device)
        self.replay = Replay(len(tasks), config.steps, family.spec, device)
        self.worlds = family.worlds(tasks, threads=threads)
        self.obs: Array = np.zeros((len(tasks), family.spec.obs), np.float32)
        self.start = np.zeros(len(tasks), np.int64)  # (task,) step at which the current episode began
        self.periods = np.zeros(len(tasks), np.int64)  # (task,) ⌊step / period⌋ at the latest checkpoint, kept or not

    def advance(self) -> None:
        """Take one step in every task, with the updates, the checkpoints and the resets that are due."""
        step, config = self.step, self.config
        if step < config.warmup:
            action = self._uniform("warmup", step, self.family.spec.action)
        else:
            action = self._act(self.obs[:, None], self._normal("act", step, 1))[:, 0]
            self.train()
        next_obs, reward, terminated, truncated, _ = self.worlds.step(action)
        ended = terminated | truncated
        self.replay.add(self.obs, action, reward, next_obs, terminated, ended)
        self.step, self.obs = step + 1, next_obs
        if ended.any():
            self._checkpoint(ended)
            self.start[ended] = self.step
            self.obs = self._reset(ended)

    def resume(self) -> None:
        """Load the saved state, or start from the beginning without one.

        Raises:
            RunError: the saved state is damaged.
            UnreadableError: it exists, but cannot be read.
        """
        if self._path.exists():
            try:
                with open_tensors(self._path, "pt") as handle:
                    state = {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118
            except SafetensorError as error:
                raise RunError(f"{self._path} cannot be read ({error}); {REMEDY}") from error
            self.sac.load(state)
            self.replay.load(state)
            self.step = self.replay.size
            self.start, self.periods = state["start"].numpy(), state["periods"].numpy()
        for step in range(int(self.start.min()), self.step + 1):
            pending = self.start >= step  # these worlds restart at each step until their episode begins
            if pending.any():
                self.obs = self._reset(pending)
            if step < self.step:
                self.obs = self.worlds.step(self.replay.action[:, step].cpu().numpy())[0]

    def save(self) -> None:
        """Save everything that the next step depends on."""
        state = {"start": torch.from_numpy(self.start), "periods": torch.from_numpy(self.periods)}
        state |= self.sac.state() | self.replay.state()
        write_tensors(self._path, {name: value.cpu().numpy() for name, value in state.items()})

    @property
    def _path(self) -> Path:
        return self.work / "state.safetensors"

    def train(self) -> None:
        """Make the updates that are due at this step; on a GPU they are queued, and the host does not wait for them."""
        rounds, wait = divmod(self.step - self.config.warmup, self.config.train_every)
        if wait:
            return
        for count in range(self.config.updates_per_step):
            update, batch = rounds * self.config.updates_per_step + count, self.config.batch
            index = self._stream("rows", update).integers(0, self.replay.size, (len(self.family.parameters), batch))
            self.sac.update(
                self.replay.rows(index[self.tasks]),
                self._normal("actor", update, batch),
                self._normal("target", update, batch),
                move_target=update % self.config.target_every == 0,
            )

    def _checkpoint(self, ended: Array) -> None:
        """Keep episodes of every task whose episode ended in a new period."""
        period, config = self.step // self.config.period, self.config
        due = ended & (self.step > config.warmup) & (period > self.periods)
        self.periods[due] = period
        label, places = period * config.period, np.flatnonzero(due).tolist()
        if not places or label not in config.labels or self.step >= config.steps:
            return
        tasks = [self.tasks[place] for place in places]
        policy = self.sac.policy.take(places)

        def act(obs: Array, time: int) -> Array:
            normal = self._normal(f"keep {label}", time, config.episodes)[places]
            return self._act(obs, normal, policy)

        seeds = [[self._seed(f"keep {label} {episode}", task) for episode in range(config.episodes)] for task in tasks]
        episodes = play(self.family, tasks, seeds, act, label, self.threads)
        write_part(self.work, self.step, tasks, episodes)
        self.label = max(self.label, label)
        self.returns[places] = episodes.reward.sum(-1).mean(-1)

    def _act(self, obs: Array, normal: Tensor, policy: Any = None) -> Array:
        with torch.no_grad():
            action, _ = self.sac.sample(to_device(obs, self.device), normal, policy)
        values: Array = action.cpu().numpy()  # the only wait for a GPU in a step: the worlds need the actions
        if not np.isfinite(values).all():
            raise RunError(f"a behaviour policy is no longer finite at step {self.step}; lower behaviour.sac.lr")
        return values

    def _reset(self, mask: Array) -> Array:
        """Reset the worlds in the mask, each with the seed of the step at which its episode begins."""
        seeds = [self._seed(f"reset {start}", task) for start, task in zip(self.start, self.tasks, strict=True)]
        obs: Array = self.worlds.reset(seed=seeds, options={"reset_mask": mask})[0]
        return obs

    def _seed(self, purpose: str, task: int) -> int:
        return key(self.config.seed, "behaviour", purpose, task) % 2**31

    def _stream(self, purpose: str, step: int) -> np.random.Generator:
        return stream(self.config.seed, "behaviour", purpose, step)

    def _uniform(self, purpose: str, step: int, width: int) -> Array:
        """Return uniform actions, (task, action); drawn for the whole family, whichever tasks are collected."""
        drawn = self._stream(purpose, step).random((len(self.family.parameters), width), dtype=np.float32)
        return (2 * drawn - 1)[self.tasks]

    def _normal(self, purpose: str, step: int, batch: int) -> Tensor:
        """Return normal noise, (task, batch, action), drawn likewise."""
        shape = (len(self.family.parameters), batch, self.family.spec.action)
        drawn = self._stream(purpose, step).standard_normal(shape, dtype=np.float32)[self.tasks]
        return to_device(drawn, self.device)
