"""Context from stored data of the unseen task."""

from __future__ import annotations

from typing import TYPE_CHECKING

from selectrl.collectors.online import OnlineCollector

if TYPE_CHECKING:
    from selectrl.collectors.configs import OfflineConfig


class OfflineCollector(OnlineCollector):
    """Each block is one episode of the unseen task's stored data, or as many independent rows as a block has steps.

    No method has such data in practice; the gap to self-collected context is what a collector has to close. This is the
    only part that opens the data of test tasks.

    FOCAL's and CSRO's code draws independent rows, CORRO's one whole trajectory; a belief filter reads nothing sensible
    from rows out of order.

    References:
        The offline protocols of FOCAL's, CSRO's and CORRO's code.
    """

    def __init__(self, config: OfflineConfig) -> None:
        self.offline = config.draw
