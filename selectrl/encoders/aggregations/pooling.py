"""Aggregations of row embeddings to a task variable: whole sets in training, row by row at meta-test.

Every aggregation here is a mean of row embeddings under softmax weights, so that all can use the same running state.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from selectrl.encoders.aggregations.configs import (
    AttentionConfig,
    InverseVarianceConfig,
    MeanConfig,
    ProductOfGaussiansConfig,
)
from selectrl.nets.mlp import Linear
from selectrl.structs import Belief


class PoolState(NamedTuple):
    """The running sums of each world, relative to its largest log-weight."""

    peak: Tensor  # (world, latent), largest log-weight
    weight: Tensor  # (world, latent), sum of weights
    total: Tensor  # (world, latent), weighted sum of embeddings
    squares: Tensor  # (world, latent), weighted sum of their squares


class SoftmaxAggregation(nn.Module, ABC):
    r"""A mean under softmax weights, :math:`z = \sum_i w_i e_i`, :math:`w = \operatorname{softmax}_i(\ell_i)`.

    Before any row z is 0 and its spread is 1. After rows the spread is the weighted standard deviation of the
    embeddings, unless a subclass overrides it.

    Args:
        latent_dim: width of an embedding.
    """

    extra = 0  #: outputs per row of the row network, in addition to the embedding
    sampled = False  #: whether z is drawn from (z, spread) in training

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        self.latent_dim = latent_dim

    @abstractmethod
    def log_weight(self, rows: Tensor, raw: Tensor) -> Tensor:
        """Return ℓ, (…, 1 or latent).

        Args:
            rows: embeddings, (…, latent).
            raw: the row network's extra outputs, (…, extra).
        """

    def spread(self, log_total: Tensor, variance: Tensor) -> Tensor:
        """Return the spread, (…, latent), from the log of the weights' sum and the weighted variance of rows."""
        return variance.clamp(min=0).sqrt()

    def pool(self, rows: Tensor, raw: Tensor, live: Tensor | None = None) -> Belief:
        """Aggregate sets: rows (…, row, latent), raw (…, row, extra) -> (…, latent).

        Only live rows (…, row) count, at least one in each set; without live all rows count.
        """
        log_weight = self.log_weight(rows, raw)
        if live is not None:
            log_weight = log_weight.where(live[..., None], -torch.inf)
        weight = log_weight.softmax(dim=-2)
        mean = (weight * rows).sum(-2)
        variance = (weight * rows.square()).sum(-2) - mean.square()
        return Belief(mean, self.spread(log_weight.logsumexp(dim=-2), variance).expand_as(mean))

    def init(self, like: Tensor, worlds: int) -> PoolState:
        """Return the initial state of worlds, before any row, of the dtype and device of ``like``."""
        zeros = like.new_zeros(worlds, self.latent_dim)
        return PoolState(torch.full_like(zeros, torch.finfo(zeros.dtype).min), zeros, zeros, zeros)

    def step(self, state: PoolState, rows: Tensor, raw: Tensor, live: Tensor) -> PoolState:
        """Add an embedding (world, latent) to each live world (world,)."""
        mask = live[:, None]
        log_weight = self.log_weight(rows, raw).expand_as(rows)
        peak = torch.where(mask, torch.maximum(state.peak, log_weight), state.peak)
        old = (state.peak - peak).exp()
        new = torch.where(mask, (log_weight - peak).exp(), 0)
        return PoolState(
            peak,
            old * state.weight + new,
            old * state.total + new * rows,
            old * state.squares + new * rows.square(),
        )

    def read(self, state: PoolState) -> Belief:
        """Return the belief after the rows so far, (world, latent)."""
        has_rows = state.weight > 0
        weight = torch.where(has_rows, state.weight, 1)
        mean = state.total / weight
        spread = self.spread(state.peak + weight.log(), state.squares / weight - mean.square())
        return Belief(mean, torch.where(has_rows, spread, 1))


class MeanAggregation(SoftmaxAggregation):
    """The arithmetic mean, as in FOCAL, CSRO and SELECT."""

    def __init__(self, config: MeanConfig, latent_dim: int) -> None:
        super().__init__(latent_dim)
        self.config = config

    def log_weight(self, rows: Tensor, raw: Tensor) -> Tensor:
        """Return zeros, (…, 1)."""
        return torch.zeros_like(rows[..., :1])


class PrecisionAggregation(SoftmaxAggregation):
    """A mean whose weights are precisions: each row and dimension has a variance, softplus of an extra output."""

    def __init__(self, latent_dim: int) -> None:
        super().__init__(latent_dim)
        self.extra = latent_dim

    def log_weight(self, rows: Tensor, raw: Tensor) -> Tensor:
        """Return -log σ², (…, latent), with σ² of at least 1e-7."""
        return -softplus(raw).clamp(min=1e-7).log()


class InverseVarianceAggregation(PrecisionAggregation):
    """The mean under learned precisions, without sampling."""

    def __init__(self, config: InverseVarianceConfig, latent_dim: int) -> None:
        super().__init__(latent_dim)
        self.config = config


class ProductOfGaussians(PrecisionAggregation):
    r"""PEARL's posterior of independent factors, :math:`\sigma^{-2} = \sum_i \sigma_i^{-2}`, sampled in training.

    References:
        Rakelly et al., "PEARL", ICML 2019.
    """

    sampled = True

    def __init__(self, config: ProductOfGaussiansConfig, latent_dim: int) -> None:
        super().__init__(latent_dim)
        self.config = config

    def spread(self, log_total: Tensor, variance: Tensor) -> Tensor:
        """Return the posterior's deviation, (…, latent)."""
        return (-0.5 * log_total).exp()


class AttentionAggregation(SoftmaxAggregation):
    """CORRO's single-query attention: the logit of a weight is a learned linear score of the embedding.

    References:
        Yuan & Lu, "CORRO", ICML 2022.
    """

    def __init__(self, config: AttentionConfig, latent_dim: int) -> None:
        super().__init__(latent_dim)
        self.config = config
        self.score = Linear(latent_dim, 1)

    def log_weight(self, rows: Tensor, raw: Tensor) -> Tensor:
        """Return the score, (…, 1)."""
        score: Tensor = self.score(rows)
        return score
