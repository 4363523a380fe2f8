"""Configs of the actor losses and of the weights of their cloning term; free of torch."""

from __future__ import annotations

import attrs

from selectrl.fields import as_tuple, choice, flag, integer, number, part, shares, sizes
from selectrl.nets.configs import DeterministicConfig, TanhGaussianConfig
from selectrl.protocols import PolicyConfig, WeightConfig
from selectrl.registry import POLICIES, WEIGHTS


@attrs.frozen(kw_only=True)
class BinaryConfig:
    """SELECT's Eq. 3: 1 where the data's action beats the value of the state, 0 elsewhere.

    Attributes:
        threshold: the advantage above which an action is cloned.
    """

    threshold: float = attrs.field(default=0.0, validator=number(-1e9))


@attrs.frozen(kw_only=True)
class ConstantConfig:
    """One weight for every action; at 1 the actor is TD3+BC, at 0 TD3.

    Attributes:
        value: the weight.
    """

    value: float = attrs.field(default=1.0, validator=number(0))


@attrs.frozen(kw_only=True)
class LeakyConfig:
    """Eq. 3 with a leak: actions that do not beat the value of the state are cloned too, but little.

    AMAGO's leaky filter is a ramp on both sides of its hinge; this is the step of Eq. 3 with its leak.

    Attributes:
        beta: weight at or below the threshold; 0 is ``binary``, 1 is ``constant``.
        threshold: the advantage above which an action has weight 1.
    """

    beta: float = attrs.field(default=0.1, validator=number(0, 1))
    threshold: float = attrs.field(default=0.0, validator=number(-1e9))


@attrs.frozen(kw_only=True)
class SoftConfig:
    """What smooth weights have in common: a temperature.

    Attributes:
        temperature: T, by which the advantage is divided.
        relative: T is in units of the batch's mean |A|, so that it does not depend on the scale of rewards; else in
            units of value, as published.
    """

    temperature: float = attrs.field(default=1.0, validator=number(0, above=True))
    relative: bool = attrs.field(default=True, validator=flag())


@attrs.frozen(kw_only=True)
class ExpConfig(SoftConfig):
    r"""The exponential weight of advantage-weighted regression, :math:`\min(e^{A/T}, w_{max})`.

    AWAC normalises the same exponential over the batch instead of clipping it.

    Attributes:
        clip: largest weight, 20 in AWR and CRR.
    """

    clip: float = attrs.field(default=20.0, validator=number(0, above=True))


@attrs.frozen(kw_only=True)
class SigmoidConfig(SoftConfig):
    r"""A smooth Eq. 3, :math:`1 / (1 + e^{-A/T})`: ½ where A is 0, and ``binary`` as T goes to 0."""


@attrs.frozen(kw_only=True)
class TopPConfig:
    """Clones a fixed share of the rows: those of the largest advantage in the whole meta-batch.

    Unlike Eq. 3 it needs no V of the right height; V only levels the states. BAIL also clones a share, but picks it
    once, by returns against an upper envelope.

    Attributes:
        fraction: the share, (0, 1].
    """

    fraction: float = attrs.field(default=0.5, validator=number(0, 1, above=True))


@attrs.frozen(kw_only=True)
class WeightedBcConfig:
    """SELECT's actor.

    Attributes:
        policy: what it trains.
        alpha: weight of the Q term against the cloning term, α of Eq. 2. The paper gives no value; 2.5 is TD3+BC's.
        lambda_on: whose |Q₁| normalises: ``dataset`` actions (Eq. 2) or the ``policy``'s (the TD3+BC and wPC code).
        weight: weight of the cloning term by advantage; ``binary`` is Eq. 3, ``constant`` makes it TD3+BC.
        actor_every: the policy moves on every n-th step.
        lr: learning rate of the policy (Adam).
    """

    policy: PolicyConfig = attrs.field(factory=DeterministicConfig, validator=part(POLICIES))
    alpha: float = attrs.field(default=2.5, validator=number(0))
    lambda_on: str = attrs.field(default="dataset", validator=choice("dataset", "policy"))
    weight: WeightConfig = attrs.field(factory=BinaryConfig, validator=part(WEIGHTS))
    actor_every: int = attrs.field(default=2, validator=integer(1))
    lr: float = attrs.field(default=3e-4, validator=number(0, above=True), metadata=shares("LEARNING_RATE"))


@attrs.frozen(kw_only=True)
class SacConfig:
    """The unconstrained soft actor of PEARL, FOCAL and CSRO.

    Attributes:
        policy: what it trains.
        regulariser: weight of rlkit's penalty on μ² and log²σ before squashing.
        lr: learning rate of the policy (Adam).
    """

    policy: PolicyConfig = attrs.field(factory=TanhGaussianConfig, validator=part(POLICIES))
    regulariser: float = attrs.field(default=1e-3, validator=number(0))
    lr: float = attrs.field(default=3e-4, validator=number(0, above=True), metadata=shares("LEARNING_RATE"))


@attrs.frozen(kw_only=True)
class BracConfig(SacConfig):
    """The soft actor kept near the behaviour policy by a dual estimate of the KL divergence.

    Attributes:
        divergence_init: initial multiplier α; 50 or 500 by environment.
        divergence_max: bound of the multiplier as used; the raw one is not clipped.
        divergence_target: the divergence that the multiplier aims at.
        divergence_lr: learning rate of the multiplier, plain gradient.
        dual_hidden: hidden widths of the dual critic.
        dual_steps: dual steps per training step: the first on the step's rows, the others on fresh ones.
        dual_penalty: weight of the penalty on the dual critic's magnitude.
        dual_lr: learning rate of the dual critic (Adam).
    """

    divergence_init: float = attrs.field(default=50.0, validator=number(0), metadata=shares("DIVERGENCE_INIT"))
    divergence_max: float = attrs.field(
        default=2000.0, validator=number(0, above=True), metadata=shares("DIVERGENCE_MAX")
    )
    divergence_target: float = attrs.field(default=0.05, validator=number(0))
    divergence_lr: float = attrs.field(default=1.0, validator=number(0, above=True))
    dual_hidden: tuple[int, ...] = attrs.field(
        default=(256, 256, 256), converter=as_tuple, validator=sizes(), metadata=shares("HIDDEN")
    )
    dual_steps: int = attrs.field(default=3, validator=integer(1, 20))
    dual_penalty: float = attrs.field(default=5.0, validator=number(0))
    dual_lr: float = attrs.field(default=1e-4, validator=number(0, above=True), metadata=shares("DUAL_LEARNING_RATE"))
