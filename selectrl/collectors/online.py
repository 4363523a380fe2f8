"""Context from the policy itself, which acts on its belief and updates it after each block."""

from __future__ import annotations

from torch import Tensor

from selectrl.collectors.base import PolicyCollector
from selectrl.collectors.configs import OnlineConfig
from selectrl.protocols import Policy
from selectrl.structs import Moment


class OnlineCollector(PolicyCollector[OnlineConfig]):
    """The mode of the policy under the mean belief, without exploration.

    In a deterministic environment the first block repeats the context-free episode.

    References:
        The prior-context protocol of FOCAL's and CSRO's code.
    """

    def act(self, policy: Policy, obs: Tensor, z: Tensor, moment: Moment) -> Tensor:
        """Return the policy's mode, (world, action)."""
        return policy.mode(obs, z)
