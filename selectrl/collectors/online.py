"""Context from the policy itself: it acts on its belief and updates it after each block."""

from __future__ import annotations

import torch
from torch import Tensor

from selectrl.protocols import Policy
from selectrl.structs import Belief, Moment


class OnlineCollector:
    """The mode of the policy under the mean belief; no exploration.

    In a deterministic environment the first block repeats the context-free episode.

    References:
        The prior-context protocol of FOCAL's and CSRO's code.
    """

    offline = ""

    def latent(self, belief: Belief, normal: Tensor) -> Tensor:
        """Return the mean belief, (world, latent)."""
        return belief.z

    def act(self, policy: Policy, obs: Tensor, z: Tensor, moment: Moment) -> Tensor:
        """Return the policy's mode, (world, action)."""
        return policy.mode(obs, z)

    def updates(self, progress: float, block_end: bool) -> bool:
        """Read the belief again after each block."""
        return block_end

    def keeps(self, returns: Tensor) -> Tensor:
        """Keep every block, (world,)."""
        return torch.ones_like(returns[:, -1], dtype=torch.bool)
