"""The set encoders: what they encode, what they train, and how they filter at meta-test."""

from __future__ import annotations

from typing import Any

import attrs
import fakes
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from selectrl.encoders.sets.configs import CsroConfig, FocalConfig
from selectrl.protocols import Objective, Phase
from selectrl.registry import ENCODERS
from selectrl.structs import Batch, Rows

VARYING = fakes.SPEC._replace(dynamics_vary=True)
BOTH = pytest.mark.parametrize("config", [fakes.TINY["encoders.focal"], fakes.TINY["encoders.csro"]])


def build(config: Any, spec: Any = fakes.SPEC) -> Any:
    return fakes.scramble(ENCODERS.build(config, spec)).double()


def context(encoder: Any, **options: Any) -> Batch:
    batch = fakes.double(fakes.batch([encoder.context], [], **options))
    return batch._replace(latent=encoder.encode(batch))


# --- what goes in and out ---------------------------------------------------------------------------------------------


@BOTH
def test_next_observations_belong_to_the_context_where_dynamics_vary(config: Any) -> None:
    assert "next_obs" not in build(config).context.fields
    assert "next_obs" in build(config, VARYING).context.fields
    bound = attrs.evolve(config, next_obs=True)
    assert "next_obs" in build(bound).context.fields
    assert "next_obs" not in build(attrs.evolve(config, next_obs=False), VARYING).context.fields
    assert not {"terminal"} & set(build(bound).context.fields)


@BOTH
@pytest.mark.parametrize("spec", [fakes.SPEC, VARYING])
def test_z_reads_every_field_that_the_context_asks_for(config: Any, spec: Any) -> None:
    encoder = build(config, spec)
    batch = context(encoder, spec=spec)
    rows = batch.draws["context"]
    for field in encoder.context.fields:
        moved = batch._replace(draws={"context": rows._replace(**{field: getattr(rows, field) + 0.1})})
        assert (encoder.encode(moved).z - batch.latent.z).abs().min() > 0


@BOTH
def test_z_is_the_mean_over_rows_and_the_same_at_the_next_state(config: Any) -> None:
    encoder = build(config)
    latent = context(encoder).latent
    assert latent.z.shape == (fakes.TASKS, 1, fakes.LATENT)
    torch.testing.assert_close(latent.z[:, 0], latent.features["rows"].mean(1))
    assert latent.z_next is latent.z
    assert latent.features["rows"].abs().max() < 1


@BOTH
@given(seed=st.integers(0, 10_000))
def test_z_ignores_the_order_of_context_rows_and_follows_that_of_tasks(config: Any, seed: int) -> None:
    encoder, rng = build(config), np.random.default_rng(seed)
    batch = context(encoder, seed=seed)
    rows, tasks = rng.permutation(fakes.SIZES["context"]), rng.permutation(fakes.TASKS)
    shuffled = Rows(*(f[:, rows] if f.numel() else f for f in batch.draws["context"]))
    torch.testing.assert_close(encoder.encode(batch._replace(draws={"context": shuffled})).z, batch.latent.z)
    moved = Rows(*(field[tasks] for field in batch.draws["context"]))
    torch.testing.assert_close(encoder.encode(batch._replace(draws={"context": moved})).z, batch.latent.z[tasks])


@BOTH
@given(seed=st.integers(0, 10_000))
def test_losses_ignore_the_order_of_tasks_and_what_they_are_called(config: Any, seed: int) -> None:
    encoder, rng = build(config), np.random.default_rng(seed)
    batch = context(encoder, seed=seed, tasks=(3, 7, 3, 1))
    order, names = torch.from_numpy(rng.permutation(4)), torch.from_numpy(rng.permutation(40))
    moved = Rows(*(field[order] for field in batch.draws["context"]))
    other = batch._replace(draws={"context": moved}, tasks=names[batch.tasks[order]])
    other = other._replace(latent=encoder.encode(other))
    for objective in encoder.objectives():
        ours, theirs = (objective.loss(None, sample).total.item() for sample in (batch, other))
        assert ours == pytest.approx(theirs, rel=1e-9)


# --- goldens ----------------------------------------------------------------------------------------------------------


