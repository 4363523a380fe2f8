"""CORRO: its negatives, its contrastive phase, its table of embeddings, and what moves in which phase."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import attrs
import fakes
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from selectrl.data.episodes import Episodes
from selectrl.data.rows import RowStore
from selectrl.data.sampler import Sampler
from selectrl.encoders.aggregations.configs import InverseVarianceConfig, MeanConfig, ProductOfGaussiansConfig
from selectrl.encoders.corro.configs import CorroConfig, CvaeConfig, RewardNoiseConfig, TrueTaskConfig
from selectrl.encoders.corro.negatives import read_task_rows
from selectrl.errors import CompositionError, RunError
from selectrl.experiment.build import build_agent, build_phases
from selectrl.protocols import Phase
from selectrl.registry import ENCODERS, NEGATIVES
from selectrl.streams import stream
from selectrl.structs import Batch, Rows
from selectrl.trainer.agent import AgentModule
from selectrl.trainer.config import TrainConfig
from selectrl.trainer.engine import Engine
from selectrl.trainer.loop import Member, Trainer

VARYING = fakes.SPEC._replace(dynamics_vary=True)
TINY: CorroConfig = fakes.TINY["encoders.corro"]
CVAE: CvaeConfig = attrs.evolve(fakes.TINY["encoders.corro"].negatives)
NOISE, TRUE = RewardNoiseConfig(deviation=0.8), TrueTaskConfig()
SOURCES = pytest.mark.parametrize("negatives", [CVAE, NOISE, TRUE], ids=["cvae", "reward_noise", "true_task"])
CONTEXTS = pytest.mark.parametrize("context_draw", ["rows", "episodes"])
IDS = (7, 2, 5, 11, 3)  # neither sorted nor without gaps
EPISODES, TIME, RL = 4, fakes.SPEC.horizon, 5


def reward(parameters: Any, obs: Any, action: Any, next_obs: Any) -> Any:
    """A made-up reward of goals on a line."""
    return -((next_obs[..., 0] - parameters[..., 0]) ** 2) + 0.1 * action[..., 0]


def make_store(*, shift: float = 0.0, has_reward: bool = True) -> RowStore:
    """Random episodes of the tasks in IDS, of which the last one ends two steps early, in zeros."""

    def episodes(task: int) -> Episodes[Tensor]:
        rng = np.random.default_rng(task)
        obs = rng.standard_normal((EPISODES, TIME + 1, fakes.SPEC.obs)) + shift
        action = rng.uniform(-1, 1, (EPISODES, TIME, fakes.SPEC.action))
        own = reward(np.full((1, 1, 1), task / 5), obs[:, :-1], action, obs[:, 1:])
        length = torch.tensor([TIME] * (EPISODES - 1) + [TIME - 2])
        obs[-1, TIME - 1 :], action[-1, TIME - 2 :], own[-1, TIME - 2 :] = 0, 0, 0
        tensors = [torch.from_numpy(value).float() for value in (obs, action, own)]
        return Episodes(*tensors, torch.zeros(EPISODES, TIME, dtype=torch.bool), length, torch.zeros(EPISODES))

    entries = [SimpleNamespace(task=task, parameter=(task / 5,)) for task in IDS]
    dataset: Any = SimpleNamespace(task=episodes, manifest=SimpleNamespace(spec=fakes.SPEC, tasks=entries))
    return RowStore(dataset, IDS, reward_of=reward if has_reward else None)


def make_agent(seed: int = 0, **changes: Any) -> tuple[AgentModule, tuple[Phase, ...]]:
    """An agent around CORRO at toy size, and its phases."""
    parts: Any = SimpleNamespace(
        encoder=attrs.evolve(TINY, **changes),
        critic=fakes.TINY["critics.twin_q_v"],
        actor=fakes.TINY["actors.sac"],
        train=TrainConfig(steps=RL),
    )
    agent = build_agent(parts, fakes.SPEC, seed)
    return agent, build_phases(parts, agent)


def make_sampler(store: RowStore, seed: int = 3) -> Sampler:
    return Sampler(store, meta_batch=3, replacement=False, sizes={"rl": 6, "context": 5}, seed=seed)


def drawn(store: RowStore, phase: Phase, step: int = 0, *, seed: int = 3, steps: int = 50) -> Batch:
    """A batch with all that a phase asks for."""
    return make_sampler(store, seed).phase(attrs.evolve(phase, steps=steps)).batch(step)


def prepared(phase: Phase, store: RowStore) -> dict[str, Tensor]:
    assert phase.prepare is not None
    return phase.prepare(store, stream(0, phase.name, "prepare"))


def entered(name: str, seed: int = 0, **changes: Any) -> tuple[AgentModule, Engine, Phase, RowStore]:
    """An engine that has entered a phase, with scrambled parameters."""
    agent, phases = make_agent(seed, **changes)
    fakes.scramble(agent, seed=seed)
    store, phase = make_store(), next(phase for phase in phases if phase.name == name)
    engine = Engine([agent])
    engine.enter(phase, prepared(phase, store))
    return agent, engine, phase, store


def hold(agent: AgentModule, buffers: dict[str, Tensor]) -> None:
    """Put buffers into an agent's own modules, as the engine substitutes them."""
    for name, value in buffers.items():
        owner, _, buffer = name.rpartition(".")
        setattr(agent.get_submodule(owner), buffer, value)


