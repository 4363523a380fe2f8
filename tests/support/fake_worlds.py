"""A family whose episodes may end early, parts that remember what a meta-test asked of them, and one call to run it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple

import fakes
import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from selectrl.collectors.configs import NonPriorConfig, OnlineConfig, ProximalConfig
from selectrl.envs.configs import PointRobotConfig
from selectrl.envs.worlds import Worlds
from selectrl.evaluate.config import TestConfig
from selectrl.evaluate.harness import MetaTest, TestResult
from selectrl.registry import COLLECTORS, FAMILIES
from selectrl.structs import Belief, Moment, Rows, Spec

HORIZON = 5
SHIPPED = [ProximalConfig(), NonPriorConfig(), OnlineConfig()]


# --- a family that falls ----------------------------------------------------------------------------------------------


class Falling(Worlds):
    """Observes (steps of this episode, start, sum of actions), pays start + a₀, and ends after a task's own steps."""

    def __init__(self, family: FallingFamily, tasks: Sequence[int]) -> None:
        super().__init__(len(tasks), family.spec.horizon, spaces.Box(-99, 99, (3,), np.float32), 2)
        self.lives = np.array([family.lives.get(task, 99) for task in tasks])
        self.start, self.sum = np.zeros(len(tasks)), np.zeros(len(tasks))
        self.log, self.reward = family.log, family.reward

    def _start(self, mask: Any, seeds: Any) -> None:
        self.log.append(("reset", mask.copy(), list(seeds)))
        for world in np.flatnonzero(mask):
            self.start[world] = np.random.default_rng(seeds[world]).uniform(1, 2)
        self.sum[mask] = 0.0

    def _advance(self, actions: Any) -> tuple[Any, Any]:
        self.log.append(("step", self._observe(), actions.copy()))
        self.sum += actions.sum(-1)
        return self.reward(self.start + actions[:, 0]), self.elapsed + 1 >= self.lives

    def _observe(self) -> Any:
        elapsed = np.where(self.ended & (self.elapsed == 0), 0, self.elapsed)
        return np.stack((elapsed, self.start, self.sum), -1).astype(np.float32)


class FallingFamily:
    """Tasks by number, some of which end after so many steps."""

    spec = Spec(obs=3, action=2, horizon=HORIZON, dynamics_vary=False)
    env_id, train_tasks, test_tasks = "fake", (), ()
    parameters = np.zeros((10, 1))

    def __init__(self, lives: dict[int, int] | None = None, reward: Callable[[Any], Any] = lambda value: value) -> None:
        self.lives, self.reward = lives or {}, reward
        self.log: list[tuple[Any, ...]] = []

    def worlds(self, tasks: Sequence[int], *, threads: int = 1) -> Falling:
        return Falling(self, tasks)


# --- parts that tell -----------------------------------------------------------------------------------------------


class State(NamedTuple):
    """What a filter has seen, as a tuple of (rows, live)."""

    seen: tuple[tuple[Rows, Tensor], ...]

    def field(self, name: str) -> np.ndarray:
        """A field of all transitions, (world, time, …)."""
        return np.stack([getattr(rows, name).numpy() for rows, _ in self.seen], 1)


class Telling:
    """An encoder whose belief is the number of transitions seen, and which remembers every state that was read."""

    latent_dim = fakes.LATENT

    def __init__(self) -> None:
        self.reads: list[State] = []

    def init(self, worlds: int) -> State:
        self.worlds = worlds
        return State(())

    def step(self, state: State, rows: Rows, live: Tensor) -> State:
        return State((*state.seen, (rows, live)))

    def read(self, state: State) -> Belief:
        self.reads.append(state)
        seen = sum((live.float() for _, live in state.seen), torch.zeros(self.worlds))
        z = seen[:, None].expand(-1, self.latent_dim)
        return Belief(z, torch.full_like(z, 0.1))


class Pointing:
    """A policy whose mode grows with z, so that returns tell the belief it acted under."""

    temperature = 0.0

    def mode(self, obs: Tensor, z: Tensor) -> Tensor:
        return 0.01 * z[:, :2] * torch.ones_like(obs[:, :2])

    def sample(self, obs: Tensor, z: Tensor, normal: Tensor) -> Any:
        return SimpleNamespace(action=(self.mode(obs, z) + 0.3 * normal).clamp(-1, 1))


class Collecting:
    """A collector that remembers its calls; it acts on what it is told, under noise for a belief."""

    offline = ""

    def __init__(self, every_step: bool = False, size: float = 0.0) -> None:
        self.every_step, self.size = every_step, size
        self.latents: list[tuple[Belief, Tensor]] = []
        self.acts: list[tuple[Tensor, float]] = []
        self.asked: list[tuple[float, bool]] = []

    def latent(self, belief: Belief, normal: Tensor) -> Tensor:
        self.latents.append((belief, normal.clone()))
        return normal

    def act(self, policy: Any, obs: Tensor, z: Tensor, moment: Moment) -> Tensor:
        self.acts.append((z.clone(), moment.progress))
        return self.size * moment.normal

    def updates(self, progress: float, block_end: bool) -> bool:
        self.asked.append((progress, block_end))
        return block_end or self.every_step

    def keeps(self, returns: Tensor) -> Tensor:
        return torch.ones(len(returns), dtype=torch.bool)


def meta_test(
    collector: Any,
    *,
    family: Any = None,
    encoder: Any = None,
    policy: Any = None,
    tasks: Sequence[int] = (0, 1, 2),
    blocks: int = 3,
    repeats: int = 2,
    **options: Any,
) -> tuple[TestResult, Any]:
    """Run a meta-test; returns the result and the encoder."""
    family, encoder = family or FallingFamily(), encoder or Telling()
    agent: Any = SimpleNamespace(encoder=encoder, policy=policy or Pointing())
    budget = blocks * family.spec.horizon
    config = TestConfig(budget=budget, repeats=repeats, seed=options.pop("seed", 0))
    built = COLLECTORS.build(collector) if COLLECTORS.find(type(collector)) else collector
    prior = options.pop("prior", None)
    return MetaTest(agent.encoder, agent.policy, family, built, config, tasks=tasks, **options).run(prior), encoder


def point_robot(collector: Any, **options: Any) -> TestResult:
    """A meta-test of a random agent on Point-Robot."""
    agent, _, _ = fakes.method("csro")
    fakes.scramble(agent)
    parts = {"encoder": agent.encoder, "policy": agent.policy}
    return meta_test(collector, family=FAMILIES.build(PointRobotConfig()), **parts, **options)[0]
