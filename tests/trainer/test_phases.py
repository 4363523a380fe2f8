"""Pre-training, caches, beliefs that differ between s and s', and critic gradients into an encoder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import attrs
import fakes
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from selectrl.data.episodes import Episodes
from selectrl.data.rows import RowStore
from selectrl.data.sampler import Sampler
from selectrl.experiment.build import build_phases
from selectrl.functional.values import value_loss
from selectrl.nets.mlp import MLP
from selectrl.protocols import Draw, Objective, Optim, Phase
from selectrl.registry import ACTORS, CRITICS, POLICIES
from selectrl.structs import Batch, Latent, Losses
from selectrl.trainer.agent import AgentModule
from selectrl.trainer.config import TrainConfig
from selectrl.trainer.engine import Engine
from selectrl.trainer.loop import Member, Trainer

TASKS, EPISODES, TIME, PRE, RL = 4, 4, 5, 6, 10


class CachedEncoder(nn.Module):
    """Fits embeddings of states first, then caches them as beliefs, of which the TD loss trains a readout."""

    latent_dim = fakes.LATENT
    critic_params: Mapping[str, Optim] = {"encoder.pool": Optim(lr=0.01)}
    fields = ("obs",)

    def __init__(self) -> None:
        super().__init__()
        self.net = MLP(fakes.SPEC.obs, 0, (8,), self.latent_dim)
        self.pool = MLP(self.latent_dim, 0, (7,), self.latent_dim)
        self.cache: Tensor
        self.register_buffer("cache", torch.zeros(0), persistent=False)

    def phases(self, rl: Phase) -> tuple[Phase, ...]:
        context, rows = Draw("context", "context", ("obs", "reward")), Draw("rl", "rl", ("obs",))
        fit = Objective(name="fit", loss=self.fit, moves={"encoder.net": Optim(lr=0.01)}, draws=(context,))
        before = Phase(name="pre", steps=PRE, objectives=(fit,), encodes=False)
        return before, attrs.evolve(rl, draws=(*rl.draws, rows), prepare=self.prepare)

    def fit(self, agent: Any, batch: Batch) -> Losses:
        rows = batch.draws["context"]
        loss = value_loss(self.net(rows.obs).mean(-1), rows.reward)
        return Losses(loss, {"loss": loss})

    @torch.no_grad()
    def prepare(self, store: Any, generator: np.random.Generator) -> dict[str, Tensor]:
        beliefs = self.net(store.obs)  # (task, state, latent)
        jitter = torch.from_numpy(generator.standard_normal(beliefs.shape)).to(beliefs.dtype)
        return {"encoder.cache": beliefs + 0.01 * jitter}

    def encode(self, batch: Batch) -> Latent:
        row = batch.draws["rl"].row
        state = row + row // TIME  # an episode has one state more than it has rows
        beliefs = [self.cache[batch.tasks[:, None], place] for place in (state, state + 1)]
        return Latent(*(self.pool(belief) for belief in beliefs), {})


def make_agent(
    critic: str = "critics.twin_q_v", actor: str = "actors.sac", seed: int = 0
) -> tuple[AgentModule, tuple[Phase, ...]]:
    torch.manual_seed(seed)
    encoder: Any = CachedEncoder()
    critic_config, actor_config = fakes.TINY[critic], fakes.TINY[actor]
    parts = CRITICS.build(critic_config, fakes.SPEC, fakes.LATENT), ACTORS.build(actor_config, fakes.SPEC, fakes.LATENT)
    policy = POLICIES.build(actor_config.policy, fakes.SPEC, fakes.LATENT)
    agent = fakes.scramble(AgentModule(encoder, *parts, policy, parts[0].tracks()), seed=seed)
    experiment: Any = SimpleNamespace(train=TrainConfig(steps=RL))
    return agent, build_phases(experiment, agent)


def make_store() -> RowStore:
    def task(number: int) -> Episodes[Tensor]:
        rng = np.random.default_rng(number)
        obs, action, reward = (
            rng.standard_normal(s) for s in [(EPISODES, TIME + 1, 3), (EPISODES, TIME, 2), (EPISODES, TIME)]
        )
        tensors = [torch.from_numpy(value).float() for value in (obs, np.tanh(action), reward)]
        return Episodes(
            *tensors,
            torch.zeros(EPISODES, TIME, dtype=torch.bool),
            torch.full((EPISODES,), TIME),
            torch.zeros(EPISODES),
        )

    entries = [SimpleNamespace(task=n, parameter=(float(n),)) for n in range(TASKS)]
    dataset: Any = SimpleNamespace(task=task, manifest=SimpleNamespace(spec=fakes.SPEC, tasks=entries))
    return RowStore(dataset, range(TASKS))


def make_trainer(folder: Path, **parts: str) -> Trainer:
    agent, phases = make_agent(**parts)
    store = make_store()
    return Trainer(
        engine=Engine([agent]),
        store=store,
        members=[
            Member(
                phases=phases,
                sampler=Sampler(store, meta_batch=3, replacement=False, sizes={"rl": 6, "context": 5}, seed=3),
                folder=folder,
                test=fakes.return_line,
            )
        ],
        config=TrainConfig(steps=RL, meta_batch=3, batch=6, context=5, log_every=1, checkpoint_every=4, test_every=5),
    )


# --- the loop ---------------------------------------------------------------------------------------------------------


def test_phases_run_in_turn_and_each_moves_its_own(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path)
    agent = trainer.engine.agent
    states = [fakes.snapshot(agent)]
    seen = []
    for _, record in trainer.run():
        seen.append((record["kind"], record.get("phase"), record["step"]))
        if record["kind"] == "train" and (record["phase"], record["step"]) in (("pre", PRE), ("rl", RL)):
            states.append(fakes.snapshot(agent))
            assert agent.encoder.cache.numel() == 0  # the parts themselves are left alone
    train = [("train", "pre", step + 1) for step in range(PRE)] + [("train", "rl", step + 1) for step in range(RL)]
    assert [one for one in seen if one[0] == "train"] == train
    assert [step for kind, _, step in seen if kind == "test"] == [0, 5, 10]
    assert seen[PRE][0] == "test"
    start, between, end = states
    assert fakes.changed(start, between) == {n for n in start if n.startswith("encoder.net.")}
    moved = ("encoder.pool.", "critic.", "policy.", "targets.")
    assert fakes.changed(between, end) == {n for n in start if n.startswith(moved)}


def test_the_cache_is_made_on_entering_from_what_was_pretrained(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path)
    list(trainer.run())
    cache = trainer.engine.frozen["encoder.cache"]
    beliefs = trainer.engine.agent.encoder.net(trainer.store.obs)
    assert cache.shape == (TASKS, EPISODES * (TIME + 1), fakes.LATENT)
    assert 0 < (cache - beliefs).abs().max() < 0.06
    assert not any("cache" in name for name in trainer.engine.state())


@pytest.mark.parametrize("records", [2, 5, 6, 8, 12, 15])
def test_a_resumed_run_equals_an_undisturbed_one_bit_for_bit(tmp_path: Path, records: int) -> None:
    straight, first = make_trainer(tmp_path / "a"), make_trainer(tmp_path / "b")
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    list(straight.run())
    running = first.run()
    for _ in range(records):
        next(running)
    running.close()
    resumed = make_trainer(tmp_path / "b")
    list(resumed.run())
    assert straight.engine.state().keys() == resumed.engine.state().keys()
    assert not fakes.changed(straight.engine.state(), resumed.engine.state())
    logs = [[json.loads(line) for line in (tmp_path / f / "metrics.jsonl").read_text().splitlines()] for f in "ab"]
    for log in logs:
        for record in log:
            record.pop("steps_per_second", None)
    assert logs[0] == logs[1]


# --- the step ---------------------------------------------------------------------------------------------------------


def entered(seed: int = 0, **parts: str) -> tuple[AgentModule, Engine, Phase]:
    agent, (_, rl) = make_agent(seed=seed, **parts)
    engine = Engine([agent])
    assert rl.prepare is not None
    engine.enter(rl, rl.prepare(make_store(), np.random.default_rng(seed)))
    return agent, engine, rl


def batch_of(rl: Phase, seed: int = 0) -> Batch:
    return fakes.phase_batch(rl, seed=seed, sizes={"rl": 6, "context": 5})


@pytest.mark.parametrize(
    ("critic", "actor"),
    list(product(["critics.twin_q_v", "critics.dual_target"], ["actors.sac", "actors.brac", "actors.weighted_bc"])),
)
def test_any_critic_and_actor_train_on_per_step_beliefs(critic: str, actor: str) -> None:
    agent, engine, rl = entered(critic=critic, actor=actor)
    before = fakes.snapshot(agent)
    for step in range(2):
        metrics = engine.step(batch_of(rl, step), step)
        assert all(torch.isfinite(value) for value in metrics.values())
    changed = fakes.changed(before, fakes.snapshot(agent))
    assert {n for n in changed if n.startswith("encoder.")} == {n for n in before if n.startswith("encoder.pool.")}
    assert {n for n in before if n.startswith(("critic.", "policy.", "targets."))} <= changed


def test_z_and_z_next_are_the_beliefs_at_s_and_at_the_next_state() -> None:
    agent, engine, rl = entered()
    batch = batch_of(rl)
    rows, target_v = batch.draws["rl"], agent.targets["critic_v_net"]
    place = rows.row + rows.row // TIME
    cache = engine.frozen["encoder.cache"]
    z, z_next = (agent.encoder.pool(cache[batch.tasks[:, None], at]).detach() for at in (place, place + 1))
    assert not torch.equal(z, z_next)
    expected_q = agent.critic.q(rows.obs, rows.action, z).mean().item()
    expected_y = (3.0 * rows.reward + (1 - rows.terminal) * 0.8 * target_v(rows.next_obs, z_next)).mean().item()
    metrics = engine.step(batch, 0)
    assert metrics["critic/q"].item() == pytest.approx(expected_q, rel=1e-5)
    assert metrics["critic/target"].item() == pytest.approx(expected_y, rel=1e-5)


def test_the_readout_follows_the_gradient_of_q_through_z_alone() -> None:
    """Not that of V, of the bootstrap at z', or of the actor."""
    agent, engine, rl = entered(critic="critics.dual_target", actor="actors.weighted_bc")
    batch = batch_of(rl)
    rows = batch.draws["rl"]
    td = rl.objectives[0]
    place = rows.row + rows.row // TIME
    beliefs = [engine.frozen["encoder.cache"][batch.tasks[:, None], at] for at in (place, place + 1)]
    z, z_next = (agent.encoder.pool(belief) for belief in beliefs)
    target = agent.critic.td_target(agent, batch._replace(latent=Latent(z.detach(), z_next.detach(), {})))
    loss = ((agent.critic.q(rows.obs, rows.action, z) - target) ** 2).mean((1, 2)).sum()
    pool = dict(agent.encoder.pool.named_parameters())
    expected = dict(zip(pool, torch.autograd.grad(loss, list(pool.values())), strict=True))
    assert set(td.moves) == {"critic.q_net", "critic.v_net", "encoder.pool"}
    engine.step(batch, 1)
    for name, gradient in expected.items():
        torch.testing.assert_close(engine.leaves[f"encoder.pool.{name}"].grad, gradient, rtol=1e-4, atol=1e-6)