def reading_rewards(config: Any) -> Any:
    """An encoder of latent width 1 whose embedding is tanh(r) for r >= 0: one hidden unit that copies the reward."""
    encoder = ENCODERS.build(config, fakes.SPEC)
    fakes.constant(encoder.net, 0.0)
    with torch.no_grad():
        encoder.net.weights[0][5, 0] = 1.0  # s has 3 columns, a has 2, then r
        encoder.net.weights[1][0, 0] = 1.0
    return encoder


def rewards(encoder: Any, tasks: list[int], embeddings: list[list[float]]) -> Batch:
    """A batch whose row embeddings are the given ones, (task, row)."""
    batch = fakes.batch([encoder.context], [], tasks=tasks, sizes={"context": len(embeddings[0])})
    rows = batch.draws["context"]._replace(reward=torch.tensor(embeddings).atanh())
    batch = batch._replace(draws={"context": rows})
    return batch._replace(latent=encoder.encode(batch))


def test_focal_golden() -> None:
    # z = mean(.4, .8) = .6, mean(.1, .1) = .1, mean(0, .2) = .1; tasks 5, 5, 9.
    # Pair of one task: delta = .25, √.251 = .500999, over 1.001: .500499.
    # Pairs of two: delta = .25 and 0, 1 / .35 + 1 / .1 = 12.857143, over 2.001: 6.425359. Sum 6.925858, times 10.
    encoder = reading_rewards(FocalConfig(latent_dim=1, hidden=(1,)))
    batch = rewards(encoder, [5, 5, 9], [[0.4, 0.8], [0.1, 0.1], [0.0, 0.2]])
    (objective,) = encoder.objectives()
    losses = objective.loss(None, batch)
    assert losses.total.item() == pytest.approx(69.25858, rel=1e-5)
    assert losses.terms["metric"].item() == pytest.approx(6.925858, rel=1e-5)


def csro_golden() -> tuple[Any, Batch]:
    """Row embeddings (0, .8) and (.2, .2); q says m = tanh 0 = 0 and v = softplus(tanh 0) = ln 2 of every row."""
    encoder = reading_rewards(CsroConfig(latent_dim=1, hidden=(1,), club_hidden=(1,)))
    fakes.constant(encoder.club, 0.0, 0.0)
    return encoder, rewards(encoder, [0, 1], [[0.0, 0.8], [0.2, 0.2]])


def test_csro_estimator_golden() -> None:
    # mean(e²) = (0 + .64 + .04 + .04) / 4 = .18; .18 / (2 ln 2) + ½ ln ln 2 = .129843 - .183256 = -.053413, times 10
    encoder, batch = csro_golden()
    club, _ = encoder.objectives()
    assert club.loss(None, batch).total.item() == pytest.approx(-0.53413, rel=1e-4)


def test_csro_encoder_golden() -> None:
    # m and v are constant, so the grid over pairs equals the own pairs and CLUB's bound is 0.
    # z = .4 and .2: delta = .04, 1 / .14 = 7.142857 over 1.001 pairs: 7.135721, times 10.
    encoder, batch = csro_golden()
    _, objective = encoder.objectives()
    losses = objective.loss(None, batch)
    assert losses.terms["club"].item() == pytest.approx(0.0, abs=1e-6)
    assert losses.total.item() == pytest.approx(71.35721, rel=1e-5)


def test_csro_encoder_golden_with_information() -> None:
    # q now reads the action's first column: m = tanh(a). Task 0 has a = 0 at e = 0 and a = artanh .8 at e = .8, so q is
    # right: own distance 0. Grid: S = .16, (.4 - m)² = .16 each: .32 / ln 2 per row. Task 1 has m = e: 0. Mean over 4
    # rows: 2 · .32 / ln 2 / 4 = .230831, times 25 = 5.770780, beside 10 · 7.135721.
    encoder, batch = csro_golden()
    with torch.no_grad():
        encoder.club.weights[0][3, 0] = 1.0
        encoder.club.weights[1][0, 0] = 1.0
    rows = batch.draws["context"]
    action = rows.action.clone()
    action[..., 0] = rows.reward  # the embedding, before tanh
    batch = batch._replace(draws={"context": rows._replace(action=action)})
    losses = encoder.objectives()[1].loss(None, batch)
    assert losses.terms["club"].item() == pytest.approx(0.230831, rel=1e-5)
    assert losses.total.item() == pytest.approx(71.35721 + 5.770780, rel=1e-5)


