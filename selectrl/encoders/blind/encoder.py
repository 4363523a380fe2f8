"""No encoder at all: the floor that every other one must beat."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from selectrl.encoders.blind.configs import BlindConfig
from selectrl.protocols import Optim, Phase
from selectrl.structs import Batch, Belief, Latent, Rows, Spec


class BlindEncoder(nn.Module):
    """Gives z = 0 for every task and context, so that one policy must serve all tasks.

    Its z is as wide as the others', so that critic and policy keep their sizes and only the knowledge of the task is
    missing. The spread of its belief stays 1, for it learns nothing. With SELECT's actor and plain behaviour cloning
    this is TD3+BC on the data of all tasks.

    Args:
        config: width of z.
        spec: shapes of the family.

    References:
        Fujimoto & Gu, "A Minimalist Approach to Offline Reinforcement Learning", NeurIPS 2021.
    """

    critic_params: Mapping[str, Optim] = {}
    zero: Tensor

    def __init__(self, config: BlindConfig, spec: Spec) -> None:
        super().__init__()
        self.config = config
        self.latent_dim = config.latent_dim
        self.register_buffer("zero", torch.zeros(1, config.latent_dim), persistent=False)

    def encode(self, batch: Batch) -> Latent:
        """Return zeros, (task, 1, latent)."""
        z = self.zero.expand(len(batch.tasks), 1, self.latent_dim)
        return Latent(z, z, {})

    def init(self, worlds: int) -> tuple[Tensor]:
        """Return the state of so many worlds: how many transitions were seen, (world,)."""
        return (self.zero.new_zeros(worlds),)

    def step(self, state: tuple[Tensor], rows: Rows, live: Tensor) -> tuple[Tensor]:
        """Count a transition where live (world,) is true."""
        return (state[0] + live,)

    def read(self, state: tuple[Tensor]) -> Belief:
        """Return z = 0 with spread 1, (world, latent)."""
        z = self.zero.expand(len(state[0]), self.latent_dim)
        return Belief(z, torch.ones_like(z))

    def phases(self, rl: Phase) -> tuple[Phase, ...]:
        """Return the rl phase as it is."""
        return (rl,)