def contrasted(seed: int = 0, **changes: Any) -> tuple[Any, Batch]:
    """An encoder that holds the buffers of its contrastive phase, and a batch of that phase."""
    agent, _, phase, store = entered("contrastive", **changes)
    hold(agent, prepared(phase, store))
    return agent.encoder, drawn(store, phase, seed)


# --- phases -----------------------------------------------------------------------------------------------------------


@SOURCES
def test_phases_moves_and_steps(negatives: Any) -> None:
    _, phases = make_agent(negatives=negatives)
    names = ["cvae"] * (negatives is CVAE) + ["contrastive", "rl"]
    assert [phase.name for phase in phases] == names
    assert [phase.steps for phase in phases] == [3] * (negatives is CVAE) + [4, RL]
    assert [phase.encodes for phase in phases] == [False] * (len(names) - 1) + [True]
    moves = {objective.name: set(objective.moves) for phase in phases for objective in phase.objectives}
    assert moves["contrastive"] == {"encoder.net"}
    assert moves["critic"] == {"critic.q_net", "encoder.pooling"}
    assert moves.get("cvae", {"encoder.negatives"}) == {"encoder.negatives"}
    assert all(not any(p.startswith("encoder") for p in moves[name]) for name in ("value", "policy"))


def test_without_a_pooling_to_train_the_critic_moves_nothing_of_the_encoder() -> None:
    _, phases = make_agent(aggregation=MeanConfig())
    assert set(phases[-1].objectives[0].moves) == {"critic.q_net"}


def test_sizes_and_learning_rates_come_from_the_config() -> None:
    _, (cvae, contrastive, rl) = make_agent(lr=0.01, queries=5, negatives=attrs.evolve(CVAE, lr=0.02, rows=7))
    assert {k: v.lr for k, v in cvae.objectives[0].moves.items()} == {"encoder.negatives": 0.02}
    assert {k: v.lr for k, v in contrastive.objectives[0].moves.items()} == {"encoder.net": 0.01}
    assert rl.objectives[0].moves["encoder.pooling"].lr == 0.01
    assert [(draw.kind, draw.size) for draw in (*cvae.objectives[0].draws, *contrastive.objectives[0].draws)] == [
        ("context", 7),
        ("context", 5),
        ("context", 5),
    ]


def test_the_context_is_rows_or_one_trajectory_and_holds_the_next_state() -> None:
    for drawn, expected in (("rows", ("context", 0)), ("episodes", ("episodes", 1))):
        context = make_agent(context_draw=drawn)[0].encoder.context
        assert (context.kind, context.size) == expected
        assert context.fields == ("obs", "action", "reward", "next_obs")


