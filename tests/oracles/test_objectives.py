"""Every objective of every registered part against its formula in NumPy float64, in value and in gradient."""

from __future__ import annotations

from functools import cache
from itertools import product
from typing import Any

import attrs
import fakes
import numpy as np
import pytest
import torch

from oracles import ORACLES, Parameters, mlp, scenes, slopes
from selectrl.encoders.aggregations.configs import (
    AttentionConfig,
    InverseVarianceConfig,
    MeanConfig,
    ProductOfGaussiansConfig,
)
from selectrl.encoders.corro.configs import RewardNoiseConfig
from selectrl.protocols import Objective, Optim, Phase
from selectrl.registry import ACTORS, CRITICS, ENCODERS, tag
from selectrl.trainer.agent import AgentModule, belongs

VARYING = fakes.SPEC._replace(dynamics_vary=True)
REPEATED = (4, 9, 4, 2)  # a meta-batch with a pair of one task


@attrs.frozen(kw_only=True)
class Composition:
    """Three parts and the circumstances under which their losses are checked."""

    encoder: Any = fakes.TINY["encoders.focal"]
    critic: Any = fakes.TINY["critics.twin_q_v"]
    actor: Any = fakes.TINY["actors.sac"]
    spec: Any = fakes.SPEC
    tasks: tuple[int, ...] = (4, 9, 0, 2)
    multiplier: float | None = None
    buffers: dict[str, Any] = attrs.field(factory=dict)  # what a phase would have prepared

    def agent(self) -> AgentModule:
        agent = fakes.agent(self.encoder, self.critic, self.actor, spec=self.spec).double()
        for name, value in self.buffers.items():
            owner, _, buffer = name.rpartition(".")
            setattr(agent.get_submodule(owner), buffer, value)
        if self.multiplier is not None:
            agent.actor.multiplier.data.fill_(self.multiplier)
        return agent


tiny = fakes.tiny
BC, DUAL, BRAC = "actors.weighted_bc", "critics.dual_target", tiny("actors.brac")
SOFT_DETERMINISTIC = tiny("actors.sac", policy=fakes.DETERMINISTIC)
TABLE = {  # beliefs of 4 tasks, 6 episodes and 6 states each
    "encoder.table": torch.from_numpy(np.random.default_rng(7).standard_normal((4, 6, 6, fakes.LATENT))),
    "encoder.place": torch.tensor([0, -1, 1, -1, 2, -1, -1, -1, -1, 3]),
}
CORRO = tiny("encoders.corro")
COMPOSITIONS = {
    "focal": Composition(),
    "focal_next_obs": Composition(encoder=tiny("encoders.focal", next_obs=True), actor=SOFT_DETERMINISTIC),
    "focal_dynamics_vary": Composition(spec=VARYING),
    "focal_dynamics_vary_without_next_obs": Composition(encoder=tiny("encoders.focal", next_obs=False), spec=VARYING),
    "focal_repeated_tasks": Composition(tasks=REPEATED),
    "csro": Composition(encoder=tiny("encoders.csro"), actor=BRAC),
    "csro_unsquashed": Composition(encoder=tiny("encoders.csro", club_squash=False), actor=BRAC, spec=VARYING),
    "csro_repeated_tasks": Composition(encoder=tiny("encoders.csro"), tasks=REPEATED),
    "focal_attention": Composition(encoder=tiny("encoders.focal", aggregation=AttentionConfig())),
    "focal_product_of_gaussians": Composition(
        encoder=tiny("encoders.focal", aggregation=ProductOfGaussiansConfig(), squash="sphere")
    ),
    "csro_attention": Composition(encoder=tiny("encoders.csro", aggregation=AttentionConfig()), actor=BRAC),
    "csro_inverse_variance": Composition(encoder=tiny("encoders.csro", aggregation=InverseVarianceConfig())),
    "task_posterior": Composition(encoder=tiny("encoders.task_posterior"), critic=tiny(DUAL), actor=tiny(BC)),
    "task_posterior_varying": Composition(encoder=tiny("encoders.task_posterior"), spec=VARYING, tasks=REPEATED),
    "offpearl": Composition(encoder=tiny("encoders.offpearl")),
    "offpearl_squashed": Composition(encoder=tiny("encoders.offpearl", squash="tanh"), actor=BRAC, spec=VARYING),
    "offpearl_on_dual_target": Composition(encoder=tiny("encoders.offpearl"), critic=tiny(DUAL), actor=tiny(BC)),
    "reconstruction": Composition(encoder=tiny("encoders.reconstruction")),
    "reconstruction_dynamics_vary": Composition(encoder=tiny("encoders.reconstruction"), spec=VARYING),
    "reconstruction_alone": Composition(encoder=tiny("encoders.reconstruction", metric_weight=0.0)),
    "classifier": Composition(encoder=tiny("encoders.classifier")),
    "classifier_alone": Composition(encoder=tiny("encoders.classifier", metric_weight=0.0), tasks=REPEATED),
    "borel": Composition(encoder=tiny("encoders.borel"), buffers=TABLE),
    "borel_relabelled_on_dual_target": Composition(
        encoder=tiny("encoders.borel", relabel=0.6, decode_transition=False),
        critic=tiny(DUAL),
        actor=tiny(BC),
        buffers=TABLE,
    ),
    "borel_dynamics_vary": Composition(encoder=tiny("encoders.borel"), actor=BRAC, spec=VARYING, buffers=TABLE),
    "corro": Composition(encoder=CORRO),
    "corro_own_next_obs": Composition(
        encoder=attrs.evolve(CORRO, negatives=attrs.evolve(CORRO.negatives, replace_next_obs=False))
    ),
    "corro_trajectory_as_context": Composition(encoder=attrs.evolve(CORRO, context_draw="episodes"), actor=BRAC),
    "corro_reference_targets_dynamics_vary": Composition(
        encoder=attrs.evolve(CORRO, negatives=attrs.evolve(CORRO.negatives, delta=False)), spec=VARYING
    ),
    "corro_reward_noise_mean_without_next_obs": Composition(
        encoder=attrs.evolve(
            CORRO, negatives=RewardNoiseConfig(deviation=0.8), aggregation=MeanConfig(), next_obs=False
        )
    ),
    "brac_multiplier_above": Composition(actor=attrs.evolve(BRAC, divergence_max=2.0), multiplier=5.0),
    "brac_multiplier_below": Composition(actor=BRAC, multiplier=-3.0),
    "brac_deterministic": Composition(actor=attrs.evolve(BRAC, policy=fakes.DETERMINISTIC)),
    "brac_on_dual_target": Composition(critic=tiny(DUAL), actor=BRAC),
    "bc_on_twin_q_v": Composition(actor=tiny(BC)),
}


