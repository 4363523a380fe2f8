"""Estimators of the constraint's V."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Generic, TypeVar, cast

from torch import Tensor

from selectrl.critics.configs import (
    EnsembleConfig,
    ExpectileConfig,
    MinTargetQConfig,
    MinTargetQPolicyConfig,
    TdTargetConfig,
)
from selectrl.functional.values import expectile_loss, value_loss
from selectrl.protocols import Agent
from selectrl.structs import Batch

C = TypeVar("C")


class SingleValue(ABC, Generic[C]):
    """A single V network under a mean-square regression."""

    members = 1

    def __init__(self, config: C) -> None:
        self.config = config

    @abstractmethod
    def target(self, agent: Agent, batch: Batch, td_target: Tensor) -> Tensor:
        """Return what V regresses on, (task, batch)."""

    def loss(self, v: Tensor, target: Tensor) -> Tensor:
        """Return the mean square, a scalar."""
        return value_loss(v, target)

    def combine(self, v: Tensor) -> Tensor:
        """Return the network's value, (task, batch)."""
        return v[0]


class TdTargetValue(SingleValue[TdTargetConfig]):
    """V on the critic's own y."""

    def target(self, agent: Agent, batch: Batch, td_target: Tensor) -> Tensor:
        """Return y, (task, batch)."""
        return td_target


class MinTargetQValue(SingleValue[MinTargetQConfig]):
    """V on the smaller target Q at the data's action."""

    def target(self, agent: Agent, batch: Batch, td_target: Tensor) -> Tensor:
        """Return the smaller target Q at the data's action, (task, batch)."""
        return smaller_target_q(agent, batch, batch.draws["rl"].action)


class MinTargetQPolicyValue(SingleValue[MinTargetQPolicyConfig]):
    """V on the smaller target Q at the policy's action."""

    def target(self, agent: Agent, batch: Batch, td_target: Tensor) -> Tensor:
        """Return the smaller target Q at the policy's mode, (task, batch)."""
        return smaller_target_q(agent, batch, agent.policy.mode(batch.draws["rl"].obs, batch.latent.z))


class ExpectileValue(SingleValue[ExpectileConfig]):
    """V on the upper expectile of the smaller target Q at the data's actions."""

    def target(self, agent: Agent, batch: Batch, td_target: Tensor) -> Tensor:
        """Return the smaller target Q at the data's action, (task, batch)."""
        return smaller_target_q(agent, batch, batch.draws["rl"].action)

    def loss(self, v: Tensor, target: Tensor) -> Tensor:
        """Return the asymmetric square, a scalar."""
        return expectile_loss(v, target, expectile=self.config.expectile)


class EnsembleValue:
    """Several V networks on the critic's own y."""

    def __init__(self, config: EnsembleConfig) -> None:
        self.config = config
        self.members = config.members

    def target(self, agent: Agent, batch: Batch, td_target: Tensor) -> Tensor:
        """Return y, (task, batch)."""
        return td_target

    def loss(self, v: Tensor, target: Tensor) -> Tensor:
        """Return the mean squares, added up over the networks."""
        return value_loss(v, target)

    def combine(self, v: Tensor) -> Tensor:
        """Return the members' mean or minimum, (task, batch)."""
        return v.mean(0) if self.config.reduce == "mean" else v.amin(0)


def smaller_target_q(agent: Agent, batch: Batch, action: Tensor) -> Tensor:
    """Return the smaller of both target Q at the step's rows, (task, batch)."""
    q = agent.target(agent.critic.q_net).value(batch.draws["rl"].obs, action, batch.latent.z)
    return cast("Tensor", q.amin(0))
