"""Layers and networks that several parts share, and the policies, registered here with their configs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from selectrl.nets.configs import DeterministicConfig, TanhGaussianConfig
from selectrl.registry import POLICIES, Deferred

if TYPE_CHECKING:
    from selectrl.nets.policies import DeterministicPolicy, TanhGaussianPolicy
else:
    DeterministicPolicy = Deferred("selectrl.nets.policies:DeterministicPolicy")
    TanhGaussianPolicy = Deferred("selectrl.nets.policies:TanhGaussianPolicy")

POLICIES.add(
    "tanh_gaussian",
    TanhGaussianConfig,
    TanhGaussianPolicy,
    paper="Haarnoja et al., ICML 2018",
    summary="tanh-squashed Gaussian with one entropy coefficient",
)
POLICIES.add(
    "deterministic",
    DeterministicConfig,
    DeterministicPolicy,
    paper="Fujimoto, van Hoof & Meger, ICML 2018",
    summary="tanh of the network, without noise",
)