# --- what it trains ---------------------------------------------------------------------------------------------------


@BOTH
def test_the_encoders_objectives_stand_in_front_of_rl(config: Any) -> None:
    encoder = build(config)
    other = Objective(name="critic", loss=lambda agent, batch: batch, moves={})
    (phase,) = encoder.phases(Phase(name="rl", steps=3, objectives=(other,)))
    assert phase.objectives == (*encoder.objectives(), other)
    assert encoder.context in phase.draws
    assert (phase.name, phase.steps, dict(encoder.critic_params)) == ("rl", 3, {})


def test_learning_rates_come_from_the_config() -> None:
    encoder = ENCODERS.build(CsroConfig(latent_dim=2, hidden=(3,), club_hidden=(3,), lr=0.01, club_lr=0.02), fakes.SPEC)
    club, own = encoder.objectives()
    assert {k: (v.name, v.lr) for k, v in club.moves.items()} == {"encoder.club": ("adam", 0.02)}
    assert {k: (v.name, v.lr) for k, v in own.moves.items()} == {"encoder.net": ("adam", 0.01)}


def test_the_estimators_loss_has_no_gradient_in_the_encoder() -> None:
    encoder = build(fakes.TINY["encoders.csro"])
    batch = context(encoder)
    club, own = encoder.objectives()
    net, estimator = list(encoder.net.parameters()), list(encoder.club.parameters())
    reached = torch.autograd.grad(club.loss(None, batch).total, net + estimator, allow_unused=True)
    assert all(gradient is None for gradient in reached[: len(net)])
    assert all(gradient is not None for gradient in reached[len(net) :])
    reached = torch.autograd.grad(own.loss(None, batch).total, net)
    assert all(gradient.abs().sum() > 0 for gradient in reached)


# --- the filter -------------------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("spec", [fakes.SPEC, VARYING])
def test_the_filter_equals_the_batch_encoding(config: Any, spec: Any) -> None:
    encoder = build(config, spec)
    rows = fakes.double(fakes.rows(np.random.default_rng(0), fakes.TASKS, 5, spec=spec))
    batch = context(encoder, spec=spec)._replace(draws={"context": rows})
    latent = encoder.encode(batch)
    state, live = encoder.init(fakes.TASKS), torch.ones(fakes.TASKS, dtype=torch.bool)
    for t in range(5):
        state = encoder.step(state, Rows(*(field[:, t] for field in rows)), live)
    belief = encoder.read(state)
    torch.testing.assert_close(belief.z, latent.z[:, 0])
    torch.testing.assert_close(belief.spread, latent.features["rows"].std(1, correction=0))


@BOTH
def test_the_prior_is_zero_and_a_world_that_is_not_live_learns_nothing(config: Any) -> None:
    encoder = build(config)
    state = encoder.init(3)
    belief = encoder.read(state)
    assert belief.z.shape == belief.spread.shape == (3, fakes.LATENT)
    assert (belief.z == 0).all()
    assert (belief.spread == 1).all()  # nothing is known yet
    rows = fakes.double(fakes.rows(np.random.default_rng(0), 3))
    once = encoder.step(state, rows, torch.tensor([True, False, True]))
    assert (encoder.read(state).z == 0).all()  # step is pure
    after = encoder.read(once).z
    torch.testing.assert_close(after[[0, 2]], encoder.embed(rows)[0][[0, 2]])
    assert (after[1] == 0).all()
    twice = encoder.read(encoder.step(once, rows, torch.tensor([False, True, True]))).z
    torch.testing.assert_close(twice[[0, 1, 2]], encoder.embed(rows)[0])


@BOTH
def test_worlds_do_not_see_one_another(config: Any) -> None:
    encoder, live = build(config), torch.ones(3, dtype=torch.bool)
    rows = fakes.double(fakes.rows(np.random.default_rng(0), 3))
    alone = [encoder.step(encoder.init(1), Rows(*(f[i : i + 1] for f in rows)), live[:1]) for i in range(3)]
    together = encoder.read(encoder.step(encoder.init(3), rows, live))
    torch.testing.assert_close(together.z, torch.cat([encoder.read(state).z for state in alone]))
