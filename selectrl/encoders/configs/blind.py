"""Config of the encoder that says nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from selectrl.fields import WIDEST, integer
from selectrl.registry import ENCODERS

if TYPE_CHECKING:
    from selectrl.encoders.blind import BlindEncoder
    from selectrl.structs import Spec


@attrs.frozen(kw_only=True)
class BlindConfig:
    """No encoder: z is 0 in every task.

    Attributes:
        latent_dim: width of z, so that critic and policy are as large as with an encoder.
    """

    latent_dim: int = attrs.field(default=20, validator=integer(1, WIDEST))

    def build(self, spec: Spec) -> BlindEncoder:
        """Build the encoder."""
        from selectrl.encoders.blind import BlindEncoder

        return BlindEncoder(self, spec)


ENCODERS.add(
    "blind",
    BlindConfig,
    paper="Fujimoto & Gu, NeurIPS 2021",
    summary="z = 0: one policy for all tasks, the floor of a comparison",
)
