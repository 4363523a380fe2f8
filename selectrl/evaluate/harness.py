"""Meta-test: collect context in unseen tasks, update the belief, and score the policy under it.

Context is collected in blocks of exactly one horizon, all worlds (tasks × repeats) in lockstep; an episode that ends
early restarts inside its block, so that an agent that falls gets no extra context. Before the first block and after
each one the policy is scored for one episode, without exploration, under the belief's mean; scored episodes never enter
the context. Starts and noise are keyed by (task, repeat, purpose), the same for every method and amount of context.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar, cast

import attrs
import numpy as np
import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from selectrl.arrays import BoolArray, DoubleArray, FloatArray
from selectrl.data.rows import RowStore
from selectrl.errors import InputError, RunError
from selectrl.evaluate.config import TestConfig
from selectrl.evaluate.noise import CommonNoise
from selectrl.evaluate.stored import read_stored
from selectrl.protocols import ContextCollector, ContextEncoder, Policy, State, TaskFamily
from selectrl.structs import Belief, Moment, Rows

T = TypeVar("T", bound="tuple[Any, ...]")


@attrs.frozen(kw_only=True, eq=False)
class TestResult:
    """The result of a meta-test.

    Attributes:
        tasks: ids of the tested tasks.
        context_steps: environment steps of context before each scored episode, (point,).
        returns: undiscounted raw return of each scored episode, (task, repeat, point).
        explored: observations of the first repeat's collection, (task, block, time + 1, obs); empty if offline.
        scored: observations of the first repeat's scored episodes, (task, point, time + 1, obs); NaN after the end.
        latents: mean of the belief before each scored episode, (task, repeat, point, latent).
        env_steps: environment steps per world, by purpose.
        about: further values of a published protocol; empty in ``equal_budget``.
    """

    __test__ = False

    tasks: tuple[int, ...]
    context_steps: tuple[int, ...]
    returns: DoubleArray
    explored: FloatArray
    scored: FloatArray
    latents: FloatArray
    env_steps: Mapping[str, int]
    about: Mapping[str, Any] = attrs.field(factory=dict)


class MetaTest(Generic[State]):
    """One trained encoder and policy with one collector on a set of tasks.

    Args:
        encoder: filters the context.
        policy: acts.
        family: the task family.
        collector: how context is gathered.
        config: budget, repeats, prior and seed.
        tasks: ids of the tasks.
        stored: the tasks' stored data, which only an offline collector needs.
        threads: that simulate the worlds.

    Raises:
        InputError: the budget is not a multiple of the horizon.
    """

    def __init__(
        self,
        encoder: ContextEncoder[State],
        policy: Policy,
        family: TaskFamily,
        collector: ContextCollector,
        config: TestConfig,
        *,
        tasks: Sequence[int],
        stored: RowStore | None = None,
        threads: int = 1,
    ) -> None:
        self.encoder, self.policy = encoder, policy
        self.family, self.collector, self.config = family, collector, config
        self.tasks, self.stored = tuple(tasks), stored
        self.horizon = family.spec.horizon
        if config.budget % self.horizon:
            raise InputError(
                f"test.budget: expected a multiple of the horizon {self.horizon}, got {config.budget}; "
                f"{config.budget // self.horizon * self.horizon} is the nearest below"
            )
        self.blocks = config.budget // self.horizon
        self.worlds = [(task, repeat) for task in self.tasks for repeat in range(config.repeats)]
        self.noise = CommonNoise(config.seed, self.worlds)
        self.env = family.worlds([task for task, _ in self.worlds], threads=threads)

    @torch.no_grad()
    def run(self, prior: Tensor | None = None, watch: Watch | None = None) -> TestResult:
        """Collect and score.

        Args:
            prior: z before any context, (latent,); ``None`` is the encoder's own.
            watch: called with every step that is taken, while the worlds stand as it left them.

        Raises:
            RunError: a return is not finite.
        """
        count, spec = len(self.worlds), self.family.spec
        state = self.encoder.init(count)
        belief = self.encoder.read(state)
        if prior is not None:
            belief = belief._replace(z=prior.expand_as(belief.z))
        normal = self.noise.normal("explore", self.config.budget, spec.action)
        uniform = self.noise.uniform("explore_uniform", self.config.budget, spec.action)
        held = self.noise.normal("explore_held", self.blocks, spec.action)
        latent_normal = self.noise.normal("latent", self.blocks, self.encoder.latent_dim)
        returns, scored, explored, latents = [], [], [], []
        gained = torch.zeros(count, 0)  # returns of the blocks collected, (world, block)
        for block in range(self.blocks + 1):
            latents.append(belief.z.numpy())
            total, path = self._score(block, state, belief, watch)
            returns.append(total)
            scored.append(path)
            if block == self.blocks:
                break
            if self.collector.offline:
                state = self._read_stored(state, block)
                belief = self.encoder.read(state)
                continue
            part = slice(block * self.horizon, (block + 1) * self.horizon)
            noise = Explore(normal[:, part], uniform[:, part], held[:, block], latent_normal[:, block])
            after, belief, path, gain = self._collect(block, state, belief, noise, watch)
            explored.append(path)
            gained = torch.cat((gained, gain[:, None]), 1)
            keep = self.collector.keeps(gained)
            if not keep.all():
                after = chosen(keep, after, state)
                belief = self.encoder.read(after)
            state = after
        values = np.stack(returns, -1).reshape(len(self.tasks), self.config.repeats, -1)
        refuse_infinite(values, self.tasks)
        return TestResult(
            tasks=self.tasks,
            context_steps=tuple(block * self.horizon for block in range(self.blocks + 1)),
            returns=values,
            explored=np.stack(explored, 1) if explored else np.zeros((len(self.tasks), 0, 0, 0), np.float32),
            scored=np.stack(scored, 1),
            latents=np.stack(latents, 1).reshape(*values.shape, -1),
            env_steps={"collection": self.config.budget, "scored": (self.blocks + 1) * self.horizon},
        )

    def _collect(
        self, block: int, state: State, belief: Belief, noise: Explore, watch: Watch | None
    ) -> tuple[State, Belief, FloatArray, Tensor]:
        """Collect one block; return encoder state, belief, the first repeat's observations, and returns (world,)."""
        live = torch.ones(len(self.worlds), dtype=torch.bool)
        obs, _ = self.env.reset(seed=self.noise.seeds("explore", block * self.horizon))
        path = [obs[:: self.config.repeats].copy()]
        z = self.collector.latent(belief, noise.latent)
        gain = torch.zeros(len(self.worlds))
        for t in range(self.horizon):
            progress = (block * self.horizon + t) / self.config.budget
            moment = Moment(noise.normal[:, t], noise.held, noise.uniform[:, t], belief.spread, progress)
            action = self.collector.act(self.policy, torch.from_numpy(obs), z, moment)
            rows, obs, done = step(self.env, obs, action)
            gain = gain + rows.reward
            if watch:
                watch(Moved(self.env, "explore", block * self.horizon + t + 1, gain.double().numpy(), live.numpy()))
            path.append(obs[:: self.config.repeats].copy())
            state = self.encoder.step(state, rows, live)
            if self.collector.updates(progress, t + 1 == self.horizon):
                belief = self.encoder.read(state)
                z = self.collector.latent(belief, noise.latent)
            obs = self._restart(obs, done, "explore", block * self.horizon + t + 1)
        return state, belief, np.stack(path, 1), gain

    def _score(self, block: int, state: State, belief: Belief, watch: Watch | None) -> tuple[DoubleArray, FloatArray]:
        """Score one episode; return each world's return, and the first repeat's observations."""
        total = np.zeros(len(self.worlds))
        live = np.ones(len(self.worlds), dtype=bool)
        obs, _ = self.env.reset(seed=self.noise.seeds("score", 0))
        path = [obs[:: self.config.repeats].copy()]
        unread: list[tuple[Rows, Tensor]] = []  # steps that the belief has not seen; most collectors' never does
        for t in range(self.horizon):
            action = self.policy.mode(torch.from_numpy(obs), belief.z)
            rows, obs, done = step(self.env, obs, action)
            total += np.where(live, rows.reward.double().numpy(), 0.0)
            if watch:
                watch(Moved(self.env, "score", block * self.horizon, total.copy(), live))
            path.append(np.where(live[:, None], obs, np.nan).astype(np.float32)[:: self.config.repeats])
            unread.append((rows, torch.from_numpy(live)))
            if self.collector.updates(block / max(self.blocks, 1), block_end=False):
                for unread_step in unread:  # a filter continues on a copy
                    state = self.encoder.step(state, *unread_step)
                unread.clear()
                belief = self.encoder.read(state)
            live = live & ~done
            obs = self._restart(obs, done, "score_rest", t + 1)  # it steps on unseen: worlds move in lockstep
        return total, np.stack(path, 1)

    def _restart(self, obs: FloatArray, done: BoolArray, purpose: str, episode: int) -> FloatArray:
        """Start a new episode where one ended early; return all worlds' observations."""
        if not done.any() or episode % self.horizon == 0:
            return obs
        started: FloatArray = self.env.reset(seed=self.noise.seeds(purpose, episode), options={"reset_mask": done})[0]
        return started

    def _read_stored(self, state: State, block: int) -> State:
        """Take in one block of each world's stored data."""
        if self.stored is None:
            raise InputError("offline context needs the stored data of the test tasks; give the dataset")
        return read_stored(
            self.encoder, state, self.stored, self.worlds, block, kind=self.collector.offline, seed=self.config.seed
        )


