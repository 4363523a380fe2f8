"""Actor losses: they train the agent's policy. Each is registered here with its config."""

from __future__ import annotations

from typing import TYPE_CHECKING

from selectrl.actors.configs import (
    BinaryConfig,
    BracConfig,
    ConstantConfig,
    ExpConfig,
    LeakyConfig,
    SacConfig,
    SigmoidConfig,
    TopPConfig,
    WeightedBcConfig,
)
from selectrl.registry import ACTORS, WEIGHTS, Deferred

if TYPE_CHECKING:
    from selectrl.actors.brac import BracActor
    from selectrl.actors.sac import SacActor
    from selectrl.actors.weighted_bc import WeightedBcActor
    from selectrl.actors.weights import BinaryWeight, ConstantWeight, ExpWeight, LeakyWeight, SigmoidWeight, TopPWeight
else:
    BracActor = Deferred("selectrl.actors.brac:BracActor")
    SacActor = Deferred("selectrl.actors.sac:SacActor")
    WeightedBcActor = Deferred("selectrl.actors.weighted_bc:WeightedBcActor")
    BinaryWeight = Deferred("selectrl.actors.weights:BinaryWeight")
    ConstantWeight = Deferred("selectrl.actors.weights:ConstantWeight")
    ExpWeight = Deferred("selectrl.actors.weights:ExpWeight")
    LeakyWeight = Deferred("selectrl.actors.weights:LeakyWeight")
    SigmoidWeight = Deferred("selectrl.actors.weights:SigmoidWeight")
    TopPWeight = Deferred("selectrl.actors.weights:TopPWeight")

ACTORS.add(
    "weighted_bc",
    WeightedBcConfig,
    WeightedBcActor,
    paper="SELECT, AAMAS 2025",
    summary="maximises Q under weighted behaviour cloning (Eq. 1-3)",
)
ACTORS.add(
    "brac", BracConfig, BracActor, paper="Wu, Tucker & Nachum, 2019", summary="soft actor under a dual KL constraint"
)
ACTORS.add("sac", SacConfig, SacActor, paper="Haarnoja et al., ICML 2018", summary="soft actor without a constraint")
WEIGHTS.add(
    "binary",
    BinaryConfig,
    BinaryWeight,
    paper="SELECT, AAMAS 2025",
    summary="1 where the data's action beats V(s), 0 elsewhere",
)
WEIGHTS.add(
    "constant",
    ConstantConfig,
    ConstantWeight,
    paper="Fujimoto & Gu, NeurIPS 2021",
    summary="the same weight for every action (TD3+BC)",
)
WEIGHTS.add(
    "exp",
    ExpConfig,
    ExpWeight,
    paper="Peng et al., 2019; Wang et al., NeurIPS 2020",
    summary="clipped exponential of the advantage (AWR, CRR)",
)
WEIGHTS.add(
    "leaky",
    LeakyConfig,
    LeakyWeight,
    paper="Grigsby, Fan & Zhu, ICLR 2024",
    summary="1 where the data's action beats V(s), a small weight elsewhere",
)
WEIGHTS.add(
    "sigmoid",
    SigmoidConfig,
    SigmoidWeight,
    paper="SELECT, AAMAS 2025",
    summary="smooth step of the advantage, binary in the limit",
)
WEIGHTS.add(
    "top_p",
    TopPConfig,
    TopPWeight,
    paper="Chen et al., NeurIPS 2020",
    summary="1 for the share of the meta-batch with the largest advantage",
)
