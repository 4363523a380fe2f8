"""Posterior sampling: the policy acts for a block as if a draw from the belief were the task."""

from __future__ import annotations

from torch import Tensor

from selectrl.collectors.base import PolicyCollector
from selectrl.collectors.configs import PosteriorConfig
from selectrl.protocols import Policy
from selectrl.structs import Belief, Moment


class PosteriorCollector(PolicyCollector[PosteriorConfig]):
    r"""The mode of the policy under :math:`z = \mu + \sigma\epsilon`, redrawn for each block.

    Before any context the belief is N(0, I), so the first block acts on a draw from the prior. Scored episodes act on
    the belief's mean, as with every collector.

    Differs from the published code, in which scored episodes act on draws and are themselves the context.

    References:
        Rakelly et al., "PEARL", ICML 2019.
    """

    def latent(self, belief: Belief, normal: Tensor) -> Tensor:
        """Return a draw from the belief, (world, latent)."""
        return belief.z + belief.spread * normal

    def act(self, policy: Policy, obs: Tensor, z: Tensor, moment: Moment) -> Tensor:
        """Return the policy's mode, (world, action)."""
        return policy.mode(obs, z)
