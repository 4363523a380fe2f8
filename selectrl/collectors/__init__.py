"""Context collectors: they gather context in an unseen task. Each is registered here with its config."""

from __future__ import annotations

from typing import TYPE_CHECKING

from selectrl.collectors.configs import (
    AnnealedConfig,
    BeliefConfig,
    BeliefScaledConfig,
    HeldConfig,
    NonPriorConfig,
    OfflineConfig,
    OnlineConfig,
    PosteriorConfig,
    ProximalConfig,
    ReturnFilteredConfig,
)
from selectrl.registry import COLLECTORS, Deferred

if TYPE_CHECKING:
    from selectrl.collectors.belief import BeliefCollector
    from selectrl.collectors.non_prior import NonPriorCollector
    from selectrl.collectors.offline import OfflineCollector
    from selectrl.collectors.online import OnlineCollector
    from selectrl.collectors.posterior import PosteriorCollector
    from selectrl.collectors.proximal import AnnealedCollector, BeliefScaledCollector, HeldCollector, ProximalCollector
    from selectrl.collectors.return_filtered import ReturnFilteredCollector
else:
    BeliefCollector = Deferred("selectrl.collectors.belief:BeliefCollector")
    NonPriorCollector = Deferred("selectrl.collectors.non_prior:NonPriorCollector")
    OfflineCollector = Deferred("selectrl.collectors.offline:OfflineCollector")
    OnlineCollector = Deferred("selectrl.collectors.online:OnlineCollector")
    PosteriorCollector = Deferred("selectrl.collectors.posterior:PosteriorCollector")
    AnnealedCollector = Deferred("selectrl.collectors.proximal:AnnealedCollector")
    BeliefScaledCollector = Deferred("selectrl.collectors.proximal:BeliefScaledCollector")
    HeldCollector = Deferred("selectrl.collectors.proximal:HeldCollector")
    ProximalCollector = Deferred("selectrl.collectors.proximal:ProximalCollector")
    ReturnFilteredCollector = Deferred("selectrl.collectors.return_filtered:ReturnFilteredCollector")

COLLECTORS.add(
    "proximal",
    ProximalConfig,
    ProximalCollector,
    paper="SELECT, AAMAS 2025",
    summary="the policy's mode plus clipped Gaussian noise from the first step (Eq. 4)",
)
COLLECTORS.add(
    "non_prior",
    NonPriorConfig,
    NonPriorCollector,
    paper="Gao et al., NeurIPS 2023",
    summary="uniform random actions for half of the budget, then the policy",
)
COLLECTORS.add(
    "online",
    OnlineConfig,
    OnlineCollector,
    paper="Li, Yang & Luo, ICLR 2021",
    summary="the policy's own deterministic episodes",
)
COLLECTORS.add(
    "belief",
    BeliefConfig,
    BeliefCollector,
    paper="Dorfman, Shenfeld & Tamar, NeurIPS 2021",
    summary="the policy's own deterministic episodes, the belief read at every step",
)
COLLECTORS.add(
    "offline",
    OfflineConfig,
    OfflineCollector,
    paper="Li, Yang & Luo, ICLR 2021",
    summary="episodes of the unseen task's stored data",
)
COLLECTORS.add(
    "posterior",
    PosteriorConfig,
    PosteriorCollector,
    paper="Rakelly et al., ICML 2019",
    summary="the policy's mode under a draw from the belief, redrawn each block",
)
COLLECTORS.add(
    "annealed",
    AnnealedConfig,
    AnnealedCollector,
    paper="SELECT, AAMAS 2025",
    summary="proximal noise that falls over the budget",
)
COLLECTORS.add(
    "belief_scaled",
    BeliefScaledConfig,
    BeliefScaledCollector,
    paper="SELECT, AAMAS 2025",
    summary="proximal noise in proportion to the belief's spread",
)
COLLECTORS.add(
    "held", HeldConfig, HeldCollector, paper="SELECT, AAMAS 2025", summary="proximal noise drawn once per block"
)
COLLECTORS.add(
    "return_filtered",
    ReturnFilteredConfig,
    ReturnFilteredCollector,
    paper="Wang et al., ICML 2023",
    summary="another collector, which keeps only blocks with a good return",
)