@pytest.mark.parametrize("negatives", [NOISE, TRUE])
def test_rewards_alone_are_refused_where_dynamics_vary(negatives: Any) -> None:
    with pytest.raises(
        CompositionError, match=r"^encoders\.corro cannot learn from negatives\.(reward_n|true_t)[^\n]*cvae"
    ):
        ENCODERS.build(attrs.evolve(TINY, negatives=negatives), VARYING)
    ENCODERS.build(TINY, VARYING)


def test_true_tasks_are_refused_without_a_reward_function() -> None:
    _, phases = make_agent(negatives=TRUE)
    with pytest.raises(CompositionError, match=r"^negatives\.true_task needs a reward function"):
        prepared(phases[0], make_store(has_reward=False))


@pytest.mark.parametrize("aggregation", [InverseVarianceConfig(), ProductOfGaussiansConfig()])
def test_weights_that_nothing_would_train_are_refused(aggregation: Any) -> None:
    with pytest.raises(CompositionError, match=r"^encoders\.corro .* aggregations\.(inverse|product)[^\n]*attention"):
        make_agent(aggregation=aggregation)


# --- negatives --------------------------------------------------------------------------------------------------------


@SOURCES
@settings(max_examples=8)
@given(seed=st.integers(0, 49))
def test_negatives_share_state_and_action_with_their_query_bit_for_bit(negatives: Any, seed: int) -> None:
    encoder, batch = contrasted(seed, negatives=negatives)
    query, key, candidates = batch.draws["query"], batch.draws["key"], encoder.candidates(batch)
    assert candidates.reward.shape == (3, TINY.queries, 2 + TINY.negative_count)
    for ours, theirs, joined in zip(query, key, candidates, strict=True):
        if ours.numel():
            assert torch.equal(joined[:, :, 0], ours)
            assert torch.equal(joined[:, :, 1], theirs)
    for n in range(2, 2 + TINY.negative_count):
        assert torch.equal(candidates.obs[:, :, n], query.obs)
        assert torch.equal(candidates.action[:, :, n], query.action)
        assert not torch.isclose(candidates.reward[:, :, n], query.reward).any()
    moved = torch.isclose(candidates.next_obs[:, :, 2:], query.next_obs[:, :, None]).all()
    assert moved != (negatives is CVAE)


@pytest.mark.parametrize(("varying", "chosen", "kept"), [(False, None, True), (True, None, False), (True, False, True)])
def test_a_generated_state_stands_in_only_where_it_may_differ(varying: bool, chosen: bool | None, kept: bool) -> None:
    source = NEGATIVES.build(attrs.evolve(CVAE, replace_next_obs=chosen), fakes.SPEC._replace(dynamics_vary=varying))
    query = fakes.rows(np.random.default_rng(0), 2, 3)
    batch: Any = SimpleNamespace(noise={"negatives": torch.randn(2, 3, 4, CVAE.latent_dim)})
    reward, state = source.replace(query, batch)
    assert torch.equal(state, query.next_obs[:, :, None].expand_as(state)) == kept
    assert not torch.isclose(reward, query.reward[..., None]).any()


def test_reward_noise_golden() -> None:
    # r = 2, deviation .8, noise 1 and -.5: 2.8 and 1.6
    source = NEGATIVES.build(NOISE, fakes.SPEC)
    query = fakes.rows(np.random.default_rng(0), 1, 1)._replace(reward=torch.tensor([[2.0]]))
    batch: Any = SimpleNamespace(noise={"negatives": torch.tensor([[[1.0, -0.5]]])})
    replaced, _ = source.replace(query, batch)
    torch.testing.assert_close(replaced, torch.tensor([[[2.8, 1.6]]]))


