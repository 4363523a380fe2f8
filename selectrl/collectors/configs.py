"""Configs of the collectors, and their registration; free of torch so that listing and dry runs start fast."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from selectrl.errors import FieldError
from selectrl.fields import choice, number, part
from selectrl.protocols import CollectorConfig
from selectrl.registry import COLLECTORS

if TYPE_CHECKING:
    from selectrl.collectors.belief import BeliefCollector
    from selectrl.collectors.non_prior import NonPriorCollector
    from selectrl.collectors.offline import OfflineCollector
    from selectrl.collectors.online import OnlineCollector
    from selectrl.collectors.posterior import PosteriorCollector
    from selectrl.collectors.proximal import (
        AnnealedCollector,
        BeliefScaledCollector,
        HeldCollector,
        ProximalCollector,
    )
    from selectrl.collectors.return_filtered import ReturnFilteredCollector


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
class BeliefConfig:
    """Context from the policy's own deterministic episodes, under a belief that is read after every step."""

    def build(self) -> BeliefCollector:
        """Build the collector."""
        from selectrl.collectors.belief import BeliefCollector

        return BeliefCollector()


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


@attrs.frozen(kw_only=True)
class AnnealedConfig:
    """Proximal noise that falls over the budget; it is clipped at 2.5 σ.

    Attributes:
        sigma_start: σ before the first step, in units of the action box [-1, 1].
        sigma_end: σ when the budget is spent.
        schedule: how it falls, ``linear`` or ``cosine``.
    """

    sigma_start: float = attrs.field(default=0.5, validator=number(0))
    sigma_end: float = attrs.field(default=0.05, validator=number(0))
    schedule: str = attrs.field(default="linear", validator=choice("linear", "cosine"))

    def build(self) -> AnnealedCollector:
        """Build the collector."""
        from selectrl.collectors.proximal import AnnealedCollector

        return AnnealedCollector(self)


@attrs.frozen(kw_only=True)
class BeliefScaledConfig:
    """Proximal noise as wide as the belief is unsure; it is clipped at 2.5 σ.

    Attributes:
        scale: σ per unit of the belief's mean spread.
        low: smallest σ, in units of the action box [-1, 1].
        high: largest σ.
    """

    scale: float = attrs.field(default=0.5, validator=number(0))
    low: float = attrs.field(default=0.05, validator=number(0))
    high: float = attrs.field(default=0.5, validator=number(0))

    def __attrs_post_init__(self) -> None:
        """Refuse an empty range."""
        if self.low > self.high:
            raise FieldError(type(self), "low", f"expected at most high, {self.high:g}, got {self.low:g}")

    def build(self) -> BeliefScaledCollector:
        """Build the collector."""
        from selectrl.collectors.proximal import BeliefScaledCollector

        return BeliefScaledCollector(self)


@attrs.frozen(kw_only=True)
class HeldConfig(ProximalConfig):
    """Proximal noise that is drawn once per block."""

    def build(self) -> HeldCollector:
        """Build the collector."""
        from selectrl.collectors.proximal import HeldCollector

        return HeldCollector(self)


@attrs.frozen(kw_only=True)
class PosteriorConfig:
    """OffPEARL's collector: each block acts on a draw from the belief."""

    def build(self) -> PosteriorCollector:
        """Build the collector."""
        from selectrl.collectors.posterior import PosteriorCollector

        return PosteriorCollector()


def _collects(instance: object, attribute: Any, value: object) -> None:
    if isinstance(value, OfflineConfig):
        problem = "expected a collector that acts, got @collectors.offline(), whose blocks are stored data"
        raise FieldError(type(instance), attribute.name, problem)


@attrs.frozen(kw_only=True)
class ReturnFilteredConfig:
    """Another collector, of whose blocks only those with a good return become context.

    Attributes:
        collector: what collects.
        quantile: a block is kept if its return is at least this quantile of the returns so far in its world.
    """

    collector: CollectorConfig = attrs.field(factory=ProximalConfig, validator=[part(COLLECTORS), _collects])
    quantile: float = attrs.field(default=0.5, validator=number(0, 1))

    def build(self) -> ReturnFilteredCollector:
        """Build the collector."""
        from selectrl.collectors.return_filtered import ReturnFilteredCollector

        return ReturnFilteredCollector(self)


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
    "belief",
    BeliefConfig,
    paper="Dorfman, Shenfeld & Tamar, NeurIPS 2021",
    summary="the policy's own deterministic episodes, the belief read at every step",
)
COLLECTORS.add(
    "offline", OfflineConfig, paper="Li, Yang & Luo, ICLR 2021", summary="episodes of the unseen task's stored data"
)
COLLECTORS.add(
    "posterior",
    PosteriorConfig,
    paper="Rakelly et al., ICML 2019",
    summary="the policy's mode under a draw from the belief, redrawn each block",
)
COLLECTORS.add(
    "annealed",
    AnnealedConfig,
    paper="SELECT, AAMAS 2025",
    summary="proximal noise that falls over the budget",
)
COLLECTORS.add(
    "belief_scaled",
    BeliefScaledConfig,
    paper="SELECT, AAMAS 2025",
    summary="proximal noise in proportion to the belief's spread",
)
COLLECTORS.add("held", HeldConfig, paper="SELECT, AAMAS 2025", summary="proximal noise drawn once per block")
COLLECTORS.add(
    "return_filtered",
    ReturnFilteredConfig,
    paper="Wang et al., ICML 2023",
    summary="another collector, of which blocks with a good return are kept",
)