def named(config: Any) -> str:
    """A part's name without its kind."""
    return str(tag(config)).partition(".")[2]


for at, (value, policy) in enumerate(product(fakes.values(), (fakes.DETERMINISTIC, fakes.GAUSSIAN))):
    COMPOSITIONS[f"select-{named(value)}-{named(policy)}-{at}"] = Composition(
        encoder=tiny("encoders.csro"),
        critic=tiny(DUAL, value=value),
        actor=tiny(BC, weight=fakes.weights()[0], policy=policy),
    )
for at, (weight, lambda_on) in enumerate(product(fakes.weights(), ("dataset", "policy"))):
    COMPOSITIONS[f"select-{named(weight)}-{lambda_on}-{at}"] = Composition(
        critic=tiny(DUAL), actor=tiny(BC, lambda_on=lambda_on, weight=weight)
    )


for registry, slot in ((ENCODERS, "encoder"), (CRITICS, "critic"), (ACTORS, "actor")):  # those that none of these has
    for entry in registry:
        name = f"{registry.kind}.{entry.name}"
        composed = {tag(getattr(composition, slot)) for composition in COMPOSITIONS.values()}
        if name in {part for part, _ in ORACLES} - composed:
            chosen = {"hidden": fakes.HIDDEN, "policy": fakes.GAUSSIAN, "latent_dim": fakes.LATENT}
            small = {field: chosen[field] for field in chosen if field in attrs.fields_dict(entry.config)}
            COMPOSITIONS[name] = Composition(**{slot: fakes.TINY.get(name) or entry.config(**small)})


def no_loss(agent: Any, batch: Any) -> Any:
    raise AssertionError("stands for the TD objective where a part is looked at alone")


STAND_IN = Objective(name="critic", loss=no_loss, moves={"critic.q_net": Optim()})


def phases(encoder: Any, td: Objective = STAND_IN) -> tuple[Phase, ...]:
    """An encoder's phases around a TD objective."""
    return tuple(encoder.phases(Phase(name="rl", steps=1, objectives=(td,))))


def objectives(part: Any, td: Objective = STAND_IN) -> tuple[Objective, ...]:
    """All objectives of a part; of an encoder those of pre-training too, and a TD objective that it adds terms to."""
    if hasattr(part, "phases"):
        return tuple(one for phase in phases(part, td) for one in phase.objectives if one is not td)
    return part.objectives()


@cache
def declared() -> list[tuple[str, str]]:
    """(part, objective) of every registered encoder, critic and actor."""
    found = []
    for registry in (ENCODERS, CRITICS, ACTORS):
        for entry in registry:
            name = f"{registry.kind}.{entry.name}"
            config = fakes.TINY.get(name) or entry.config()
            part = registry.build(config, fakes.SPEC, *(() if registry is ENCODERS else (fakes.LATENT,)))
            found += [(name, one.name) for one in objectives(part)]
    return found


@cache
def cases() -> list[tuple[str, str, str]]:
    """(composition, part, objective) of all compositions."""
    found = []
    for name, composition in COMPOSITIONS.items():
        agent = composition.agent()
        parts = {composition.encoder: agent.encoder, composition.critic: agent.critic, composition.actor: agent.actor}
        found += [(name, str(tag(config)), one.name) for config, part in parts.items() for one in objectives(part)]
    return found