def test_true_rewards_are_those_of_every_other_task_alike() -> None:
    encoder, batch = contrasted(negatives=TRUE)
    query = batch.draws["query"]
    grid = torch.tensor([0.0, 0.25, 0.5, 0.75, 0.999999999])  # of five tasks four are others; float32 makes the last 1
    batch = batch._replace(noise={"negatives": grid.expand(3, TINY.queries, 5)})
    replaced, _ = encoder.negatives.replace(query, batch)
    for t, own in enumerate(batch.tasks.tolist()):
        start = IDS.index(own)
        others = [IDS[(start + 1 + shift) % 5] for shift in (0, 1, 2, 3, 3)]
        goals = torch.tensor(others)[:, None] / 5
        expected = reward(goals[:, None], query.obs[t], query.action[t], query.next_obs[t]).T
        torch.testing.assert_close(replaced[t], expected)


def test_cvae_golden() -> None:
    # Networks that answer constants: mean .6, log-variance ln .25, and predictions r = .5, s' - s = 0.
    # KL = ½ (.25 + .36 - 1 - ln .25) = .498147. Standardised by centre 1 and scale 2 in r, 0 and 1 in s':
    # r = 4 -> 1.5, missed by 1; s' - s = (.3, 0, .6), mean square .15. L = .3 · .498147 + 1 + .15 = 1.299444.
    source = NEGATIVES.build(attrs.evolve(CVAE, latent_dim=1), fakes.SPEC)
    fakes.constant(source.posterior_net, 0.6, math.log(0.25))
    fakes.constant(source.decoder_net, 0.5, 0.0, 0.0, 0.0)
    source.centre, source.scale = torch.tensor([1.0, 0.0, 0.0, 0.0]), torch.tensor([2.0, 1.0, 1.0, 1.0])
    rows = fakes.rows(np.random.default_rng(0), 2, 3)
    rows = rows._replace(reward=torch.full((2, 3), 4.0), next_obs=rows.obs + torch.tensor([0.3, 0.0, 0.6]))
    batch: Any = SimpleNamespace(draws={"rows": rows}, noise={"posterior": torch.randn(2, 3, 1)})
    losses = source.loss(None, batch)
    assert losses.terms["kl"].item() == pytest.approx(0.498147, rel=1e-5)
    assert losses.total.item() == pytest.approx(1.299444, rel=1e-5)
    assert losses.terms["reward_std_over_u"].item() == 0


def test_generated_outcomes_are_in_the_datas_units() -> None:
    # the decoder answers .5 and (1, 0, -1): r = 1 + 2 · .5 = 2, s' = s + (0, 10, 20) + 3 · (1, 0, -1)
    source = NEGATIVES.build(attrs.evolve(CVAE, latent_dim=1), fakes.SPEC)
    fakes.constant(source.decoder_net, 0.5, 1.0, 0.0, -1.0)
    source.centre, source.scale = torch.tensor([1.0, 0.0, 10.0, 20.0]), torch.tensor([2.0, 3.0, 3.0, 3.0])
    query = fakes.rows(np.random.default_rng(0), 2, 3)
    batch: Any = SimpleNamespace(noise={"negatives": torch.randn(2, 3, 4, 1)})
    replaced, state = source.replace(query, batch)
    assert (replaced == 2).all()
    shift = torch.tensor([3.0, 10.0, 17.0])
    torch.testing.assert_close(state, (query.obs + shift)[:, :, None].expand(-1, -1, 4, -1))


