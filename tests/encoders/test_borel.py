"""BOReL's filter against torch's GRU, its lower bound, and sequences with relabelled rewards."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import attrs
import fakes
import numpy as np
import pytest
import torch
from fake_beliefs import TIME, TINY, build, goal_reward, make_store

from selectrl.data.episodes import Episodes
from selectrl.data.rows import RowStore
from selectrl.data.sampler import Sampler
from selectrl.encoders.borel.belief_gru import BeliefGRU
from selectrl.encoders.borel.configs import BorelConfig
from selectrl.envs.configs import PointRobotConfig
from selectrl.errors import CompositionError
from selectrl.functional.beliefs import decoding_error, kl_chain
from selectrl.protocols import ROW_FIELDS, Objective, Phase
from selectrl.registry import ENCODERS, FAMILIES
from selectrl.structs import Batch, Rows
from selectrl.trainer.agent import belongs
from selectrl.trainer.engine import Engine

VARYING, DZ = fakes.SPEC._replace(dynamics_vary=True), TINY.latent_dim


def elbo_of(encoder: Any) -> tuple[Objective, Phase]:
    vae, _ = encoder.phases(Phase(name="rl", steps=1))
    return vae.objectives[0], vae


def draws(encoder: Any, store: RowStore, step: int = 0) -> Batch:
    _, vae = elbo_of(encoder)
    sampler = Sampler(store, meta_batch=3, replacement=False, sizes={}, seed=5)
    return sampler.phase(attrs.evolve(vae, steps=10)).batch(step)


# --- the decoders -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("init", ["rlkit", "torch"])
def test_the_decoders_start_by_the_law_that_is_bound(init: str) -> None:
    """rlkit: hidden weights U(±1/√(output units)), biases 0.1. torch: U(±1/√(input units)), biases too."""
    config = attrs.evolve(BorelConfig(), decoder_hidden=(500, 100), decoder_init=init)
    torch.manual_seed(0)
    decoders = ENCODERS.build(config, VARYING).decoder
    assert set(decoders) == {"reward", "state"}
    for decoder in decoders.values():
        first, second, last = decoder.net.weights
        n_in = first.shape[0]
        bounds = (n_in**-0.5, 500**-0.5) if init == "torch" else (500**-0.5, 100**-0.5)
        for weight, bound in zip((first, second), bounds, strict=True):
            assert 0.97 * bound < weight.abs().max() <= bound
        assert 0.9 * 100**-0.5 < last.abs().max() <= 100**-0.5
        biases = decoder.net.biases[0]
        assert (biases.std() > 0 and biases.abs().max() <= n_in**-0.5) if init == "torch" else (biases == 0.1).all()


# --- the filter -------------------------------------------------------------------------------------------------------


def test_the_filter_equals_torchs_gru_with_the_same_weights() -> None:
    gru = fakes.scramble(BeliefGRU(fakes.SPEC, (3, 4, 2), 5, 2)).double()
    theirs = torch.nn.GRU(gru.embed.width, 5, batch_first=True).double()
    for name, layer in (("ih", gru.of_input), ("hh", gru.of_hidden)):
        getattr(theirs, f"weight_{name}_l0").data.copy_(layer.weight)
        getattr(theirs, f"bias_{name}_l0").data.copy_(layer.bias)
    rows = fakes.double(fakes.rows(np.random.default_rng(0), 3, 6))
    states = gru.sweep(gru.init(3), rows, torch.ones(3, 6, dtype=torch.bool))
    torch.testing.assert_close(states[:, 1:], theirs(gru.embed(rows))[0], rtol=1e-12, atol=1e-12)
    assert (states[:, 0] == 0).all()


def test_a_fresh_filter_has_orthogonal_weights_and_no_biases() -> None:
    gru = ENCODERS.build(TINY, fakes.SPEC).filter
    for layer in (gru.of_input, gru.of_hidden):
        few = min(layer.weight.shape)
        gram = layer.weight.T @ layer.weight
        torch.testing.assert_close(gram, torch.eye(few), rtol=1e-5, atol=1e-5)
        assert (layer.bias == 0).all()


def test_a_step_that_is_not_live_leaves_state_and_gradient_alone() -> None:
    encoder = build()
    rows = fakes.rows(np.random.default_rng(0), 3)
    rows = rows._replace(next_obs=rows.next_obs.requires_grad_())
    first = encoder.init(3)._replace(hidden=torch.randn(3, 5, generator=torch.Generator().manual_seed(0)))
    after = encoder.step(first, rows, torch.tensor([True, False, True]))
    assert torch.equal(after.hidden[1], first.hidden[1])
    assert not (after.hidden[[0, 2]] == first.hidden[[0, 2]]).any()
    (gradient,) = torch.autograd.grad(after.hidden.sum(), rows.next_obs)
    assert (gradient[1] == 0).all()
    assert (gradient[[0, 2]] != 0).any(1).all()


def test_the_belief_is_mean_and_log_variance_and_its_spread_the_deviation() -> None:
    encoder = build()
    prior = encoder.read(encoder.init(2))
    mean, log_var = encoder.filter.heads.bias.detach().split(DZ)
    torch.testing.assert_close(prior.z.detach(), torch.cat((mean, log_var)).expand(2, -1))
    torch.testing.assert_close(prior.spread.detach()[0], torch.cat(((log_var / 2).exp(), torch.zeros(DZ))))
    with torch.no_grad():
        encoder.filter.heads.bias[DZ:] = torch.tensor([99.0, -99.0])
    assert encoder.read(encoder.init(1)).z[0, DZ:].tolist() == [4.0, -10.0]


# --- the vae phase ----------------------------------------------------------------------------------------------------


def constant_elbo() -> tuple[Any, Batch]:
    """A filter that says N(0, 4) and N(0, 4) whatever it reads, and a decoder that says 1 whatever it reads."""
    encoder = ENCODERS.build(
        fakes.tiny("encoders.borel", latent_dim=1, kl_weight=0.5, episodes=1, sequences=1), fakes.SPEC
    )
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.zero_()
        encoder.filter.heads.bias[1] = np.log(4.0)
        encoder.decoder["reward"].net.biases[-1].fill_(1.0)
    objective, _ = elbo_of(encoder)
    batch = fakes.batch(objective.draws, objective.noise, tasks=(0,))
    rows = batch.draws["sequences"]._replace(reward=torch.full((1, TIME), 3.0))
    return encoder, batch._replace(draws={"sequences": rows})


def test_elbo_golden() -> None:
    # Error (3 - 1)² = 4 of every step. KL(N(0, 4) || N(0, 1)) = ½ (4 - 1 - ln 4) = .806853 of q_0, then 0; three of
    # five steps are there, so the mean over q_0 … q_3 is .201713, times ½: 4.100857.
    encoder, batch = constant_elbo()
    losses = encoder.elbo(None, batch)
    assert losses.terms["kl"].item() == pytest.approx(0.201713, rel=1e-5)
    assert losses.terms["belief_std"].item() == pytest.approx(2.0)
    assert losses.total.item() == pytest.approx(4.100857, rel=1e-6)


@pytest.mark.parametrize("spec", [fakes.SPEC, VARYING])
def test_elbo_moves_filter_and_decoders_and_nothing_else(spec: Any) -> None:
    agent = fakes.agent(TINY, spec=spec)
    objective, vae = elbo_of(agent.encoder)
    engine = Engine([agent])
    engine.enter(vae)
    before = fakes.snapshot(agent)
    engine.step(fakes.phase_batch(vae, spec=spec), 0)
    moved = {n for n in before if belongs(n, "encoder.filter") or belongs(n, "encoder.decoder")}
    assert fakes.changed(before, fakes.snapshot(agent)) == moved
    assert ("state" in agent.encoder.decoder) == spec.dynamics_vary
    assert set(objective.moves) == {"encoder.filter", "encoder.decoder"}
    assert {optim.lr for optim in objective.moves.values()} == {TINY.lr}
    assert not vae.encodes


def test_the_subsampled_loss_is_that_of_the_whole_grid_in_the_mean_and_exactly_when_all_are_drawn() -> None:
    encoder, store = fakes.double(build(beliefs=11, decodings=10, sequences=1)), make_store()
    batches = [fakes.double(draws(encoder, store, step)) for step in range(10)]
    complete = [(batch, int(place)) for batch in batches for place in encoder.join_episodes(batch)[1].all(1).nonzero()]
    batch, whole = complete[0]  # a sequence without early ends: 10 steps, 11 beliefs
    only = batch._replace(tasks=batch.tasks[:1], draws={"sequences": pick(batch.draws["sequences"], whole)})
    only = only._replace(noise={name: 0 * value[:1] + 0.5 for name, value in batch.noise.items()})
    rows, live = encoder.join_episodes(only)
    q = encoder.filter.beliefs(encoder.filter.sweep(encoder.filter.init(1), rows, live))
    z = q.mean + 0.5 * (0.5 * q.log_var).exp()
    grid = decoding_error(encoder.decoder["reward"](rows, z), rows.reward) + TINY.kl_weight * kl_chain(*q, live)
    assert encoder.elbo(None, only).total.item() == pytest.approx(grid.item(), rel=1e-12)

    few = fakes.double(build(beliefs=3, decodings=2, sequences=1))
    many = only._replace(tasks=only.tasks.expand(50), draws={"sequences": repeated(only.draws["sequences"], 50)})
    rng, losses = np.random.default_rng(0), []
    for _ in range(20):
        drawn = {name: torch.from_numpy(rng.random((50, 1, n))) for name, n in (("beliefs", 3), ("decodings", 2))}
        latents = torch.full((50, 1, 3, DZ), 0.5, dtype=torch.float64)
        with torch.no_grad():
            losses.append(few.elbo(None, many._replace(noise=drawn | {"latents": latents})).total.item())
    error = np.std(losses) / np.sqrt(len(losses))
    assert abs(np.mean(losses) - grid.item()) < 4 * error
    assert error < 0.05 * grid.item()


def pick(rows: Rows, place: int) -> Rows:
    return Rows(*(field[place : place + 1] for field in rows))


def repeated(rows: Rows, count: int) -> Rows:
    return Rows(*(field.expand(count, *field.shape[1:]) for field in rows))


def test_missing_steps_change_no_loss_whatever_they_hold() -> None:
    encoder, store = build(), make_store()
    batch = draws(encoder, store)
    rows = batch.draws["sequences"]
    gone = rows.row < 0
    assert gone.any()
    other = Rows(*(torch.where(gone[..., None] if f.dim() > 2 else gone, 7, f).to(f.dtype) for f in rows[:5]), rows.row)
    changed = batch._replace(draws={"sequences": other})
    assert torch.equal(encoder.elbo(None, changed).total, encoder.elbo(None, batch).total)


# --- relabelled rewards -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("relabel", [0.0, 0.5, 1.0])
def test_relabelling_replaces_the_first_episode_alone_by_one_with_this_tasks_rewards(relabel: float) -> None:
    encoder, store = build(relabel=relabel, sequences=4), make_store()
    share = []
    for step in range(10):
        batch = draws(encoder, store, step)
        rows, live = encoder.join_episodes(batch)
        own = batch.draws["sequences"]
        old = own.obs.reshape(12, -1, 3)
        assert torch.equal(rows.obs[:, TIME:], old[:, TIME:])
        replaced = (rows.obs[:, 0] != old[:, 0]).any(-1)
        share.append(replaced.float().mean().item())
        task = batch.tasks.repeat_interleave(4).float()
        parameters = torch.stack((task, torch.ones(12), -torch.ones(12)), -1)[:, None]
        expected = goal_reward(parameters, rows.obs, rows.action, rows.next_obs)
        torch.testing.assert_close(rows.reward[live], expected[live])
        assert (rows.reward[~live] == 0).all()
    assert np.mean(share) == pytest.approx(relabel, abs=0.15)


def test_a_tasks_own_rewards_are_reproduced_exactly_on_point_robot() -> None:
    family = FAMILIES.build(PointRobotConfig(tasks=4))
    worlds = family.worlds([2] * 3)
    obs, _ = worlds.reset(seed=0)
    path, acts, rewards = [obs], [], []
    rng = np.random.default_rng(0)
    for _ in range(family.spec.horizon):
        acts.append(rng.uniform(-1, 1, (3, 2)).astype(np.float32))
        obs, reward, *_ = worlds.step(acts[-1])
        path.append(obs)
        rewards.append(reward)
    obs, action, reward = (torch.from_numpy(np.stack(v, 1)).float() for v in (path, acts, rewards))
    end = torch.full((3,), family.spec.horizon)
    held = Episodes(obs, action, reward, torch.zeros(*reward.shape, dtype=torch.bool), end, torch.zeros(3))
    entry = SimpleNamespace(task=2, parameter=tuple(family.parameters[2].tolist()))
    manifest = SimpleNamespace(spec=family.spec, tasks=[entry])
    dataset: Any = SimpleNamespace(task=lambda task: held, manifest=manifest)
    store = RowStore(dataset, [2], reward_of=family.reward)
    rows = store.whole(torch.tensor([[0, 0, 0]]), torch.tensor([[0, 1, 2]]), ROW_FIELDS)
    again = store.relabel(torch.tensor([0]), rows)
    torch.testing.assert_close(again.reward, rows.reward, rtol=0, atol=1e-6)  # float32 positions under float64 rewards
    assert rows.reward.std() > 0.1


def test_relabelling_is_refused_where_dynamics_vary_and_where_no_reward_is_known() -> None:
    with pytest.raises(CompositionError, match=r"where dynamics vary; bind encoders\.borel\.relabel = 0$"):
        build(VARYING, relabel=0.5)
    with pytest.raises(CompositionError, match="no reward function"):
        draws(build(relabel=0.5), make_store(reward_of=None))
