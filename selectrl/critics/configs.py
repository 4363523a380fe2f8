"""Configs of the critics, and their registration; free of torch so that listing and dry runs start fast."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from selectrl.critics.values import TdTargetConfig
from selectrl.fields import as_tuple, integer, number, part, sizes
from selectrl.protocols import ValueConfig
from selectrl.registry import CRITICS, VALUES

if TYPE_CHECKING:
    from selectrl.critics.dual_target import DualTargetCritic
    from selectrl.critics.twin_q_v import TwinQVCritic
    from selectrl.structs import Spec


@attrs.frozen(kw_only=True)
class QVConfig:
    """What critics of a twin Q and a V have in common.

    Attributes:
        hidden: widths of the hidden layers.
        discount: γ; .9 on Point-Robot, .99 elsewhere.
        reward_scale: ρ; 100 on Point-Robot, 5 elsewhere.
        tau: Polyak rate of the targets.
        q_lr: learning rate of the twin Q (Adam).
        v_lr: learning rate of V (Adam).
    """

    hidden: tuple[int, ...] = attrs.field(default=(256, 256, 256), converter=as_tuple, validator=sizes())
    discount: float = attrs.field(default=0.99, validator=number(0, 1))
    reward_scale: float = attrs.field(default=5.0, validator=number(0, above=True))
    tau: float = attrs.field(default=0.005, validator=number(0, 1, above=True))
    q_lr: float = attrs.field(default=3e-4, validator=number(0, above=True))
    v_lr: float = attrs.field(default=3e-4, validator=number(0, above=True))


@attrs.frozen(kw_only=True)
class TwinQVConfig(QVConfig):
    """SAC-v1's critic; its one target is a copy of V."""

    def build(self, spec: Spec, latent_dim: int) -> TwinQVCritic:
        """Build the critic."""
        from selectrl.critics.twin_q_v import TwinQVCritic

        return TwinQVCritic(self, spec, latent_dim)


@attrs.frozen(kw_only=True)
class DualTargetConfig(QVConfig):
    """SELECT's critic; its targets are copies of the twin Q and of the policy.

    Attributes:
        target_every: the targets move on every n-th step, TD3's delay.
        smoothing: deviation of TD3's target smoothing noise, in units of the action box [-1, 1].
        smoothing_clip: where that noise is clipped.
        value: how V is estimated; the paper leaves it open, ``td_target`` is the wPC reading.
    """

    target_every: int = attrs.field(default=2, validator=integer(1))
    smoothing: float = attrs.field(default=0.2, validator=number(0))
    smoothing_clip: float = attrs.field(default=0.5, validator=number(0))
    value: ValueConfig = attrs.field(factory=TdTargetConfig, validator=part(VALUES))

    def build(self, spec: Spec, latent_dim: int) -> DualTargetCritic:
        """Build the critic."""
        from selectrl.critics.dual_target import DualTargetCritic

        return DualTargetCritic(self, spec, latent_dim)


CRITICS.add(
    "twin_q_v",
    TwinQVConfig,
    paper="Haarnoja et al., ICML 2018",
    summary="twin Q and V with a target V (SAC-v1), as in PEARL, FOCAL and CSRO",
)
CRITICS.add(
    "dual_target",
    DualTargetConfig,
    paper="SELECT, AAMAS 2025",
    summary="twin Q with target Q and target policy (TD3), and a V for the constraint's weight",
)
