"""OffPEARL: the posterior, the one objective that trains it, and what it refuses."""

from __future__ import annotations

from itertools import pairwise, product
from typing import Any

import attrs
import fakes
import numpy as np
import pytest
import torch

from selectrl.encoders.aggregations.configs import (
    AttentionConfig,
    InverseVarianceConfig,
    MeanConfig,
    ProductOfGaussiansConfig,
)
from selectrl.encoders.sets.configs import OffpearlConfig
from selectrl.errors import CompositionError
from selectrl.functional.gaussians import standard_normal_kl
from selectrl.registry import ENCODERS, tag
from selectrl.structs import Batch, Rows
from selectrl.trainer.agent import belongs
from selectrl.trainer.engine import Engine

CONFIG = fakes.TINY["encoders.offpearl"]
CRITICS = ("critics.twin_q_v", "critics.dual_target")
ACTORS = ("actors.sac", "actors.brac", "actors.weighted_bc")


def agent(critic: str = "critics.twin_q_v", actor: str = "actors.sac", config: Any = CONFIG, **options: Any) -> Any:
    return fakes.agent(config, fakes.TINY[critic], fakes.TINY[actor], **options)


def encoded(agent: Any, batch: Batch) -> Batch:
    return batch._replace(latent=agent.encoder.encode(batch))


# --- the posterior ----------------------------------------------------------------------------------------------------


def test_z_is_a_draw_from_the_posterior_by_the_declared_noise() -> None:
    encoder = agent().encoder
    batch = fakes.batch([encoder.context], encoder.noise)
    latent = encoder.encode(batch)
    assert batch.noise["latent"].shape == latent.z.shape == (fakes.TASKS, 1, fakes.LATENT)
    mean, spread = (latent.features[name][:, None] for name in ("mean", "spread"))
    torch.testing.assert_close(latent.z, mean + spread * batch.noise["latent"])
    assert latent.z_next is latent.z
    assert (latent.z != mean).all()


def test_the_filter_ends_at_the_mean_and_deviation_of_the_posterior() -> None:
    encoder = agent().double().encoder
    rows = fakes.double(fakes.rows(np.random.default_rng(0), fakes.TASKS, 5))
    batch = fakes.double(fakes.batch([encoder.context], encoder.noise))._replace(draws={"context": rows})
    features = encoder.encode(batch).features
    state, live = encoder.init(fakes.TASKS), torch.ones(fakes.TASKS, dtype=torch.bool)
    spreads = [encoder.read(state).spread]
    for t in range(5):
        state = encoder.step(state, Rows(*(field[:, t] for field in rows)), live)
        spreads.append(encoder.read(state).spread)
    torch.testing.assert_close(encoder.read(state).z, features["mean"])
    torch.testing.assert_close(spreads[-1], features["spread"])
    assert (spreads[0] == 1).all()
    assert all((later < earlier).all() for earlier, later in pairwise(spreads[1:]))


@pytest.mark.parametrize("aggregation", [MeanConfig(), InverseVarianceConfig(), AttentionConfig()])
def test_an_aggregation_without_a_posterior_is_refused_in_one_sentence(aggregation: Any) -> None:
    with pytest.raises(CompositionError) as error:
        ENCODERS.build(OffpearlConfig(aggregation=aggregation), fakes.SPEC)
    message = str(error.value)
    assert "\n" not in message
    for word in ("encoders.offpearl", str(tag(aggregation)), "@aggregations.product_of_gaussians()"):
        assert word in message


def test_defaults_are_pearls() -> None:
    config = OffpearlConfig()
    assert (config.kl_weight, config.squash, config.aggregation) == (0.1, "none", ProductOfGaussiansConfig())


# --- the objective ----------------------------------------------------------------------------------------------------


def test_td_and_divergence_golden() -> None:
    # Four rows with the factor N(2, 1) in one dimension: sigma² = 1/4, mu = 2, and the divergence of a task is
    # (1/4 + 4 - 1 + 2 ln 2) / 2 = 2.318147; of two tasks 4.636294, times 0.5. Q₁ = 1 and Q₂ = 3 against y = 2 · 1 at
    # terminal rows: 1 + 1 = 2. In all 4.318147.
    config = OffpearlConfig(latent_dim=1, hidden=(3,), kl_weight=0.5)
    together = agent(config=config)
    together.critic.scales["reward_scale"] = 2.0
    fakes.constant(together.encoder.net, 2.0, float(np.log(np.expm1(1.0))))
    fakes.constant(together.critic.q_net, 1.0, 3.0)
    phase = fakes.rl_phase(together)
    batch = fakes.phase_batch(phase, tasks=(3, 8), sizes={"rl": 6, "context": 4})
    rl = batch.draws["rl"]
    rows = rl._replace(reward=torch.ones_like(rl.reward), terminal=torch.ones_like(rl.terminal))
    batch = encoded(together, batch._replace(draws=batch.draws | {"rl": rows}))
    losses = phase.objectives[0].loss(together, batch)
    assert losses.terms["td"].item() == pytest.approx(2.0)
    assert losses.terms["kl"].item() == pytest.approx(4.636294, rel=1e-6)
    assert losses.total.item() == pytest.approx(4.318147, rel=1e-6)


