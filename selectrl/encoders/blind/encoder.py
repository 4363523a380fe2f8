"""No encoder: the lower bound of a comparison."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from selectrl.encoders.blind.configs import BlindConfig
from selectrl.protocols import Optim, Phase
from selectrl.structs import Batch, Belief, Latent, Rows, Spec


class BlindEncoder(nn.Module):
    """Gives z = 0 for every task and context, so that one policy has to serve all tasks.

    Its z has the width of other encoders' z, so that critic and policy keep their sizes and only the information on the
    task is missing. The spread of its belief stays 1. With SELECT's actor and plain behaviour cloning this is TD3+BC on
    the data of all tasks.

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
        """Return the initial state of worlds: their number of transitions, (world,)."""
        return (self.zero.new_zeros(worlds),)

    def step(self, state: tuple[Tensor], rows: Rows, live: Tensor) -> tuple[Tensor]:
        """Count a transition in each live world (world,)."""
        return (state[0] + live,)

    def read(self, state: tuple[Tensor]) -> Belief:
        """Return z = 0 with spread 1, (world, latent)."""
        z = self.zero.expand(len(state[0]), self.latent_dim)
        return Belief(z, torch.ones_like(z))

    def phases(self, rl: Phase) -> tuple[Phase, ...]:
        """Return the rl phase as it is."""
        return (rl,)
