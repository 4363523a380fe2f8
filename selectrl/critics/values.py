"""Estimators of the constraint's V, registered so that a binding swaps them; free of torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import attrs

from selectrl.fields import choice, integer, number
from selectrl.protocols import Agent
from selectrl.registry import VALUES
from selectrl.structs import Batch

if TYPE_CHECKING:
    from torch import Tensor


class OneNetwork:
    """One V network under a mean-square regression."""

    members = 1

    def loss(self, v: Tensor, target: Tensor) -> Tensor:
        """Return the mean square, a scalar; several networks add up."""
        from selectrl.functional.values import value_loss

        return value_loss(v, target)

    def combine(self, v: Tensor) -> Tensor:
        """Return the one network's value, (task, batch)."""
        return v[0]


@attrs.frozen(kw_only=True)
class TdTargetConfig(OneNetwork):
    """V regresses on the critic's own y, the wPC reading of the paper."""

    def target(self, agent: Agent, batch: Batch, td_target: Tensor) -> Tensor:
        """Return y, (task, batch)."""
        return td_target


@attrs.frozen(kw_only=True)
class MinTargetQConfig(OneNetwork):
    """V regresses on min Q′(s, a) at the data's action: the value of the behaviour."""

    def target(self, agent: Agent, batch: Batch, td_target: Tensor) -> Tensor:
        """Return the smaller target Q at the data's action, (task, batch)."""
        return smaller_target_q(agent, batch, batch.draws["rl"].action)


@attrs.frozen(kw_only=True)
class MinTargetQPolicyConfig(OneNetwork):
    """V regresses on min Q′(s, π(s, z)), the paper read literally: the value of the policy."""

    def target(self, agent: Agent, batch: Batch, td_target: Tensor) -> Tensor:
        """Return the smaller target Q at the policy's mode, (task, batch)."""
        return smaller_target_q(agent, batch, agent.policy.mode(batch.draws["rl"].obs, batch.latent.z))


@attrs.frozen(kw_only=True)
class ExpectileConfig(MinTargetQConfig):
    """IQL's V: the upper expectile of min Q′(s, a) over the data's actions, so that only the better ones beat it.

    Attributes:
        expectile: τ; .5 is the mean, towards 1 the best action of the data. IQL has .7, and .9 on AntMaze.
    """

    expectile: float = attrs.field(default=0.7, validator=number(0, 1, above=True))

    def loss(self, v: Tensor, target: Tensor) -> Tensor:
        """Return the asymmetric square, a scalar."""
        from selectrl.functional.values import expectile_loss

        return expectile_loss(v, target, expectile=self.expectile)


@attrs.frozen(kw_only=True)
class EnsembleConfig(TdTargetConfig):
    """Several V networks, each regressed on y from its own initial parameters, read as one.

    Attributes:
        members: how many networks.
        reduce: ``mean``, or ``min``, which lowers V where the networks disagree and so clones more of what is rare.
    """

    members: int = attrs.field(default=5, validator=integer(1, 100))
    reduce: str = attrs.field(default="mean", validator=choice("mean", "min"))

    def combine(self, v: Tensor) -> Tensor:
        """Return the members' mean or minimum, (task, batch)."""
        return v.mean(0) if self.reduce == "mean" else v.amin(0)


def smaller_target_q(agent: Agent, batch: Batch, action: Tensor) -> Tensor:
    """Return the smaller of both target Q at the step's rows, (task, batch)."""
    q = agent.target(agent.critic.q_net).value(batch.draws["rl"].obs, action, batch.latent.z)
    return cast("Tensor", q.amin(0))


VALUES.add(
    "td_target", TdTargetConfig, paper="Peng et al., AAAI 2023", summary="V regressed on the critic's own TD target"
)
VALUES.add(
    "min_target_q",
    MinTargetQConfig,
    paper="SELECT, AAMAS 2025",
    summary="V regressed on the smaller target Q at the data's action",
)
VALUES.add(
    "min_target_q_policy",
    MinTargetQPolicyConfig,
    paper="SELECT, AAMAS 2025",
    summary="V regressed on the smaller target Q at the policy's action (the paper read literally)",
)
VALUES.add(
    "expectile",
    ExpectileConfig,
    paper="Kostrikov, Nair & Levine, ICLR 2022",
    summary="upper expectile of the smaller target Q at the data's actions (IQL)",
)
VALUES.add(
    "ensemble",
    EnsembleConfig,
    paper="An et al., NeurIPS 2021",
    summary="several V networks on the TD target, read as their mean or minimum",
)
