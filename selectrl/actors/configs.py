"""Configs of the actor losses, and their registration; free of torch so that listing and dry runs start fast."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from selectrl.actors.weights import BinaryConfig
from selectrl.fields import as_tuple, choice, integer, number, part, sizes
from selectrl.nets.configs import DeterministicConfig, TanhGaussianConfig
from selectrl.protocols import PolicyConfig, WeightConfig
from selectrl.registry import ACTORS, POLICIES, WEIGHTS

if TYPE_CHECKING:
    from selectrl.actors.brac import BracActor
    from selectrl.actors.sac import SacActor
    from selectrl.actors.weighted_bc import WeightedBcActor
    from selectrl.structs import Spec


@attrs.frozen(kw_only=True)
class WeightedBcConfig:
    """SELECT's actor.

    Attributes:
        policy: what it trains.
        alpha: weight of the Q term against the cloning term, α of Eq. 2. The paper gives no value; 2.5 is TD3+BC's.
        lambda_on: whose |Q₁| normalises: ``dataset`` actions (Eq. 2) or the ``policy``'s (the TD3+BC and wPC code).
        weight: weight of the cloning term by advantage; ``binary`` is Eq. 3, ``constant`` makes it TD3+BC.
        actor_every: the policy moves on every n-th step.
        lr: learning rate of the policy (Adam).
    """

    policy: PolicyConfig = attrs.field(factory=DeterministicConfig, validator=part(POLICIES))
    alpha: float = attrs.field(default=2.5, validator=number(0))
    lambda_on: str = attrs.field(default="dataset", validator=choice("dataset", "policy"))
    weight: WeightConfig = attrs.field(factory=BinaryConfig, validator=part(WEIGHTS))
    actor_every: int = attrs.field(default=2, validator=integer(1))
    lr: float = attrs.field(default=3e-4, validator=number(0, above=True))

    def build(self, spec: Spec, latent_dim: int) -> WeightedBcActor:
        """Build the actor loss."""
        from selectrl.actors.weighted_bc import WeightedBcActor

        return WeightedBcActor(self, spec)


@attrs.frozen(kw_only=True)
class SacConfig:
    """The unconstrained soft actor of PEARL, FOCAL and CSRO.

    Attributes:
        policy: what it trains.
        regulariser: weight of rlkit's penalty on μ² and log²σ before squashing.
        lr: learning rate of the policy (Adam).
    """

    policy: PolicyConfig = attrs.field(factory=TanhGaussianConfig, validator=part(POLICIES))
    regulariser: float = attrs.field(default=1e-3, validator=number(0))
    lr: float = attrs.field(default=3e-4, validator=number(0, above=True))

    def build(self, spec: Spec, latent_dim: int) -> SacActor:
        """Build the actor loss."""
        from selectrl.actors.sac import SacActor

        return SacActor(self, spec, latent_dim)


@attrs.frozen(kw_only=True)
class BracConfig(SacConfig):
    """The soft actor kept near the behaviour policy by a dual estimate of the KL divergence.

    Attributes:
        divergence_init: initial multiplier α; 50 or 500 by environment.
        divergence_max: bound of the multiplier as used; the raw one is not clipped.
        divergence_target: the divergence that the multiplier aims at.
        divergence_lr: learning rate of the multiplier, plain gradient.
        dual_hidden: hidden widths of the dual critic.
        dual_steps: dual steps per training step: the first on the step's rows, the others on fresh ones.
        dual_penalty: weight of the penalty on the dual critic's magnitude.
        dual_lr: learning rate of the dual critic (Adam).
    """

    divergence_init: float = attrs.field(default=50.0, validator=number(0))
    divergence_max: float = attrs.field(default=2000.0, validator=number(0, above=True))
    divergence_target: float = attrs.field(default=0.05, validator=number(0))
    divergence_lr: float = attrs.field(default=1.0, validator=number(0, above=True))
    dual_hidden: tuple[int, ...] = attrs.field(default=(256, 256, 256), converter=as_tuple, validator=sizes())
    dual_steps: int = attrs.field(default=3, validator=integer(1, 20))
    dual_penalty: float = attrs.field(default=5.0, validator=number(0))
    dual_lr: float = attrs.field(default=1e-4, validator=number(0, above=True))

    def build(self, spec: Spec, latent_dim: int) -> BracActor:
        """Build the actor loss."""
        from selectrl.actors.brac import BracActor

        return BracActor(self, spec, latent_dim)


ACTORS.add(
    "weighted_bc",
    WeightedBcConfig,
    paper="SELECT, AAMAS 2025",
    summary="maximises Q under weighted behaviour cloning (Eq. 1-3)",
)
ACTORS.add("brac", BracConfig, paper="Wu, Tucker & Nachum, 2019", summary="soft actor under a dual KL constraint")
ACTORS.add("sac", SacConfig, paper="Haarnoja et al., ICML 2018", summary="soft actor without a constraint")
