"""Config of OffPEARL's encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from selectrl.encoders.configs.aggregations import ProductOfGaussiansConfig
from selectrl.encoders.configs.sets import SetConfig
from selectrl.fields import choice, number, part
from selectrl.protocols import AggregationConfig
from selectrl.registry import AGGREGATIONS, ENCODERS

if TYPE_CHECKING:
    from selectrl.encoders.offpearl import OffpearlEncoder
    from selectrl.structs import Spec


@attrs.frozen(kw_only=True)
class OffpearlConfig(SetConfig):
    """PEARL's probabilistic set encoder, trained by the TD loss and a divergence to the prior.

    Attributes:
        aggregation: how the posterior is made of the row embeddings; one that is sampled.
        squash: as in all set encoders; PEARL's factors are free, ``none``.
        kl_weight: weight of the divergence, summed over tasks and dimensions; PEARL sets 0.1, and 1.0 for Ant-Goal.
    """

    aggregation: AggregationConfig = attrs.field(factory=ProductOfGaussiansConfig, validator=part(AGGREGATIONS))
    squash: str = attrs.field(default="none", validator=choice("tanh", "sphere", "none"))
    kl_weight: float = attrs.field(default=0.1, validator=number(0))

    def build(self, spec: Spec) -> OffpearlEncoder:
        """Build the encoder."""
        from selectrl.encoders.offpearl import OffpearlEncoder

        return OffpearlEncoder(self, spec)


ENCODERS.add(
    "offpearl",
    OffpearlConfig,
    paper="Rakelly et al., ICML 2019",
    summary="posterior over z from the TD loss and a divergence to N(0, I)",
)
