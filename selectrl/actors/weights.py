"""Weights of the behaviour-cloning term, as functions of the advantage."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Generic, TypeVar

from torch import Tensor

from selectrl.actors.configs import (
    BinaryConfig,
    ConstantConfig,
    ExpConfig,
    LeakyConfig,
    SigmoidConfig,
    SoftConfig,
    TopPConfig,
)
from selectrl.functional.constraints import relative_advantage, top_fraction

C = TypeVar("C", bound=SoftConfig)


class BinaryWeight:
    """SELECT's Eq. 3."""

    def __init__(self, config: BinaryConfig) -> None:
        self.config = config

    def weigh(self, advantage: Tensor) -> Tensor:
        """Return 1[A > threshold], in the shape of the advantage."""
        return (advantage > self.config.threshold).to(advantage.dtype)


class ConstantWeight:
    """The same weight for every action."""

    def __init__(self, config: ConstantConfig) -> None:
        self.config = config

    def weigh(self, advantage: Tensor) -> Tensor:
        """Return the constant, in the shape of the advantage."""
        return advantage.new_full(advantage.shape, self.config.value)


class LeakyWeight:
    """Eq. 3 with a leak."""

    def __init__(self, config: LeakyConfig) -> None:
        self.config = config

    def weigh(self, advantage: Tensor) -> Tensor:
        """Return 1 where A > threshold and β elsewhere, in the shape of the advantage."""
        above = (advantage > self.config.threshold).to(advantage.dtype)
        return above + self.config.beta * (1 - above)


class SoftWeight(ABC, Generic[C]):
    """A smooth function of the advantage over a temperature."""

    def __init__(self, config: C) -> None:
        self.config = config

    def scale(self, advantage: Tensor) -> Tensor:
        """Return A / T without gradient, in the shape of the advantage."""
        scaled = relative_advantage(advantage) if self.config.relative else advantage.detach()
        return scaled / self.config.temperature

    @abstractmethod
    def weigh(self, advantage: Tensor) -> Tensor:
        """Return the weight, in the shape of the advantage."""


class ExpWeight(SoftWeight[ExpConfig]):
    """The clipped exponential of advantage-weighted regression."""

    def weigh(self, advantage: Tensor) -> Tensor:
        """Return the clipped exponential, in the shape of the advantage."""
        return self.scale(advantage).exp().clamp(max=self.config.clip)


class SigmoidWeight(SoftWeight[SigmoidConfig]):
    """A smooth Eq. 3."""

    def weigh(self, advantage: Tensor) -> Tensor:
        """Return the logistic function, in the shape of the advantage."""
        return self.scale(advantage).sigmoid()


class TopPWeight:
    """A fixed share of the rows: those with the largest advantage in the whole meta-batch."""

    def __init__(self, config: TopPConfig) -> None:
        self.config = config

    def weigh(self, advantage: Tensor) -> Tensor:
        """Return 1 in the share and 0 elsewhere, in the shape of the advantage."""
        return top_fraction(advantage, fraction=self.config.fraction)
