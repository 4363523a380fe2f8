"""CSRO's non-prior context collection: random first, so that a wrong prior cannot mislead exploration."""

from __future__ import annotations

from torch import Tensor

from selectrl.collectors.base import PolicyCollector
from selectrl.collectors.configs import NonPriorConfig
from selectrl.protocols import Policy
from selectrl.structs import Moment


class NonPriorCollector(PolicyCollector[NonPriorConfig]):
    """Uniform random actions for the first part of the budget, then samples of the policy under the belief.

    Differs from CSRO's code: the random part is a fraction of the *collection* budget, and the belief is read after
    every block; the code counts evaluation steps too, and does not read the belief before a gate.

    References:
        Gao et al., NeurIPS 2023.
    """

    def act(self, policy: Policy, obs: Tensor, z: Tensor, moment: Moment) -> Tensor:
        """Return a uniform action, or a sample of the policy, (world, action)."""
        if moment.progress < self.config.random_fraction:
            return 2 * moment.uniform - 1
        return policy.sample(obs, z, moment.normal).action
