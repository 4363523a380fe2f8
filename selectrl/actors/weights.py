"""Weights of the behaviour-cloning term, as functions of the advantage; registered so that a binding swaps them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from selectrl.fields import number
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


WEIGHTS.add(
    "binary", BinaryConfig, paper="SELECT, AAMAS 2025", summary="1 where the data's action beats V(s), 0 elsewhere"
)
WEIGHTS.add(
    "constant", ConstantConfig, paper="Fujimoto & Gu, NeurIPS 2021", summary="clones every action alike (TD3+BC)"
)