@pytest.mark.parametrize(("part", "objective"), declared())
def test_every_declared_objective_has_an_oracle_that_a_composition_runs(part: str, objective: str) -> None:
    assert (part, objective) in ORACLES, f"write an oracle of {part}'s objective {objective!r} in tests/oracles"
    assert (part, objective) in {case[1:] for case in cases()}, f"no composition here runs {part}'s {objective!r}"


def test_no_oracle_is_left_over() -> None:
    assert set(ORACLES) <= set(declared())


@pytest.mark.parametrize(("name", "part", "objective"), cases())
def test_loss_and_gradient_follow_the_formula(name: str, part: str, objective: str) -> None:
    composition = COMPOSITIONS[name]
    agent = composition.agent()
    owner = {"encoders": agent.encoder, "critics": agent.critic, "actors": agent.actor}[part.partition(".")[0]]
    td = agent.critic.objectives()[0]
    td = attrs.evolve(td, moves={**td.moves, **agent.encoder.critic_params})
    chosen = next(one for one in objectives(owner, td) if one.name == objective)
    rl = phases(agent.encoder, td)[-1]
    draws, noise = [*rl.draws, *chosen.draws], [*rl.noise, *chosen.noise]
    batch = fakes.double(fakes.batch(draws, noise, seed=3, tasks=composition.tasks, spec=composition.spec))
    make = scenes(agent, batch, composition.encoder, composition.critic, composition.actor)

    batch = batch._replace(latent=agent.encoder.encode(batch))
    total = chosen.loss(agent, batch).total
    assert total.shape == ()
    assert total.item() == pytest.approx(ORACLES[part, objective](make()), rel=1e-10)

    carries_td = owner is agent.critic and objective == objectives(owner)[0].name
    prefixes = list(
        {**chosen.moves, **(getattr(agent.encoder, "optims", {}) if carries_td else {})}
    )  # some encoders take its gradient
    moving = {n: p for n, p in agent.named_parameters() if any(belongs(n, prefix) for prefix in prefixes)}
    gradients = dict(zip(moving, torch.autograd.grad(total, list(moving.values())), strict=True))
    at = {n: p.detach().numpy().copy() for n, p in agent.named_parameters()}
    rng = np.random.default_rng(5)
    directions: list[Parameters] = [
        {n: rng.standard_normal(p.shape) for n, p in moving.items() if belongs(n, prefix)}
        for prefix in prefixes
        for _ in range(2)
    ]
    numeric = slopes(lambda live: ORACLES[part, objective](make(live)), at, iter(directions))
    for direction, slope in zip(directions, numeric, strict=True):
        exact = sum(float((gradients[n].numpy() * value).sum()) for n, value in direction.items())
        assert exact == pytest.approx(slope, rel=1e-5, abs=1e-7)
        assert abs(slope) > 1e-7, f"the loss does not depend on {sorted(direction)}"


@pytest.mark.parametrize("name", COMPOSITIONS)
def test_the_random_cases_reach_both_branches_of_each_clip(name: str) -> None:
    """An oracle over data that no clip touches would miss a wrong clip."""
    composition = COMPOSITIONS[name]
    agent = composition.agent()
    asked = [one for part in (agent.critic, agent.actor) for one in part.objectives()]
    rl = phases(agent.encoder)[-1]
    draws = [*rl.draws, *(draw for one in asked for draw in one.draws)]
    noise = [*rl.noise, *(n for one in asked for n in one.noise)]
    batch = fakes.double(fakes.batch(draws, noise, seed=3, tasks=composition.tasks, spec=composition.spec))
    scene = scenes(agent, batch, composition.encoder, composition.critic, composition.actor)()
    rl, z = scene.draws["rl"], scene.z()
    assert 0 < rl.terminal.mean() < 1
    q = scene.q(scene.held, rl.obs, rl.action, z)
    assert 0 < (q[0] < q[1]).mean() < 1
    if hasattr(composition.actor.policy, "temperature"):
        log_std = scene.policy(scene.held, rl.obs, z, scene.noise["policy"]).log_std
        assert 0 < (log_std == composition.actor.policy.log_std_max).mean() < 1
    if "smoothing" in scene.noise:
        far = np.abs(composition.critic.smoothing * scene.noise["smoothing"]) > composition.critic.smoothing_clip
        assert 0 < far.mean() < 1
    if hasattr(composition.actor, "dual_penalty"):
        c = mlp(scene.held, "actor.dual", np.concatenate((rl.obs, rl.action), -1), z, 0)
        assert 0 < (np.abs(c) > 1).mean() < 1
    if hasattr(composition.actor, "weight") and hasattr(composition.actor.weight, "threshold"):
        above = q[0] - scene.v(scene.held, rl.obs, z) > composition.actor.weight.threshold
        assert 0 < above.mean() < 1
