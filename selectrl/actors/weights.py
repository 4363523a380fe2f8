"""Weights of the behaviour-cloning term, as functions of the advantage; registered so that a binding swaps them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from selectrl.fields import flag, number
from selectrl.registry import WEIGHTS

if TYPE_CHECKING:
    from torch import Tensor


@attrs.frozen(kw_only=True)
class BinaryConfig:
    """SELECT's Eq. 3: 1 where the data's action beats the value of the state, 0 elsewhere.

    Attributes:
        threshold: the advantage above which an action is cloned.
    """

    threshold: float = attrs.field(default=0.0, validator=number(-1e9))

    def weigh(self, advantage: Tensor) -> Tensor:
        """Return 1[A > threshold], shaped as the advantage."""
        return (advantage > self.threshold).to(advantage.dtype)


@attrs.frozen(kw_only=True)
class ConstantConfig:
    """One weight for every action; at 1 the actor is TD3+BC, at 0 TD3.

    Attributes:
        value: the weight.
    """

    value: float = attrs.field(default=1.0, validator=number(0))

    def weigh(self, advantage: Tensor) -> Tensor:
        """Return the constant, shaped as the advantage."""
        return advantage.new_full(advantage.shape, self.value)


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

    def weigh(self, advantage: Tensor) -> Tensor:
        """Return 1 where A > threshold and β elsewhere, shaped as the advantage."""
        above = (advantage > self.threshold).to(advantage.dtype)
        return above + self.beta * (1 - above)


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

    def scaled(self, advantage: Tensor) -> Tensor:
        """Return A / T without gradient, shaped as the advantage."""
        from selectrl.functional.constraints import relative_advantage

        scaled = relative_advantage(advantage) if self.relative else advantage.detach()
        return scaled / self.temperature


@attrs.frozen(kw_only=True)
class ExpConfig(SoftConfig):
    r"""The exponential weight of advantage-weighted regression, :math:`\min(e^{A/T}, w_{max})`.

    AWAC normalises the same exponential over the batch instead of clipping it.

    Attributes:
        clip: largest weight, 20 in AWR and CRR.
    """

    clip: float = attrs.field(default=20.0, validator=number(0, above=True))

    def weigh(self, advantage: Tensor) -> Tensor:
        """Return the clipped exponential, shaped as the advantage."""
        return self.scaled(advantage).exp().clamp(max=self.clip)


@attrs.frozen(kw_only=True)
class SigmoidConfig(SoftConfig):
    r"""A smooth Eq. 3, :math:`1 / (1 + e^{-A/T})`: ½ where A is 0, and ``binary`` as T goes to 0."""

    def weigh(self, advantage: Tensor) -> Tensor:
        """Return the logistic function, shaped as the advantage."""
        return self.scaled(advantage).sigmoid()


@attrs.frozen(kw_only=True)
class TopPConfig:
    """Clones a fixed share of the rows: those of the largest advantage in the whole meta-batch.

    Unlike Eq. 3 it needs no V of the right height; V only levels the states. BAIL also clones a share, but picks it
    once, by returns against an upper envelope.

    Attributes:
        fraction: the share, (0, 1].
    """

    fraction: float = attrs.field(default=0.5, validator=number(0, 1, above=True))

    def weigh(self, advantage: Tensor) -> Tensor:
        """Return 1 in the share and 0 elsewhere, shaped as the advantage."""
        from selectrl.functional.constraints import top_fraction

        return top_fraction(advantage, fraction=self.fraction)


WEIGHTS.add(
    "binary", BinaryConfig, paper="SELECT, AAMAS 2025", summary="1 where the data's action beats V(s), 0 elsewhere"
)
WEIGHTS.add(
    "constant", ConstantConfig, paper="Fujimoto & Gu, NeurIPS 2021", summary="clones every action alike (TD3+BC)"
)
WEIGHTS.add(
    "exp",
    ExpConfig,
    paper="Peng et al., 2019; Wang et al., NeurIPS 2020",
    summary="clipped exponential of the advantage (AWR, CRR)",
)
WEIGHTS.add(
    "leaky",
    LeakyConfig,
    paper="Grigsby, Fan & Zhu, ICLR 2024",
    summary="1 where the data's action beats V(s), a little elsewhere",
)
WEIGHTS.add(
    "sigmoid", SigmoidConfig, paper="SELECT, AAMAS 2025", summary="smooth step of the advantage, binary in the limit"
)
WEIGHTS.add(
    "top_p",
    TopPConfig,
    paper="Chen et al., NeurIPS 2020",
    summary="1 for the share of the meta-batch with the largest advantage",
)
