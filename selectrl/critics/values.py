"""Estimators of the constraint's V."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Generic, TypeAlias, TypeVar

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
TargetQ: TypeAlias = Callable[[Tensor], Tensor]  # an action at the step's rows -> the smaller target Q


class SingleValue(ABC, Generic[C]):
    """A single V network under a mean-square regression."""

    members = 1

    def __init__(self, config: C) -> None:
        self.config = config

    @abstractmethod
    def target(self, agent: Agent, batch: Batch, td_target: Tensor, target_q: TargetQ) -> Tensor:
        """Return the target of V's regression, (task, batch)."""

    def loss(self, v: Tensor, target: Tensor) -> Tensor:
        """Return the mean square, a scalar."""
        return value_loss(v, target)

    def combine(self, v: Tensor) -> Tensor:
        """Return the network's value, (task, batch)."""
        return v[0]


class TdTargetValue(SingleValue[TdTargetConfig]):
    """V on the critic's own y."""

    def target(self, agent: Agent, batch: Batch, td_target: Tensor, target_q: TargetQ) -> Tensor:
        """Return y, (task, batch)."""
        return td_target


class MinTargetQValue(SingleValue[MinTargetQConfig]):
    """V on the smaller target Q at the data's action."""

    def target(self, agent: Agent, batch: Batch, td_target: Tensor, target_q: TargetQ) -> Tensor:
        """Return the smaller target Q at the data's action, (task, batch)."""
        return target_q(batch.draws["rl"].action)


class MinTargetQPolicyValue(SingleValue[MinTargetQPolicyConfig]):
    """V on the smaller target Q at the policy's action."""

    def target(self, agent: Agent, batch: Batch, td_target: Tensor, target_q: TargetQ) -> Tensor:
        """Return the smaller target Q at the policy's mode, (task, batch)."""
        return target_q(agent.policy.mode(batch.draws["rl"].obs, batch.latent.z))


class ExpectileValue(SingleValue[ExpectileConfig]):
    """V on the upper expectile of the smaller target Q at the data's actions."""

    def target(self, agent: Agent, batch: Batch, td_target: Tensor, target_q: TargetQ) -> Tensor:
        """Return the smaller target Q at the data's action, (task, batch)."""
        return target_q(batch.draws["rl"].action)

    def loss(self, v: Tensor, target: Tensor) -> Tensor:
        """Return the asymmetric square, a scalar."""
        return expectile_loss(v, target, expectile=self.config.expectile)


class EnsembleValue:
    """Several V networks on the critic's own y."""

    def __init__(self, config: EnsembleConfig) -> None:
        self.config = config
        self.members = config.members

    def target(self, agent: Agent, batch: Batch, td_target: Tensor, target_q: TargetQ) -> Tensor:
        """Return y, (task, batch)."""
        return td_target

    def loss(self, v: Tensor, target: Tensor) -> Tensor:
        """Return the mean squares, summed over the networks."""
        return value_loss(v, target)

    def combine(self, v: Tensor) -> Tensor:
        """Return the members' mean or minimum, (task, batch)."""
        return v.mean(0) if self.config.reduce == "mean" else v.amin(0)
