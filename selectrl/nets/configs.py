"""Configs of the policies; they do not import torch."""

from __future__ import annotations

import attrs

from selectrl.fields import as_tuple, number, shares, sizes


@attrs.frozen(kw_only=True)
class TanhGaussianConfig:
    """A tanh-squashed Gaussian policy.

    Attributes:
        hidden: widths of the hidden layers.
        log_std_min: smallest log-deviation before squashing.
        log_std_max: largest log-deviation; 0 in FOCAL and CSRO (σ ≤ 1), 2 in PEARL.
        temperature: entropy coefficient that critic and actor share; 1 under a reward scale is SAC-v1.
    """

    hidden: tuple[int, ...] = attrs.field(
        default=(256, 256, 256), converter=as_tuple, validator=sizes(), metadata=shares("HIDDEN")
    )
    log_std_min: float = attrs.field(default=-20.0, validator=number(-50, 10))
    log_std_max: float = attrs.field(default=0.0, validator=number(-50, 10))
    temperature: float = attrs.field(default=1.0, validator=number(0))


@attrs.frozen(kw_only=True)
class DeterministicConfig:
    """A deterministic policy, tanh of its network.

    Attributes:
        hidden: widths of the hidden layers.
    """

    hidden: tuple[int, ...] = attrs.field(
        default=(256, 256, 256), converter=as_tuple, validator=sizes(), metadata=shares("HIDDEN")
    )