def test_targets_are_standardised_over_valid_rows_of_training_tasks_alone() -> None:
    agent, (cvae, contrastive, _) = make_agent()
    store = make_store(shift=50.0)  # padding, which is zero, would show
    buffers = prepared(cvae, store)
    live = [read_task_rows(store, place, ("obs", "action", "reward", "next_obs")) for place in range(len(IDS))]
    values = torch.cat([agent.encoder.negatives.target(rows)[rows.row >= 0] for rows in live])
    assert len(values) == store.counts.sum() == len(IDS) * (EPISODES * TIME - 2)
    torch.testing.assert_close(buffers["encoder.negatives.centre"], values.mean(0), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(buffers["encoder.negatives.scale"], values.std(0, correction=0), rtol=1e-4, atol=1e-5)
    again = prepared(contrastive, store)
    assert all(torch.equal(again[name], value) for name, value in buffers.items())
    _, phases = make_agent(negatives=attrs.evolve(CVAE, standardise=False))
    assert [set(value.tolist()) for value in prepared(phases[0], store).values()] == [{0.0}, {1.0}]


def test_a_generator_that_ignores_u_stops_the_run() -> None:
    negatives = attrs.evolve(CVAE, min_kl=0.01)
    agent, (_, contrastive, _) = make_agent(negatives=negatives)  # untrained: its posterior is nearly the prior
    with pytest.raises(RunError, match=r"^negatives\.cvae has collapsed: its divergence is [^\n]*beta \(0\.3\)[^\n]*$"):
        prepared(contrastive, make_store())
    fakes.scramble(agent)
    prepared(contrastive, make_store())


# --- the contrastive phase --------------------------------------------------------------------------------------------


@SOURCES
def test_rows_lie_on_the_unit_sphere_and_z_inside(negatives: Any) -> None:
    encoder, batch = contrasted(negatives=negatives)
    z, _ = encoder.embed(encoder.candidates(batch))
    torch.testing.assert_close(z.norm(dim=-1), torch.ones(z.shape[:-1]))
    latent = encoder.encode(batch._replace(draws={"context": batch.draws["query"]}))
    assert (latent.z.norm(dim=-1) < 1).all()


def test_the_row_network_reads_standard_units_and_an_agent_at_meta_test_does_too() -> None:
    agent, engine, phase, store = entered("contrastive")
    rows = [read_task_rows(store, task, agent.encoder.fields) for task in range(len(IDS))]
    columns = [
        torch.cat((draw.obs, draw.action, draw.reward[..., None], draw.next_obs), -1)[draw.row >= 0] for draw in rows
    ]
    every = torch.cat(columns)
    mean, deviation = every.mean(0), every.std(0, correction=0)
    for held in (agent.encoder.centre, engine.state()["agent/encoder.centre"]):  # what is tested, and what is saved
        torch.testing.assert_close(held, mean, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(agent.encoder.scale, deviation, rtol=1e-4, atol=1e-5)
    expected = torch.nn.functional.normalize(agent.encoder.net((columns[0] - mean) / deviation), dim=-1)
    torch.testing.assert_close(agent.encoder.embed(rows[0])[0][rows[0].row >= 0], expected, rtol=1e-4, atol=1e-5)
    assert set(prepared(phase, store)) - {"encoder.centre", "encoder.scale"}  # the generator's own units

    raw, _, phase, _ = entered("contrastive", standardise=False)
    assert not {"encoder.centre", "encoder.scale"} & set(prepared(phase, store))
    assert set(raw.encoder.centre.tolist()) == {0.0}
    assert set(raw.encoder.scale.tolist()) == {1.0}


@pytest.mark.parametrize(("standardise", "remedy"), [(True, r"lr$"), (False, r"lr, or bind .*standardise = True$")])
def test_a_row_network_that_answers_one_direction_stops_the_run(standardise: bool, remedy: str) -> None:
    agent, _, phase, store = entered("rl", min_spread=1e-3, standardise=standardise)
    prepared(phase, store)  # scrambled, it tells rows apart
    fakes.constant(agent.encoder.net, 5.0, 0.0, 0.0, 0.0)
    with pytest.raises(RunError, match=rf"^encoders\.corro has collapsed: .* is 0, .*steps \(4\) or .*{remedy}"):
        prepared(phase, store)


@SOURCES
def test_the_gradient_reaches_the_row_network_through_negatives_and_nothing_reaches_their_source(
    negatives: Any,
) -> None:
    agent, engine, phase, store = entered("contrastive", negatives=negatives)
    before = {name: value.clone() for name, value in engine.frozen.items()}
    engine.step(drawn(store, phase), 0)
    moved = {name for name, value in before.items() if not torch.equal(value, engine.frozen[name])}
    assert moved == {f"encoder.net.{name}" for name, _ in agent.encoder.net.named_parameters()}

    encoder, batch = contrasted(negatives=negatives)
    candidates = encoder.candidates(batch)
    z, _ = encoder.embed(candidates)
    alone = torch.cat((z[:, :, :2].detach(), z[:, :, 2:]), 2)  # cut queries and keys
    logits = (alone[:, :, :1] * alone[:, :, 1:]).sum(-1) / TINY.temperature
    gradients = torch.autograd.grad(-logits.log_softmax(-1)[..., 0].mean(), list(encoder.net.parameters()))
    assert all(gradient.abs().sum() > 0 for gradient in gradients)


def test_a_row_network_that_answers_one_direction_is_at_chance() -> None:
    # all embeddings equal (1, 0, 0, 0): ln(1 + 3)
    encoder, batch = contrasted()
    fakes.constant(encoder.net, 5.0, 0.0, 0.0, 0.0)
    losses = encoder.loss(None, batch)
    assert losses.total.item() == pytest.approx(math.log(4), rel=1e-6)
    assert losses.terms["key_similarity"].item() == losses.terms["negative_similarity"].item() == 1


# --- the rl phase -----------------------------------------------------------------------------------------------------


@CONTEXTS
def test_the_table_holds_what_the_row_network_says_of_each_row(context_draw: str) -> None:
    agent, _, phase, store = entered("rl", context_draw=context_draw)
    encoder: Any = agent.encoder
    for step in range(6):
        batch = drawn(store, phase, step)
        assert encoder.cache.numel() == 0
        direct = encoder.encode(batch)
        hold(agent, prepared(phase, store))
        looked_up = encoder.encode(batch)
        hold(agent, {"encoder.cache": torch.zeros(0)})
        torch.testing.assert_close(looked_up.z, direct.z, rtol=1e-6, atol=1e-6)
        assert torch.equal(looked_up.z, looked_up.z_next)
        live = batch.draws["context"].row >= 0
        torch.testing.assert_close(looked_up.features["rows"][live], direct.features["rows"][live])


def test_what_follows_the_end_of_an_episode_does_not_count() -> None:
    agent, _ = make_agent(context_draw="episodes")
    encoder: Any = fakes.scramble(agent).encoder
    whole = read_task_rows(make_store(), 0, encoder.fields)
    last = Rows(*(field[:, -TIME:] for field in whole))
    assert (last.row < 0).sum() == 2
    short = Rows(*(field[:, : TIME - 2] for field in last))
    padded, cut = (
        encoder.encode(Batch(torch.tensor([7]), {"context": rows}, {}, torch.zeros(()), None)).z  # type: ignore[arg-type]
        for rows in (last, short)
    )
    torch.testing.assert_close(padded, cut)
    changed = last._replace(obs=torch.where(last.row[..., None] < 0, 9.0, last.obs))
    again = encoder.encode(Batch(torch.tensor([7]), {"context": changed}, {}, torch.zeros(()), None)).z  # type: ignore[arg-type]
    assert torch.equal(again, padded)


@given(seed=st.integers(0, 10_000))
def test_pooling_ignores_the_order_of_rows_and_equals_the_filter(seed: int) -> None:
    encoder: Any = fakes.double(fakes.scramble(ENCODERS.build(TINY, fakes.SPEC)))
    batch = fakes.double(fakes.batch([encoder.context], [], seed=seed))
    rows, latent = batch.draws["context"], encoder.encode(batch)
    order = np.random.default_rng(seed).permutation(rows.row.shape[1])
    shuffled = Rows(*(field[:, order] if field.numel() else field for field in rows))
    torch.testing.assert_close(encoder.encode(batch._replace(draws={"context": shuffled})).z, latent.z)
    assert (latent.z.norm(dim=-1) <= 1).all()
    state = encoder.init(fakes.TASKS)
    for t in range(rows.row.shape[1]):
        state = encoder.step(state, Rows(*(f[:, t] if f.numel() else f for f in rows)), torch.ones(4, dtype=torch.bool))
    belief = encoder.read(state)
    torch.testing.assert_close(belief.z, latent.z[:, 0])
    torch.testing.assert_close(belief.spread, latent.features["spread"])


def test_the_critic_moves_the_pooling_and_the_actor_nothing_of_the_encoder() -> None:
    for name in ("critic", "value", "policy"):
        agent, engine, phase, store = entered("rl")
        chosen = tuple(objective for objective in phase.objectives if objective.name == name)
        engine.enter(attrs.evolve(phase, objectives=chosen, tracks=()))
        before = fakes.snapshot(agent)
        engine.step(drawn(store, phase, steps=RL), 0)
        moved = {n for n in fakes.changed(before, fakes.snapshot(agent)) if n.startswith("encoder.")}
        # the score's bias cancels in the softmax; its gradient is rounding alone
        assert moved - {"encoder.pooling.score.bias"} == (
            {"encoder.pooling.score.weight"} if name == "critic" else set()
        )


# --- whole runs -------------------------------------------------------------------------------------------------------


def make_trainer(folder: Path, store: RowStore | None = None, **changes: Any) -> Trainer:
    agent, phases = make_agent(**changes)
    store = store or make_store()
    folder.mkdir(exist_ok=True)
    return Trainer(
        engine=Engine([agent]),
        store=store,
        members=[Member(phases=phases, sampler=make_sampler(store), folder=folder, test=fakes.return_line)],
        config=TrainConfig(steps=RL, log_every=1, checkpoint_every=2, test_every=3),
    )


def test_each_phase_moves_its_own_and_the_row_network_is_frozen_in_rl(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path)
    agent, states = trainer.engine.agent, []
    states.append(fakes.snapshot(agent))
    ends = {("cvae", 3), ("contrastive", 4), ("rl", RL)}
    for _, record in trainer.run():
        if (record.get("phase"), record["step"]) in ends:
            states.append(fakes.snapshot(agent))
    moved = [fakes.changed(old, new) for old, new in pairwise(states)]
    assert {name.split(".")[1] for name in moved[0]} == {"negatives"}
    assert {".".join(name.split(".")[:2]) for name in moved[1]} == {"encoder.net"}
    of_encoder = {name for name in moved[2] if name.startswith("encoder.")}
    assert "encoder.pooling.score.weight" in of_encoder
    assert all(name.startswith("encoder.pooling.") for name in of_encoder)
    kept = {name for name in trainer.engine.state() if not name.startswith("optimiser/")}
    assert kept == {f"agent/{name}" for name in agent.state_dict()} >= {"agent/encoder.centre", "agent/encoder.scale"}
    assert not any(part in name for part in ("cache", "place", "negatives.centre", "rewards") for name in kept)


@pytest.mark.parametrize("records", [2, 3, 5, 7, 10])
def test_a_resumed_run_equals_an_undisturbed_one_bit_for_bit(tmp_path: Path, records: int) -> None:
    straight, first = make_trainer(tmp_path / "a"), make_trainer(tmp_path / "b")
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


@SOURCES
def test_a_population_equals_its_members_alone(negatives: Any) -> None:
    store, seeds = make_store(), (0, 1)
    for phase_name in [phase.name for phase in make_agent(negatives=negatives)[1]]:
        alone = [entered(phase_name, seed, negatives=negatives) for seed in seeds]
        members = [entered(phase_name, seed, negatives=negatives) for seed in seeds]
        together, phase = Engine([agent for agent, *_ in members]), members[0][2]
        buffers = [prepared(own, store) for _, _, own, _ in members]
        together.enter(phase, {name: torch.stack([member[name] for member in buffers]) for name in buffers[0]})
        for step in range(2):
            batches = [drawn(store, phase, step, seed=seed, steps=2) for seed in seeds]
            metrics = together.step(fakes.stacked(batches), step)
            for seed, (_, engine, _, _) in zip(seeds, alone, strict=True):
                for term, value in engine.step(batches[seed], step).items():
                    assert metrics[term][seed].item() == pytest.approx(value.item(), rel=1e-4, abs=1e-5), term
