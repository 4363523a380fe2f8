"""Configs of the actor losses and of the weights of their cloning term; they do not import torch."""

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
    """The same weight for every action; with 1 the actor is TD3+BC, with 0 TD3.

    Attributes:
        value: the weight.
    """

    value: float = attrs.field(default=1.0, validator=number(0))


@attrs.frozen(kw_only=True)
class LeakyConfig:
    """Eq. 3 with a leak: actions that do not beat the value of the state are also cloned, with a small weight.

    AMAGO's leaky filter is a ramp on both sides of the threshold; this is the step of Eq. 3 with its leak.

    Attributes:
        beta: weight at or below the threshold; 0 is ``binary``, 1 is ``constant``.
        threshold: the advantage above which an action has weight 1.
    """

    beta: float = attrs.field(default=0.1, validator=number(0, 1))
    threshold: float = attrs.field(default=0.0, validator=number(-1e9))


@attrs.frozen(kw_only=True)
class SoftConfig:
    """The settings that smooth weights share: a temperature.

    Attributes:
        temperature: T, the divisor of the advantage.
        relative: T is in units of the batch's mean |A|, so that it does not depend on the scale of rewards; otherwise
            in units of value, as published.
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
    """Clones a fixed share of the rows: those with the largest advantage in the whole meta-batch.

    Unlike Eq. 3 it does not need an exact V, which only makes states comparable. BAIL also clones a share, but selects
    it once, by returns relative to an upper envelope.

    Attributes:
        fraction: the share, (0, 1].
    """

    fraction: float = attrs.field(default=0.5, validator=number(0, 1, above=True))


@attrs.frozen(kw_only=True)
class WeightedBcConfig:
    """SELECT's actor.

    Attributes:
        policy: the policy to train.
        alpha: weight of the Q term against the cloning term, α of Eq. 2. The paper does not give it; 2.5 is TD3+BC's.
        lambda_on: the actions whose |Q₁| normalises: ``dataset`` (Eq. 2) or ``policy`` (the TD3+BC and wPC code).
        weight: weight of the cloning term by advantage; ``binary`` is Eq. 3, ``constant`` makes it TD3+BC.
        actor_every: steps between updates of the policy.
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
        policy: the policy to train.
        regulariser: weight of rlkit's penalty on μ² and log²σ before squashing.
        lr: learning rate of the policy (Adam).
    """

    policy: PolicyConfig = attrs.field(factory=TanhGaussianConfig, validator=part(POLICIES))
    regulariser: float = attrs.field(default=1e-3, validator=number(0))
    lr: float = attrs.field(default=3e-4, validator=number(0, above=True), metadata=shares("LEARNING_RATE"))


@attrs.frozen(kw_only=True)
class BracConfig(SacConfig):
    """The soft actor, kept near the behaviour policy by a dual estimate of the KL divergence.

    Attributes:
        divergence_init: initial multiplier α; 50 or 500 by environment.
        divergence_max: bound of the multiplier in the loss; the parameter itself is not clipped.
        divergence_target: target of the divergence.
        divergence_lr: learning rate of the multiplier (gradient descent).
        dual_hidden: hidden widths of the dual critic.
        dual_steps: dual steps per training step: the first on the step's rows, the others on fresh rows.
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
