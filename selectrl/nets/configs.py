"""Configs of the policies, and their registration."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from selectrl.fields import as_tuple, number, sizes
from selectrl.registry import POLICIES

if TYPE_CHECKING:
    from selectrl.nets.policies import DeterministicPolicy, TanhGaussianPolicy
    from selectrl.structs import Spec


@attrs.frozen(kw_only=True)
class TanhGaussianConfig:
    """A tanh-squashed Gaussian policy.

    Attributes:
        hidden: widths of the hidden layers.
        log_std_min: smallest log-deviation before squashing.
        log_std_max: largest; 0 in FOCAL and CSRO (σ ≤ 1), 2 in PEARL.
        temperature: entropy coefficient that critic and actor share; 1 under a reward scale is SAC-v1.
    """

    hidden: tuple[int, ...] = attrs.field(default=(256, 256, 256), converter=as_tuple, validator=sizes())
    log_std_min: float = attrs.field(default=-20.0, validator=number(-50, 10))
    log_std_max: float = attrs.field(default=0.0, validator=number(-50, 10))
    temperature: float = attrs.field(default=1.0, validator=number(0))

    def build(self, spec: Spec, latent_dim: int) -> TanhGaussianPolicy:
        """Build the policy."""
        from selectrl.nets.policies import TanhGaussianPolicy

        return TanhGaussianPolicy(self, spec, latent_dim)


@attrs.frozen(kw_only=True)
class DeterministicConfig:
    """A deterministic policy, tanh of its network.

    Attributes:
        hidden: widths of the hidden layers.
    """

    hidden: tuple[int, ...] = attrs.field(default=(256, 256, 256), converter=as_tuple, validator=sizes())

    def build(self, spec: Spec, latent_dim: int) -> DeterministicPolicy:
        """Build the policy."""
        from selectrl.nets.policies import DeterministicPolicy

        return DeterministicPolicy(self, spec, latent_dim)


POLICIES.add(
    "tanh_gaussian",
    TanhGaussianConfig,
    paper="Haarnoja et al., ICML 2018",
    summary="tanh-squashed Gaussian with one entropy coefficient",
)
POLICIES.add(
    "deterministic",
    DeterministicConfig,
    paper="Fujimoto, van Hoof & Meger, ICML 2018",
    summary="tanh of the network, no noise of its own",
)
