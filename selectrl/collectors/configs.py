"""Configs of the collectors, and their registration; free of torch so that listing and dry runs start fast."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from selectrl.fields import choice, number
from selectrl.registry import COLLECTORS

if TYPE_CHECKING:
    from selectrl.collectors.non_prior import NonPriorCollector
    from selectrl.collectors.offline import OfflineCollector
    from selectrl.collectors.online import OnlineCollector
    from selectrl.collectors.proximal import ProximalCollector


@attrs.frozen(kw_only=True)
class ProximalConfig:
    """SELECT's proximal context collection.

    Attributes:
        sigma: σ_test, deviation of the noise in units of the action box [-1, 1]. The paper gives no value; .2 is
            published practice (TD3's smoothing), near 1 the actions are near random.
        clip: where the noise is clipped, in the same units; ``None`` is 2.5 σ.
    """

    sigma: float = attrs.field(default=0.2, validator=number(0))
    clip: float | None = attrs.field(default=None, validator=attrs.validators.optional(number(0)))

    def build(self) -> ProximalCollector:
        """Build the collector."""
        from selectrl.collectors.proximal import ProximalCollector

        return ProximalCollector(self)


@attrs.frozen(kw_only=True)
class NonPriorConfig:
    """CSRO's non-prior context collection.

    Attributes:
        random_fraction: fraction of the budget spent on uniform random actions before the policy takes over.
    """

    random_fraction: float = attrs.field(default=0.5, validator=number(0, 1))

    def build(self) -> NonPriorCollector:
        """Build the collector."""
        from selectrl.collectors.non_prior import NonPriorCollector

        return NonPriorCollector(self)


@attrs.frozen(kw_only=True)
class OnlineConfig:
    """Context from the policy's own deterministic episodes."""

    def build(self) -> OnlineCollector:
        """Build the collector."""
        from selectrl.collectors.online import OnlineCollector

        return OnlineCollector()


@attrs.frozen(kw_only=True)
class OfflineConfig:
    """Context drawn from the unseen task's stored data: not available in practice, an upper bound in a report.

    Attributes:
        draw: a block is one whole stored episode (``episodes``) or as many independent ``rows``, as CSRO reads them.
    """

    draw: str = attrs.field(default="episodes", validator=choice("episodes", "rows"))

    def build(self) -> OfflineCollector:
        """Build the collector."""
        from selectrl.collectors.offline import OfflineCollector

        return OfflineCollector(self)


COLLECTORS.add(
    "proximal",
    ProximalConfig,
    paper="SELECT, AAMAS 2025",
    summary="the policy's mode plus clipped Gaussian noise from the first step (Eq. 4)",
)
COLLECTORS.add(
    "non_prior",
    NonPriorConfig,
    paper="Gao et al., NeurIPS 2023",
    summary="uniform random actions for half of the budget, then the policy",
)
COLLECTORS.add(
    "online", OnlineConfig, paper="Li, Yang & Luo, ICLR 2021", summary="the policy's own deterministic episodes"
)
COLLECTORS.add(
    "offline", OfflineConfig, paper="Li, Yang & Luo, ICLR 2021", summary="episodes of the unseen task's stored data"
)
