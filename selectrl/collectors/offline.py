"""Context from stored data of the unseen task."""

from __future__ import annotations

from torch import Tensor

from selectrl.collectors.base import PolicyCollector
from selectrl.collectors.configs import OfflineConfig
from selectrl.protocols import Policy
from selectrl.structs import Moment


class OfflineCollector(PolicyCollector[OfflineConfig]):
    """Each block is an episode of the unseen task's stored data, or independent rows, one per step of a block.

    No method has such data in practice; a collector has to close the gap between self-collected context and this. Only
    this part reads the data of test tasks.

    FOCAL's and CSRO's code draws independent rows, CORRO's code a whole trajectory. A belief filter needs rows in their
    order.

    References:
        The offline protocols of FOCAL's, CSRO's and CORRO's code.
    """

    def __init__(self, config: OfflineConfig) -> None:
        super().__init__(config)
        self.offline = config.draw

    def act(self, policy: Policy, obs: Tensor, z: Tensor, moment: Moment) -> Tensor:
        """Return the policy's mode, (world, action)."""
        return policy.mode(obs, z)
