"""The networks that critics of a twin Q and a V share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Generic, TypeVar

from torch import Tensor, nn

from selectrl.critics.configs import QVConfig
from selectrl.functional.values import bellman_target
from selectrl.nets.mlp import MLP, QNetwork
from selectrl.protocols import Draw, Objective, Track
from selectrl.structs import Rows, Spec

C = TypeVar("C", bound=QVConfig)


class QVNetworks(nn.Module, ABC, Generic[C]):
    """A twin Q and a V on the RL rows; subclasses define their losses.

    Args:
        config: sizes and scales.
        spec: shapes of the family.
        latent_dim: width of z.
        members: number of V networks; 0 is a single network without a member axis.
    """

    def __init__(self, config: C, spec: Spec, latent_dim: int, *, members: int = 0) -> None:
        super().__init__()
        self.config = config
        self.scales = {"discount": config.discount, "reward_scale": config.reward_scale}
        self.rows = Draw("rl", "rl")
        self.q_net = QNetwork(spec.obs, spec.action, latent_dim, config.hidden)
        self.v_net = MLP(spec.obs, latent_dim, config.hidden, 0, members=members)

    def q(self, obs: Tensor, action: Tensor, z: Tensor, twins: int = 2) -> Tensor:
        """Return both values of (s, a), or only Q₁, (twins, task, batch)."""
        return self.q_net.value(obs, action, z, twins)

    def backup(self, rl: Rows, next_value: Tensor) -> Tensor:
        """Return the one-step target of the rows, (task, batch), without gradient."""
        return bellman_target(rl.reward, rl.terminal, next_value, **self.scales)

    @abstractmethod
    def objectives(self) -> tuple[Objective, ...]:
        """Return the critic's objectives; the first carries the TD loss."""

    @abstractmethod
    def tracks(self) -> tuple[Track, ...]:
        """Return the Polyak targets."""
