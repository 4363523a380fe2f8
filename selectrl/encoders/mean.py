"""Mean aggregation of row embeddings: what FOCAL, CSRO and SELECT share in training and at meta-test."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from selectrl.nets.mlp import MLP
from selectrl.protocols import Draw
from selectrl.structs import Batch, Belief, Latent, Rows, Spec


class MeanState(NamedTuple):
    """Running moments of the row embeddings of each world."""

    total: Tensor  # (world, latent)
    squares: Tensor  # (world, latent)
    seen: Tensor  # (world, 1), transitions


class MeanEncoder(nn.Module):
    """Embeds each transition by tanh of a network and takes the mean as the task variable.

    The prior, before any transition, is z = 0. The spread of a belief is the standard deviation of the row embeddings.

    Args:
        spec: shapes of the family.
        latent_dim: width of z.
        hidden: widths of the hidden layers.
        next_obs: whether s' belongs to a row.
    """

    def __init__(self, spec: Spec, latent_dim: int, hidden: Sequence[int], next_obs: bool) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.fields = ("obs", "action", "reward", "next_obs") if next_obs else ("obs", "action", "reward")
        self.context = Draw("context", "context", self.fields)
        self.net = MLP(spec.obs + spec.action + 1 + spec.obs * next_obs, 0, hidden, latent_dim)

    def embed(self, rows: Rows) -> Tensor:
        """Embed each transition: rows (…) -> (…, latent)."""
        columns = [rows.obs, rows.action, rows.reward[..., None]]
        return self.net(torch.cat([*columns, rows.next_obs] if "next_obs" in self.fields else columns, -1)).tanh()

    def encode(self, batch: Batch) -> Latent:
        """Encode each task's context; ``features["rows"]`` are the row embeddings (task, context, latent)."""
        rows = self.embed(batch.draws["context"])
        z = rows.mean(dim=1, keepdim=True)
        return Latent(z, z, {"rows": rows})

    def init(self, worlds: int) -> MeanState:
        """Return the state of so many worlds that have seen nothing."""
        like = self.net.weights[0]
        return MeanState(
            like.new_zeros(worlds, self.latent_dim), like.new_zeros(worlds, self.latent_dim), like.new_zeros(worlds, 1)
        )

    def step(self, state: MeanState, rows: Rows, live: Tensor) -> MeanState:
        """Add one transition (world, …) to each world where live (world,) is true."""
        mask = live[:, None].to(state.seen.dtype)
        embedding = self.embed(rows) * mask
        return MeanState(state.total + embedding, state.squares + embedding.square(), state.seen + mask)

    def read(self, state: MeanState) -> Belief:
        """Return mean and standard deviation of what was seen."""
        seen = state.seen.clamp(min=1)
        mean = state.total / seen
        return Belief(mean, (state.squares / seen - mean.square()).clamp(min=0).sqrt())
