"""Configs of the aggregations, which reduce a set encoder's row embeddings to a task variable."""

from __future__ import annotations

import attrs


@attrs.frozen(kw_only=True)
class MeanConfig:
    """The arithmetic mean of the row embeddings."""


@attrs.frozen(kw_only=True)
class InverseVarianceConfig:
    """The mean weighted by an inverse variance, which the network predicts per row and dimension."""


@attrs.frozen(kw_only=True)
class ProductOfGaussiansConfig:
    """PEARL's product of the rows' Gaussian factors; in training z is sampled from it."""


@attrs.frozen(kw_only=True)
class AttentionConfig:
    """CORRO's attention pooling: softmax over rows of a learned linear score."""
