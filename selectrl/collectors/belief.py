"""Context from a policy that acts on its current belief."""

from __future__ import annotations

from torch import Tensor

from selectrl.collectors.base import PolicyCollector
from selectrl.collectors.configs import BeliefConfig
from selectrl.protocols import Policy
from selectrl.structs import Moment


class BeliefCollector(PolicyCollector[BeliefConfig]):
    """The policy's mode under a belief that is read after every step, in collection and in scored episodes.

    The belief continues from each episode to the next; the policy explores while its belief is uncertain. A scored
    episode filters a copy of the belief, so it adds nothing to the context.

    References:
        Dorfman, Shenfeld & Tamar, NeurIPS 2021.
    """

    def act(self, policy: Policy, obs: Tensor, z: Tensor, moment: Moment) -> Tensor:
        """Return the policy's mode, (world, action)."""
        return policy.mode(obs, z)

    def updates(self, progress: float, block_end: bool) -> bool:
        """Read the belief again after every step."""
        return True
