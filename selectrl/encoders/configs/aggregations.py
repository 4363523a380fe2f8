"""Configs of the aggregations: how a set encoder makes one task variable of many row embeddings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from selectrl.registry import AGGREGATIONS

if TYPE_CHECKING:
    from selectrl.encoders.aggregations import Aggregation


@attrs.frozen(kw_only=True)
class MeanConfig:
    """The arithmetic mean of the row embeddings."""

    def build(self, latent_dim: int) -> Aggregation:
        """Build the aggregation."""
        from selectrl.encoders.aggregations import MeanAggregation

        return MeanAggregation(latent_dim)


@attrs.frozen(kw_only=True)
class InverseVarianceConfig:
    """The mean weighted by the inverse of a variance that the network gives each row and dimension."""

    def build(self, latent_dim: int) -> Aggregation:
        """Build the aggregation."""
        from selectrl.encoders.aggregations import InverseVarianceAggregation

        return InverseVarianceAggregation(latent_dim)


@attrs.frozen(kw_only=True)
class ProductOfGaussiansConfig:
    """PEARL's product of the rows' Gaussian factors; in training z is sampled from it."""

    def build(self, latent_dim: int) -> Aggregation:
        """Build the aggregation."""
        from selectrl.encoders.aggregations import ProductOfGaussians

        return ProductOfGaussians(latent_dim)


@attrs.frozen(kw_only=True)
class AttentionConfig:
    """CORRO's attention pooling: softmax over rows of a learned linear score."""

    def build(self, latent_dim: int) -> Aggregation:
        """Build the aggregation."""
        from selectrl.encoders.aggregations import AttentionAggregation

        return AttentionAggregation(latent_dim)


AGGREGATIONS.add("mean", MeanConfig, paper="Li, Yang & Luo, ICLR 2021", summary="arithmetic mean of row embeddings")
AGGREGATIONS.add(
    "inverse_variance",
    InverseVarianceConfig,
    paper="Rakelly et al., ICML 2019",
    summary="mean weighted by learned precisions, without sampling",
)
AGGREGATIONS.add(
    "product_of_gaussians",
    ProductOfGaussiansConfig,
    paper="Rakelly et al., ICML 2019",
    summary="posterior of independent Gaussian factors, sampled in training",
)
AGGREGATIONS.add(
    "attention", AttentionConfig, paper="Yuan & Lu, ICML 2022", summary="softmax over rows of a learned linear score"
)
