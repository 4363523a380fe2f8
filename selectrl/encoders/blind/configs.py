"""Config of the encoder whose z is always 0."""

from __future__ import annotations

import attrs

from selectrl.fields import WIDEST, integer, shares


@attrs.frozen(kw_only=True)
class BlindConfig:
    """The settings of no encoder: z is 0 in every task.

    Attributes:
        latent_dim: width of z, so that critic and policy are as large as with an encoder.
    """

    latent_dim: int = attrs.field(default=20, validator=integer(1, WIDEST), metadata=shares("LATENT_DIM"))
