"""Return-filtered context: keep only the blocks in which the agent did well."""

from __future__ import annotations

from torch import Tensor

from selectrl.collectors.configs import ReturnFilteredConfig
from selectrl.protocols import Policy
from selectrl.registry import COLLECTORS
from selectrl.structs import Belief, Moment


class ReturnFilteredCollector:
    """Another collector, of whose blocks only those enter the context that return enough.

    A world keeps a block if its return is at least the given quantile (interpolated) of all returns that it collected
    so far, dropped ones and this one included; so its first block is always kept. A dropped block spends its budget all
    the same, and the belief falls back to what it was before it.

    Differs from IDAQ, which fixes its threshold in a stage of its own, and also knows thresholds on the uncertainty of
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
        """Keep what the inner collector keeps and returns enough, (world,); returns (world, block)."""
        good = returns[:, -1] >= returns.quantile(self.config.quantile, dim=1)
        return self.inner.keeps(returns) & good