def population(count: int) -> tuple[Engine, list[Engine], Phase]:
    """Agents together and alone, each with a cache of its own."""
    alone = [entered(seed=seed)[1] for seed in range(count)]
    members = [make_agent(seed=seed) for seed in range(count)]
    together = Engine([agent for agent, _ in members])
    rl = members[0][1][1]
    together.enter(rl, {"encoder.cache": torch.stack([one.frozen["encoder.cache"] for one in alone])})
    return together, alone, rl


def test_a_population_has_a_cache_per_seed() -> None:
    together, alone, rl = population(3)
    for step in range(5):
        batches = [batch_of(rl, 10 * step + seed) for seed in range(3)]
        metrics = together.step(fakes.stacked(batches), step)
        for seed, engine in enumerate(alone):
            for term, value in engine.step(batches[seed], step).items():
                assert metrics[term][seed].item() == pytest.approx(value.item(), rel=1e-4, abs=1e-5)


def test_a_population_with_caches_hands_its_parameters_back() -> None:
    together, alone, rl = population(2)
    together.step(fakes.stacked([batch_of(rl, seed) for seed in range(2)]), 0)
    together.sync()
    for place, engine in enumerate(alone):
        engine.step(batch_of(rl, place), 0)
        ours = dict(together.agents[place].named_parameters())
        for name, parameter in engine.agent.named_parameters():
            torch.testing.assert_close(ours[name], parameter, rtol=1e-4, atol=1e-5)


