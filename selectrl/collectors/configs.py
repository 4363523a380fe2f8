"""Configs of the collectors; they do not import torch."""

from __future__ import annotations

from typing import Any

import attrs

from selectrl.errors import FieldError
from selectrl.fields import choice, number, part
from selectrl.protocols import CollectorConfig
from selectrl.registry import COLLECTORS


@attrs.frozen(kw_only=True)
class ProximalConfig:
    """SELECT's proximal context collection.

    Attributes:
        sigma: σ_test, deviation of the noise in units of the action box [-1, 1]. The paper does not give it; 0.2
            is TD3's smoothing, and near 1 the actions are almost random.
        clip: bound of the noise, in the same units; ``None`` is 2.5 σ.
    """

    sigma: float = attrs.field(default=0.2, validator=number(0))
    clip: float | None = attrs.field(default=None, validator=attrs.validators.optional(number(0)))


@attrs.frozen(kw_only=True)
class NonPriorConfig:
    """CSRO's non-prior context collection.

    Attributes:
        random_fraction: fraction of the budget with uniform random actions, before the policy acts.
    """

    random_fraction: float = attrs.field(default=0.5, validator=number(0, 1))


@attrs.frozen(kw_only=True)
class OnlineConfig:
    """Context from the policy's own deterministic episodes."""


@attrs.frozen(kw_only=True)
class BeliefConfig:
    """Context from the policy's own deterministic episodes, under a belief that is read after every step."""


@attrs.frozen(kw_only=True)
class OfflineConfig:
    """Context from the unseen task's stored data: not available in practice, an upper bound in a report.

    Attributes:
        draw: a block is a whole stored episode (``episodes``), or the same number of independent ``rows`` as in CSRO.
    """

    draw: str = attrs.field(default="episodes", validator=choice("episodes", "rows"))


@attrs.frozen(kw_only=True)
class AnnealedConfig:
    """Proximal noise that falls over the budget; it is clipped at 2.5 σ.

    Attributes:
        sigma_start: σ before the first step, in units of the action box [-1, 1].
        sigma_end: σ when the budget is spent.
        schedule: ``linear`` or ``cosine``.
    """

    sigma_start: float = attrs.field(default=0.5, validator=number(0))
    sigma_end: float = attrs.field(default=0.05, validator=number(0))
    schedule: str = attrs.field(default="linear", validator=choice("linear", "cosine"))


@attrs.frozen(kw_only=True)
class BeliefScaledConfig:
    """Proximal noise in proportion to the belief's uncertainty; it is clipped at 2.5 σ.

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


@attrs.frozen(kw_only=True)
class HeldConfig(ProximalConfig):
    """Proximal noise that is drawn once per block."""


@attrs.frozen(kw_only=True)
class PosteriorConfig:
    """OffPEARL's collector: each block acts on a draw from the belief."""


def _require_acting(instance: object, attribute: Any, value: object) -> None:
    if isinstance(value, OfflineConfig):
        problem = "expected a collector that acts, got @collectors.offline(), which reads stored data"
        raise FieldError(type(instance), attribute.name, problem)


@attrs.frozen(kw_only=True)
class ReturnFilteredConfig:
    """Another collector; only its blocks with a good return become context.

    Attributes:
        collector: the collector of the blocks.
        quantile: a block is kept if its return is at least this quantile of the returns so far in its world.
    """

    collector: CollectorConfig = attrs.field(factory=ProximalConfig, validator=[part(COLLECTORS), _require_acting])
    quantile: float = attrs.field(default=0.5, validator=number(0, 1))