@pytest.mark.parametrize("critic", CRITICS)
def test_the_divergence_joins_the_first_objective_and_leaves_the_others_alone(critic: str) -> None:
    together = agent(critic)
    first, *others = together.critic.objectives()
    joined, *rest = fakes.rl_phase(together).objectives
    assert attrs.evolve(joined, loss=first.loss, moves=first.moves) == first
    assert dict(joined.moves) == {**first.moves, **together.encoder.optims}
    assert rest == [*others, *together.actor.objectives()]
    batch = encoded(together, fakes.phase_batch(fakes.rl_phase(together)))
    alone, both = first.loss(together, batch), joined.loss(together, batch)
    kl = standard_normal_kl(batch.latent.features["mean"], batch.latent.features["spread"])
    torch.testing.assert_close(both.total, alone.total + CONFIG.kl_weight * kl)
    assert set(both.terms) == {*alone.terms, "kl"}


@pytest.mark.parametrize(("critic", "actor"), list(product(CRITICS, ACTORS)))
def test_only_the_td_objective_moves_the_encoder_and_sees_zs_graph(critic: str, actor: str) -> None:
    together = agent(critic, actor)
    phase = fakes.rl_phase(together)
    batch = fakes.phase_batch(phase)
    for objective in phase.objectives:
        engine = Engine([together])
        engine.enter(attrs.evolve(phase, objectives=(objective,), tracks=()))
        before = fakes.snapshot(together)
        engine.step(batch, objective.every - 1)
        moved = fakes.changed(before, fakes.snapshot(together))
        assert moved == {n for n in before if any(belongs(n, prefix) for prefix in objective.moves)}
        assert any(n.startswith("encoder.") for n in moved) == (objective.name == "critic")


def test_one_backward_gives_the_encoder_the_gradient_of_both_terms_at_the_first_parameters() -> None:
    together = agent()
    phase = fakes.rl_phase(together)
    batch = fakes.phase_batch(phase)
    names = dict(together.encoder.net.named_parameters())
    total = phase.objectives[0].loss(together, encoded(together, batch)).total
    expected = dict(zip(names, torch.autograd.grad(total, list(names.values())), strict=True))
    engine = Engine([together])
    engine.enter(phase)
    engine.step(batch, 0)
    for name, gradient in expected.items():
        torch.testing.assert_close(engine.leaves[f"encoder.net.{name}"].grad, gradient, rtol=1e-4, atol=1e-6)


# --- training ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("critic", "actor"), list(product(CRITICS, ACTORS)))
def test_a_population_equals_its_members_alone_under_any_critic_and_actor(critic: str, actor: str) -> None:
    seeds = (0, 1)
    members = [agent(critic, actor, seed=seed) for seed in seeds]
    population, phase = Engine(members), fakes.rl_phase(members[0])
    population.enter(phase)
    batches = [[fakes.phase_batch(phase, seed=10 * step + seed) for seed in seeds] for step in range(4)]
    together = [population.step(fakes.stacked(batch), step) for step, batch in enumerate(batches)]
    for seed in seeds:
        single = agent(critic, actor, seed=seed)
        alone = Engine([single])
        alone.enter(fakes.rl_phase(single))
        for step, batch in enumerate(batches):
            for term, value in alone.step(batch[seed], step).items():
                assert value.isfinite(), (term, step)
                assert together[step][term][seed].item() == pytest.approx(value.item(), rel=1e-4, abs=1e-5), term


def test_the_divergence_alone_draws_the_posterior_to_the_prior() -> None:
    together = agent(config=attrs.evolve(CONFIG, kl_weight=1e4, lr=0.01))
    phase = fakes.rl_phase(together)
    engine = Engine([together])
    engine.enter(phase)
    kl = [engine.step(fakes.phase_batch(phase, seed=0), 0)["critic/kl"].item() for _ in range(60)]
    assert kl[-1] < 0.2 * kl[0]
