"""The scene of a check: small parts of this library, and random data of a synthetic family, in memory."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import attrs
import numpy as np
import torch
from torch import Tensor

from selectrl.actors.configs import SacConfig
from selectrl.critics.configs import TwinQVConfig
from selectrl.data.episodes import Episodes
from selectrl.data.rows import RowStore
from selectrl.data.sampler import Sampler
from selectrl.encoders.sets.configs import FocalConfig
from selectrl.experiment.build import build_agent, build_phases
from selectrl.nets.configs import TanhGaussianConfig
from selectrl.protocols import ActorConfig, CriticConfig, EncoderConfig, Phase
from selectrl.registry import tag
from selectrl.streams import stream
from selectrl.structs import Batch, Spec
from selectrl.trainer.agent import AgentModule
from selectrl.trainer.config import TrainConfig
from selectrl.trainer.engine import Engine
from selectrl.trainer.stage import Stage

#: A synthetic family: rewards vary, dynamics do not.
SPEC = Spec(obs=3, action=2, horizon=5, dynamics_vary=False)
TASKS, EPISODES = 5, 4
TRAIN = TrainConfig(steps=8, meta_batch=4, batch=6, context=8)

HIDDEN = (8, 8)
ENCODER = FocalConfig(latent_dim=3, hidden=HIDDEN)
CRITIC = TwinQVConfig(hidden=HIDDEN)
GAUSSIAN = TanhGaussianConfig(hidden=HIDDEN)
ACTOR = SacConfig(policy=GAUSSIAN)


def part_name(config: object) -> str:
    """Return the name of a config in messages: its registered name, or its class."""
    return tag(config) or type(config).__name__


def synthetic_reward(parameters: Any, obs: Any, action: Any, next_obs: Any) -> Any:
    """Return -(s'₁ - p)² - .1 |a|², the reward of the synthetic tasks."""
    return -((next_obs[..., 0] - parameters[..., 0]) ** 2) - 0.1 * (action * action).sum(-1)


def synthetic_store(spec: Spec = SPEC, *, seed: int = 0) -> RowStore:
    """Return random episodes of a few tasks; the last episode of each task ends early with a true termination."""
    early = max(spec.horizon - 2, 1)

    def episodes(task: int) -> Episodes[Tensor]:
        rng = stream(seed, "made up", task)
        obs = rng.standard_normal((EPISODES, spec.horizon + 1, spec.obs), np.float32)
        action = np.tanh(rng.standard_normal((EPISODES, spec.horizon, spec.action), np.float32))
        reward = synthetic_reward(np.full((1, 1, 1), float(task)), obs[:, :-1], action, obs[:, 1:])
        terminal = np.zeros((EPISODES, spec.horizon), np.bool_)
        terminal[-1, early - 1] = True
        length = np.full(EPISODES, spec.horizon)
        length[-1] = early
        obs[-1, early + 1 :], action[-1, early:], reward[-1, early:] = 0, 0, 0
        arrays = (obs, action, reward.astype(np.float32), terminal, length, np.zeros(EPISODES, np.int64))
        return Episodes(*map(torch.from_numpy, arrays))

    entries = [SimpleNamespace(task=task, parameter=(float(task),)) for task in range(TASKS)]
    dataset: Any = SimpleNamespace(task=episodes, manifest=SimpleNamespace(spec=spec, tasks=entries))
    return RowStore(dataset, range(TASKS), reward_of=None if spec.dynamics_vary else synthetic_reward)


@attrs.frozen(kw_only=True)
class Scene:
    """A composition on synthetic data, which builds new agents for a check.

    Attributes:
        encoder: the encoder's config.
        critic: the critic's config.
        actor: the actor's config, with its policy.
        spec: shapes of the synthetic family.
        train: small settings of the loop.
        store: the synthetic data.
    """

    encoder: EncoderConfig = ENCODER
    critic: CriticConfig = CRITIC
    actor: ActorConfig = ACTOR
    spec: Spec = SPEC
    train: TrainConfig = TRAIN
    store: RowStore = attrs.field(default=attrs.Factory(lambda self: synthetic_store(self.spec), takes_self=True))

    def agent(self, seed: int = 0) -> AgentModule:
        """Return a new agent, equal for equal seeds."""
        return build_agent(cast(Any, self), self.spec, seed)

    def phases(self, agent: AgentModule) -> tuple[Phase, ...]:
        """Return the phases of an agent of this composition."""
        return build_phases(cast(Any, self), agent)

    def sampler(self, seed: int = 0) -> Sampler:
        """Return a sampler of the synthetic data."""
        sizes = {"rl": self.train.batch, "context": self.train.context}
        return Sampler(self.store, meta_batch=self.train.meta_batch, replacement=False, sizes=sizes, seed=seed)

    def batch(self, phase: Phase, step: int = 0, seed: int = 0) -> Batch:
        """Return a batch with all draws and noise of a phase."""
        return self.sampler(seed).phase(attrs.evolve(phase, steps=max(phase.steps, step + 1))).batch(step)

    def prepare_buffers(self, phase: Phase) -> dict[str, Tensor]:
        """Return the buffers that an agent's phase prepares."""
        return phase.prepare(self.store, stream(0, phase.name, "prepare")) if phase.prepare else {}

    def stage(
        self, phase: int, *, seeds: tuple[int, ...] = (0,), change: Callable[[Phase], Phase] = lambda phase: phase
    ) -> Stage:
        """Enter a phase with new agents and return its stage; all agents prepare from the same stream.

        Args:
            phase: place of the phase.
            seeds: seeds of the agents; several seeds are a population.
            change: function applied to the phase before it is entered.
        """
        agents = [self.agent(seed) for seed in seeds]
        stage = Stage(
            engine=Engine(agents),
            phases=[change(self.phases(agent)[phase]) for agent in agents],
            store=self.store,
            samplers=[self.sampler()] * len(agents),
        )
        stage.enter()
        return stage

    def engine(
        self, phase: int, *, seeds: tuple[int, ...] = (0,), change: Callable[[Phase], Phase] = lambda phase: phase
    ) -> Engine:
        """Return the engine of new agents that have entered a phase, see :meth:`stage`."""
        return self.stage(phase, seeds=seeds, change=change).engine


def make_scene(**parts: Any) -> Scene:
    """Return a scene; parts that are None are small parts of this library."""
    return Scene(**{name: part for name, part in parts.items() if part is not None})
