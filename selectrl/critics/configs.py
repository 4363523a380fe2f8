"""Configs of the critics and of their estimators of V; they do not import torch."""

from __future__ import annotations

import attrs

from selectrl.fields import as_tuple, choice, integer, number, part, shares, sizes
from selectrl.protocols import ValueConfig
from selectrl.registry import VALUES


@attrs.frozen(kw_only=True)
class TdTargetConfig:
    """V is regressed on the critic's own y, the wPC reading of the paper."""


@attrs.frozen(kw_only=True)
class MinTargetQConfig:
    """V is regressed on min Q′(s, a) at the data's action: the value of the behaviour policy."""


@attrs.frozen(kw_only=True)
class MinTargetQPolicyConfig:
    """V is regressed on min Q′(s, π(s, z)), the literal reading of the paper: the value of the policy."""


@attrs.frozen(kw_only=True)
class ExpectileConfig:
    """IQL's V: the upper expectile of min Q′(s, a) over the data's actions, which only the better actions exceed.

    Attributes:
        expectile: τ; 0.5 is the mean, a value near 1 the best action of the data. IQL has 0.7, and 0.9 on AntMaze.
    """

    expectile: float = attrs.field(default=0.7, validator=number(0, 1, above=True))


@attrs.frozen(kw_only=True)
class EnsembleConfig:
    """Several V networks, each regressed on y from its own initial parameters, combined to a single value.

    Attributes:
        members: number of networks.
        reduce: ``mean``, or ``min``, which lowers V where the networks disagree, so that rare actions are cloned more
            often.
    """

    members: int = attrs.field(default=5, validator=integer(1, 100))
    reduce: str = attrs.field(default="mean", validator=choice("mean", "min"))


@attrs.frozen(kw_only=True)
class QVConfig:
    """The settings that critics of a twin Q and a V share.

    Attributes:
        hidden: widths of the hidden layers.
        discount: γ; 0.9 on Point-Robot, 0.99 elsewhere.
        reward_scale: ρ; 100 on Point-Robot, 5 elsewhere.
        tau: Polyak rate of the targets.
        q_lr: learning rate of the twin Q (Adam).
        v_lr: learning rate of V (Adam).
    """

    hidden: tuple[int, ...] = attrs.field(
        default=(256, 256, 256), converter=as_tuple, validator=sizes(), metadata=shares("HIDDEN")
    )
    discount: float = attrs.field(default=0.99, validator=number(0, 1), metadata=shares("DISCOUNT"))
    reward_scale: float = attrs.field(default=5.0, validator=number(0, above=True), metadata=shares("REWARD_SCALE"))
    tau: float = attrs.field(default=0.005, validator=number(0, 1, above=True), metadata=shares("TAU"))
    q_lr: float = attrs.field(default=3e-4, validator=number(0, above=True), metadata=shares("LEARNING_RATE"))
    v_lr: float = attrs.field(default=3e-4, validator=number(0, above=True), metadata=shares("LEARNING_RATE"))


@attrs.frozen(kw_only=True)
class TwinQVConfig(QVConfig):
    """SAC-v1's critic; its only target is a copy of V."""


@attrs.frozen(kw_only=True)
class DualTargetConfig(QVConfig):
    """SELECT's critic; its targets are copies of the twin Q and of the policy.

    Attributes:
        target_every: steps between updates of the targets, TD3's delay.
        smoothing: deviation of TD3's target smoothing noise, in units of the action box [-1, 1].
        smoothing_clip: bound of that noise.
        value: the estimator of V; the paper leaves it open, ``td_target`` is the wPC reading.
    """

    target_every: int = attrs.field(default=2, validator=integer(1))
    smoothing: float = attrs.field(default=0.2, validator=number(0))
    smoothing_clip: float = attrs.field(default=0.5, validator=number(0))
    value: ValueConfig = attrs.field(factory=TdTargetConfig, validator=part(VALUES))
