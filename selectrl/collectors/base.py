"""The base of collectors: they act on the mean belief, read it again after each block and keep every block."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Generic, TypeVar

import torch
from torch import Tensor

from selectrl.protocols import Policy
from selectrl.structs import Belief, Moment

C = TypeVar("C")


class PolicyCollector(ABC, Generic[C]):
    """Collects with the agent's policy; a subclass defines the action, and may override the rest.

    Args:
        config: the collector's settings.
    """

    offline = ""

    def __init__(self, config: C) -> None:
        self.config = config

    def latent(self, belief: Belief, normal: Tensor) -> Tensor:
        """Return the mean belief, (world, latent)."""
        return belief.z

    @abstractmethod
    def act(self, policy: Policy, obs: Tensor, z: Tensor, moment: Moment) -> Tensor:
        """Return the action to execute, (world, action) in [-1, 1]."""

    def updates(self, progress: float, block_end: bool) -> bool:
        """Read the belief again after each block."""
        return block_end

    def keeps(self, returns: Tensor) -> Tensor:
        """Keep every block, (world,)."""
        return torch.ones_like(returns[:, -1], dtype=torch.bool)
