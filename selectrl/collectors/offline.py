"""Context from stored data of the unseen task."""

from __future__ import annotations

from torch import Tensor

from selectrl.collectors.base import PolicyCollector
from selectrl.collectors.configs import OfflineConfig
from selectrl.protocols import Policy
from selectrl.structs import Moment


class OfflineCollector(PolicyCollector[OfflineConfig]):
    """Each block is one episode of the unseen task's stored data, or as many independent rows as a block has steps.

    No method has such data in practice; the gap to self-collected context is what a collector has to close. This is the
    only part that opens the data of test tasks.

    FOCAL's and CSRO's code draws independent rows, CORRO's one whole trajectory; a belief filter reads nothing sensible
    from rows out of order.

    References:
        The offline protocols of FOCAL's, CSRO's and CORRO's code.
    """

    def __init__(self, config: OfflineConfig) -> None:
        super().__init__(config)
        self.offline = config.draw

    def act(self, policy: Policy, obs: Tensor, z: Tensor, moment: Moment) -> Tensor:
        """Return the policy's mode, (world, action)."""
        return policy.mode(obs, z)
