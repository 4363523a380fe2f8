"""Context from stored data of the unseen task."""

from __future__ import annotations

from selectrl.collectors.online import OnlineCollector


class OfflineCollector(OnlineCollector):
    """Each block is as many rows, drawn uniformly from the unseen task's stored data, as a block has steps.

    No method has such data in practice; the gap to self-collected context is what a collector has to close. This is the
    only part that opens the data of test tasks.

    References:
        The offline protocol of FOCAL's and CSRO's code.
    """

    offline = True
