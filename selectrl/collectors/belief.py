"""Context from a policy that acts on its belief of the moment."""

from __future__ import annotations

from selectrl.collectors.online import OnlineCollector


class BeliefCollector(OnlineCollector):
    """The policy's mode under a belief that is read after every step, in collection and in scored episodes.

    The belief is carried from one episode to the next; exploring is what the policy does when its belief is vague. A
    scored episode filters a copy, so it leaves nothing in the context.

    References:
        Dorfman, Shenfeld & Tamar, NeurIPS 2021.
    """

    def updates(self, progress: float, block_end: bool) -> bool:
        """Read the belief again after every step."""
        return True
