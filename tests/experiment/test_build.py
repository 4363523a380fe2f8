"""An agent is built from parts that fit, or refused in one sentence."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import attrs
import fakes
import pytest
import torch
from torch import nn

from selectrl.actors.configs import SacConfig
from selectrl.errors import CompositionError
from selectrl.experiment.build import build_phases
from selectrl.protocols import Objective, Optim
from selectrl.structs import Batch, Losses
from selectrl.trainer.agent import AgentModule
from selectrl.trainer.config import TrainConfig
from selectrl.trainer.engine import Engine


class AwrActor(nn.Module):
    """Maximises the log-likelihood of the data's actions, by their advantage."""

    def __init__(self, rows: Any) -> None:
        super().__init__()
        self.rows = rows

    def loss(self, agent: Any, batch: Batch) -> Losses:
        rl, z = batch.draws["rl"], batch.latent.z
        advantage = agent.critic.q(rl.obs, rl.action, z).amin(0) - agent.critic.v(rl.obs, z, agent.policy)
        weight = advantage.detach().exp().clamp(max=20)
        return Losses(-(weight * agent.policy.log_prob(rl.obs, z, rl.action)).mean(), {})

    def objectives(self) -> tuple[Objective, ...]:
        moves = {"policy": Optim()}
        return (Objective(name="policy", loss=self.loss, moves=moves, draws=self.rows, density=True),)


def method(policy: Any) -> tuple[AgentModule, Any]:
    """An agent that AWR trains, and its experiment."""
    whole = fakes.agent(fakes.TINY["encoders.focal"], actor=attrs.evolve(fakes.TINY["actors.sac"], policy=policy))
    rows = whole.critic.objectives()[0].draws
    agent = AgentModule(whole.encoder, whole.critic, AwrActor(rows), whole.policy, whole.critic.tracks())
    return agent, SimpleNamespace(train=TrainConfig(steps=3), actor=SacConfig(policy=policy))


def test_an_actor_trains_on_the_density_of_stored_actions() -> None:
    agent, experiment = method(fakes.GAUSSIAN)
    (rl,) = build_phases(experiment, agent)
    before, engine = fakes.snapshot(agent), Engine([agent])
    engine.enter(attrs.evolve(rl, objectives=rl.objectives[-1:], tracks=()))
    engine.step(fakes.phase_batch(rl), 0)
    changed = fakes.changed(before, fakes.snapshot(agent))
    assert changed == {name for name in before if name.startswith("policy.")}


def test_a_density_beside_a_deterministic_policy_is_refused() -> None:
    agent, experiment = method(fakes.DETERMINISTIC)
    with pytest.raises(
        CompositionError, match=r"^objective policy reads the policy's log-probability, which policies\.deterministic"
    ):
        build_phases(experiment, agent)


def test_a_part_that_is_no_module_is_refused() -> None:
    agent, _ = method(fakes.GAUSSIAN)
    policy: Any = SimpleNamespace(temperature=torch.zeros(()))
    with pytest.raises(CompositionError, match=r"^the policy is a SimpleNamespace, expected a torch\.nn\.Module"):
        AgentModule(agent.encoder, agent.critic, agent.actor, policy, agent.critic.tracks())
