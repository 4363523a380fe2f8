"""Context from a policy that acts on its belief of the moment."""

from __future__ import annotations

from torch import Tensor

from selectrl.collectors.base import PolicyCollector
from selectrl.collectors.configs import BeliefConfig
from selectrl.protocols import Policy
from selectrl.structs import Moment


class BeliefCollector(PolicyCollector[BeliefConfig]):
    """The policy's mode under a belief that is read after every step, in collection and in scored episodes.

    The belief is carried from one episode to the next; exploring is what the policy does when its belief is vague. A
    scored episode filters a copy, so it leaves nothing in the context.

    References:
        Dorfman, Shenfeld & Tamar, NeurIPS 2021.
    """

    def act(self, policy: Policy, obs: Tensor, z: Tensor, moment: Moment) -> Tensor:
        """Return the policy's mode, (world, action)."""
        return policy.mode(obs, z)

    def updates(self, progress: float, block_end: bool) -> bool:
        """Read the belief again after every step."""
        return True
