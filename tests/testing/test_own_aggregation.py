"""A set encoder with a pooling that is no mean, as another package might bring it, keeps the protocol."""

from __future__ import annotations

from typing import Any, NamedTuple

import attrs
import torch
from torch import Tensor

from selectrl.encoders.aggregations import Aggregation
from selectrl.encoders.configs.sets import FocalConfig
from selectrl.encoders.focal import FocalEncoder
from selectrl.structs import Belief, Spec
from selectrl.testing import check_encoder


class Largest(NamedTuple):
    """The largest embedding seen, and whether any was."""

    peak: Tensor  # (world, latent)
    seen: Tensor  # (world,)


class MaxAggregation(Aggregation):
    """The element-wise maximum of row embeddings."""

    def pool(self, rows: Tensor, raw: Tensor, live: Tensor | None = None) -> Belief:
        return Belief(rows.amax(-2), torch.ones_like(rows[..., 0, :]))

    def init(self, like: Tensor, worlds: int) -> Any:
        peak = like.new_full((worlds, self.latent_dim), torch.finfo(like.dtype).min)
        return Largest(peak, torch.zeros(worlds, dtype=torch.bool))

    def step(self, state: Any, rows: Tensor, raw: Tensor, live: Tensor) -> Any:
        peak = torch.where(live[:, None], torch.maximum(state.peak, rows), state.peak)
        return Largest(peak, state.seen | live)

    def read(self, state: Any) -> Belief:
        z = torch.where(state.seen[:, None], state.peak, 0)
        return Belief(z, torch.ones_like(z))


@attrs.frozen(kw_only=True)
class MaxConfig(FocalConfig):
    """FOCAL's encoder over a maximum."""

    def build(self, spec: Spec) -> Any:
        encoder = FocalEncoder(self, spec)
        encoder.pooling = MaxAggregation(self.latent_dim)
        return encoder


def test_a_maximum_over_rows_keeps_the_protocol() -> None:
    check_encoder(MaxConfig(latent_dim=4, hidden=(8, 8)))