class Moved(NamedTuple):
    """One step of all worlds, for those who watch a meta-test.

    Attributes:
        worlds: the vector environment, as the step left it.
        phase: ``explore`` or ``score``.
        context: environment steps of context so far.
        gained: return so far, of the block or of the scored episode, (world,).
        live: whose step it was; an episode that ended is over, although its world still steps, (world,).
    """

    worlds: Any
    phase: str
    context: int
    gained: DoubleArray
    live: BoolArray


Watch = Callable[[Moved], None]


class Explore(NamedTuple):
    """The noise of one block, see :class:`Moment`."""

    normal: Tensor  # (world, time, action)
    uniform: Tensor  # (world, time, action)
    held: Tensor  # (world, action)
    latent: Tensor  # (world, latent)


def step(env: Any, obs: FloatArray, action: Tensor) -> tuple[Rows, FloatArray, BoolArray]:
    """Step all worlds; return the transitions, the next observations, and where an episode ended."""
    executed = action.clamp(-1, 1)
    next_obs, reward, terminated, truncated, _ = env.step(executed.numpy())
    rows = Rows(
        torch.from_numpy(obs),
        executed,
        torch.from_numpy(np.asarray(reward)).float(),
        torch.from_numpy(next_obs),
        torch.from_numpy(terminated).float(),
        torch.zeros(len(obs), dtype=torch.int64),
    )
    return rows, next_obs, terminated | truncated


def refuse_infinite(returns: DoubleArray, tasks: Sequence[int]) -> None:
    """Check returns, (task, repeat, point).

    Raises:
        RunError: one is not finite; the first is named.
    """
    bad = np.argwhere(~np.isfinite(returns))
    if len(bad):
        task, repeat, point = bad[0].tolist()
        raise RunError(
            f"the return of test task {tasks[task]}, repeat {repeat}, scored episode {point} is "
            f"{returns[task, repeat, point]}, expected a finite number; the policy or the environment is broken"
        )


def chosen(keep: Tensor, new: T, old: T) -> T:
    """Return a filter's new state in the worlds that keep it, (world,), and the old one in the others."""
    return cast(T, tree_map(lambda a, b: torch.where(keep.reshape(-1, *[1] * (a.dim() - 1)), a, b), new, old))