# --- two owners of one encoder ----------------------------------------------------------------------------------------


class SharedEncoder(nn.Module):
    """Its own loss moves one layer and the TD loss the other, both through one encoding."""

    latent_dim = fakes.LATENT

    def __init__(self, own: str, critics: str) -> None:
        super().__init__()
        self.below = MLP(fakes.SPEC.obs, 0, (8,), 8)
        self.above = MLP(8, 0, (7,), self.latent_dim)
        self.own, self.critic_params = own, {critics: Optim(lr=0.02)}

    def phases(self, rl: Phase) -> tuple[Phase, ...]:
        spread = Objective(name="spread", loss=self.spread, moves={self.own: Optim(lr=0.01)})
        draw = Draw("context", "context", ("obs",))
        return (attrs.evolve(rl, objectives=(spread, *rl.objectives), draws=(*rl.draws, draw)),)

    def spread(self, agent: Any, batch: Batch) -> Losses:
        return Losses(-batch.latent.z.square().mean(), {})

    def encode(self, batch: Batch) -> Latent:
        z = self.above(self.below(batch.draws["context"].obs)).mean(1, keepdim=True)
        return Latent(z, z, {})


@pytest.mark.parametrize(("own", "critics"), [("encoder.below", "encoder.above"), ("encoder.above", "encoder.below")])
def test_own_loss_and_td_loss_may_move_different_layers_in_either_order(own: str, critics: str) -> None:
    """Both gradients are those at the step's first parameters, although the first owner moves before the second."""
    torch.manual_seed(0)
    encoder: Any = SharedEncoder(own, critics)
    critic = CRITICS.build(fakes.TINY["critics.twin_q_v"], fakes.SPEC, fakes.LATENT)
    actor = ACTORS.build(fakes.TINY["actors.sac"], fakes.SPEC, fakes.LATENT)
    policy = POLICIES.build(fakes.GAUSSIAN, fakes.SPEC, fakes.LATENT)
    agent = fakes.scramble(AgentModule(encoder, critic, actor, policy, critic.tracks()))
    experiment: Any = SimpleNamespace(train=TrainConfig(steps=RL))
    (rl,) = build_phases(experiment, agent)
    batch = fakes.phase_batch(rl)
    first = batch._replace(latent=agent.encoder.encode(batch))
    expected = {}
    for objective, prefix in zip(rl.objectives, (own, critics), strict=False):
        module = agent.get_submodule(prefix)
        gradients = torch.autograd.grad(
            objective.loss(agent, first).total, list(module.parameters()), retain_graph=True
        )
        expected |= {f"{prefix}.{n}": g for (n, _), g in zip(module.named_parameters(), gradients, strict=True)}
    engine = Engine([agent])
    engine.enter(rl)
    engine.step(batch, 0)
    for name, gradient in expected.items():
        torch.testing.assert_close(engine.leaves[name].grad, gradient, rtol=1e-4, atol=1e-6)
