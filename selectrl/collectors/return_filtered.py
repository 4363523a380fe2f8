"""Return-filtered context: only blocks with a good return are kept."""

from __future__ import annotations

from torch import Tensor

from selectrl.collectors.configs import ReturnFilteredConfig
from selectrl.protocols import Policy
from selectrl.registry import COLLECTORS
from selectrl.structs import Belief, Moment


class ReturnFilteredCollector:
    """Another collector; only its blocks with a large enough return enter the context.

    A world keeps a block if its return is at least the quantile (interpolated) of all returns that it collected so far,
    including dropped blocks and this block; so its first block is always kept. A dropped block also uses budget, and
    the belief returns to its state before the block.

    Differs from IDAQ, which sets its threshold in a separate stage, and also has thresholds on the uncertainty of
    learned models.

    References:
        Wang et al., "IDAQ", ICML 2023.
    """

    def __init__(self, config: ReturnFilteredConfig) -> None:
        self.config = config
        self.inner = COLLECTORS.build(config.collector)
        self.offline = self.inner.offline

    def latent(self, belief: Belief, normal: Tensor) -> Tensor:
        """Return the inner collector's z, (world, latent)."""
        return self.inner.latent(belief, normal)

    def act(self, policy: Policy, obs: Tensor, z: Tensor, moment: Moment) -> Tensor:
        """Return the inner collector's action, (world, action)."""
        return self.inner.act(policy, obs, z, moment)

    def updates(self, progress: float, block_end: bool) -> bool:
        """Read the belief again when the inner collector does."""
        return self.inner.updates(progress, block_end)

    def keeps(self, returns: Tensor) -> Tensor:
        """Keep a block that the inner collector keeps and whose return is large enough, (world,)."""
        is_good = returns[:, -1] >= returns.quantile(self.config.quantile, dim=1)
        return self.inner.keeps(returns) & is_good
