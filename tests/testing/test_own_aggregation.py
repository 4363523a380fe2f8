"""A set encoder with a pooling that is no mean, as another package might bring it, keeps the protocol."""

from __future__ import annotations

from typing import Any, NamedTuple

import attrs
import pytest
import torch
from torch import Tensor

from selectrl.encoders.sets.configs import FocalConfig
from selectrl.registry import AGGREGATIONS
from selectrl.structs import Belief
from selectrl.testing import check_encoder


class Largest(NamedTuple):
    """The largest embedding seen, and whether any was."""

    peak: Tensor  # (world, latent)
    seen: Tensor  # (world,)


@attrs.frozen(kw_only=True)
class MaxConfig:
    """The maximum."""


class MaxAggregation(torch.nn.Module):
    """The element-wise maximum of row embeddings."""

    extra = 0
    sampled = False

    def __init__(self, config: MaxConfig, latent_dim: int) -> None:
        super().__init__()
        self.latent_dim = latent_dim

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


def test_a_maximum_over_rows_keeps_the_protocol(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AGGREGATIONS, "_entries", dict(AGGREGATIONS._entries))
    AGGREGATIONS.add("max", MaxConfig, MaxAggregation, paper="none", summary="the maximum")
    check_encoder(FocalConfig(latent_dim=4, hidden=(8, 8), aggregation=MaxConfig()))
