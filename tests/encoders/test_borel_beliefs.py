"""BOReL's beliefs: the table of the training data, its way through the loop, and the filter at meta-test."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import attrs
import fakes
import numpy as np
import pytest
import torch
from fake_beliefs import COUNTS, TASKS, TIME, TINY, build, make_store, prepared
from fake_worlds import HORIZON, FallingFamily, meta_test
from torch import Tensor

from selectrl.collectors.configs import BeliefConfig, OnlineConfig
from selectrl.data.rows import RowStore
from selectrl.data.sampler import Sampler
from selectrl.experiment.build import build_phases
from selectrl.protocols import ROW_FIELDS, Phase
from selectrl.structs import Batch, Rows
from selectrl.trainer.agent import AgentModule
from selectrl.trainer.config import TrainConfig
from selectrl.trainer.engine import Engine
from selectrl.trainer.loop import Member, Trainer


def filtered(encoder: Any, rows: list[Rows]) -> Tensor:
    """z before the first of some transitions, and after each, (step + 1, latent)."""
    state = encoder.init(1)
    z = [encoder.read(state).z[0]]
    for row in rows:
        state = encoder.step(state, row, torch.tensor([True]))
        z.append(encoder.read(state).z[0])
    return torch.stack(z).detach()


def episode(store: RowStore, local: int, number: int) -> list[Rows]:
    """The transitions of a stored episode up to its end, (1, …) each."""
    rows = store.whole(torch.tensor([[local]]), torch.tensor([[number]]), ROW_FIELDS)
    return [Rows(*(field[:, t] for field in rows)) for t in range(int(store.length[local, number]))]


# --- the table of beliefs ---------------------------------------------------------------------------------------------


def lookup(encoder: Any, store: RowStore) -> None:
    for name, value in prepared(encoder, store).items():
        setattr(encoder, name.removeprefix("encoder."), value)


def same(some: Tensor, other: Tensor) -> bool:
    """Whether beliefs are equal but for rounding, which may depend on how many rows a product has."""
    return torch.allclose(some, other, rtol=1e-6, atol=1e-6)


def test_the_table_equals_filtering_step_by_step_through_joined_episodes() -> None:
    encoder, store = build(), make_store()
    buffers = prepared(encoder, store)
    table = buffers["encoder.table"]
    assert buffers["encoder.place"].tolist() == [TASKS.index(i) if i in TASKS else -1 for i in range(max(TASKS) + 1)]
    assert table.dtype == torch.float32
    prior = encoder.read(encoder.init(1)).z[0].detach()
    for local, task in enumerate(TASKS):
        followers, starts = [], []
        for number in range(COUNTS[task]):
            first = table[local, number, 0]
            before = [other for other in range(COUNTS[task]) if same(table[local, other, -1], first)]
            starts.append(number) if same(first, prior) else followers.append((before, number))
        assert len(starts) == -(-COUNTS[task] // 2)  # sequences of two; an odd one is left alone
        for (before,), number in [([[]], n) for n in starts] + followers:
            history = [] if before == [] else episode(store, local, before)
            rows = episode(store, local, number)
            z = filtered(encoder, history + rows)[len(history) :]
            torch.testing.assert_close(table[local, number, : len(z)], z, rtol=1e-5, atol=1e-5)
            assert same(table[local, number, len(z) :], table[local, number, len(z) - 1])  # after its end


def test_the_grouping_is_random_and_a_function_of_the_generator() -> None:
    encoder, store = build(), make_store()
    first, again, other = (prepared(encoder, store, seed)["encoder.table"] for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_encode_looks_z_up_at_s_and_at_the_next_state_and_at_other_draws() -> None:
    encoder, store = build(), make_store()
    lookup(encoder, store)
    tasks = torch.tensor([1, 7, 1])
    rows = {
        "rl": torch.tensor([[0, 4, 9], [24, 23, 7], [19, 10, -1]]),  # rows are numbered episode * 5 + t
        "rl_1": torch.tensor([[3, 3], [20, 2], [1, 11]]),
    }
    empty = torch.zeros(3, 0)
    batch = Batch(tasks, {n: Rows(empty, empty, empty, empty, empty, r) for n, r in rows.items()}, {}, empty, Any)  # type: ignore[arg-type]
    latent = encoder.encode(batch)
    assert latent.z.shape == (3, 3, fakes.LATENT)
    for i, local in enumerate((1, 0, 1)):
        for j, row in enumerate(rows["rl"][i].tolist()):
            if row >= 0:
                assert torch.equal(latent.z[i, j], encoder.table[local, row // TIME, row % TIME])
                assert torch.equal(latent.z_next[i, j], encoder.table[local, row // TIME, row % TIME + 1])
        for j, row in enumerate(rows["rl_1"][i].tolist()):
            assert torch.equal(latent.of("rl_1")[i, j], encoder.table[local, row // TIME, row % TIME])


def test_without_a_table_every_row_gets_the_belief_before_any_data() -> None:
    encoder = build()
    latent = encoder.encode(fakes.phase_batch(encoder.phases(Phase(name="rl", steps=1))[-1]))
    assert torch.equal(latent.z[:, 0], encoder.read(encoder.init(fakes.TASKS)).z)
    assert latent.z_next is latent.z


# --- the loop ---------------------------------------------------------------------------------------------------------


def method(actor: str = "actors.brac", seed: int = 0) -> tuple[AgentModule, tuple[Phase, ...]]:
    agent = fakes.agent(TINY, actor=fakes.TINY[actor], seed=seed)
    experiment: Any = SimpleNamespace(train=TrainConfig(steps=8))
    return agent, build_phases(experiment, agent)


def make_trainer(folder: Path) -> Trainer:
    agent, phases = method()
    store = make_store()
    return Trainer(
        engine=Engine([agent]),
        store=store,
        members=[
            Member(
                phases=phases,
                sampler=Sampler(store, meta_batch=3, replacement=False, sizes={"rl": 6}, seed=3),
                folder=folder,
                test=fakes.return_line,
            )
        ],
        config=TrainConfig(steps=8, meta_batch=3, log_every=1, checkpoint_every=4, test_every=8),
    )


@pytest.mark.parametrize("records", [5, 7, 12])
def test_a_resumed_run_equals_an_undisturbed_one_bit_for_bit(tmp_path: Path, records: int) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    straight, first = make_trainer(tmp_path / "a"), make_trainer(tmp_path / "b")
    seen = [record for _, record in straight.run()]
    assert [r["phase"] for r in seen if r["kind"] == "train"] == 6 * ["vae"] + 8 * ["rl"]
    running = first.run()
    for _ in range(records):
        next(running)
    running.close()
    resumed = make_trainer(tmp_path / "b")
    list(resumed.run())
    assert not fakes.changed(straight.engine.state(), resumed.engine.state())
    assert torch.equal(straight.engine.frozen["encoder.table"], resumed.engine.frozen["encoder.table"])
    assert not any("table" in name for name in straight.engine.state())
    logs = [[json.loads(line) for line in (tmp_path / f / "metrics.jsonl").read_text().splitlines()] for f in "ab"]
    values, again = [[record.get("values") for record in log] for log in logs]
    assert values == again


def test_a_population_of_two_equals_its_members_alone() -> None:
    store = make_store()
    sizes = {"rl": 6}
    members = [method(seed=seed) for seed in (0, 1)]
    twins = [method(seed=seed) for seed in (0, 1)]
    alone, together = [Engine([agent]) for agent, _ in members], Engine([agent for agent, _ in twins])
    for place, phase in enumerate(twins[0][1]):
        prepared_buffers = [
            prepared(agent.encoder, store, seed) if phase.prepare else {} for seed, (agent, _) in enumerate(members)
        ]
        for engine, buffers, (_, own) in zip(alone, prepared_buffers, members, strict=True):
            engine.enter(own[place], buffers)
        together.enter(
            phase, {name: torch.stack([buffers[name] for buffers in prepared_buffers]) for name in prepared_buffers[0]}
        )
        for step in range(3):
            samplers = [Sampler(store, meta_batch=3, replacement=False, sizes=sizes, seed=seed) for seed in (0, 1)]
            batches = [sampler.phase(attrs.evolve(phase, steps=8)).batch(step) for sampler in samplers]
            metrics = together.step(fakes.stacked(batches), step)
            for seed, (engine, batch) in enumerate(zip(alone, batches, strict=True)):
                for term, value in engine.step(batch, step).items():
                    assert metrics[term][seed].item() == pytest.approx(value.item(), rel=1e-4, abs=1e-5), term
        assert phase.name == "vae" or "dual_1/estimate" in metrics


def test_the_filter_stands_still_in_the_rl_phase() -> None:
    agent, (_, rl) = method()
    engine = Engine([agent])
    store = make_store()
    engine.enter(rl, prepared(agent.encoder, store))
    before = fakes.snapshot(agent)
    sampler = Sampler(store, meta_batch=3, replacement=False, sizes={"rl": 6}, seed=1)
    engine.step(sampler.phase(rl).batch(0), 0)
    changed = fakes.changed(before, fakes.snapshot(agent))
    assert not any(name.startswith("encoder.") for name in changed)
    assert any(name.startswith("policy.") for name in changed)


# --- the collector ----------------------------------------------------------------------------------------------------


class Watched:
    """A real encoder that remembers every state that was read."""

    def __init__(self, encoder: Any) -> None:
        self.encoder, self.latent_dim, self.init, self.step = encoder, encoder.latent_dim, encoder.init, encoder.step
        self.reads: list[Tensor] = []

    def read(self, state: Any) -> Any:
        self.reads.append(state.hidden)
        return self.encoder.read(state)


def test_the_belief_is_read_at_every_step_and_carried_over_episodes_and_scores_filter_a_copy() -> None:
    encoder = Watched(build())
    meta_test(BeliefConfig(), encoder=encoder, family=FallingFamily({0: 2}), tasks=(0, 1), repeats=1, blocks=2)
    reads = encoder.reads
    assert len(reads) == 1 + 5 * HORIZON  # at first, then score, collect, score, collect, score
    start, parts = reads[0], [reads[1 + i : 1 + i + HORIZON] for i in range(0, 5 * HORIZON, HORIZON)]
    assert (start == 0).all()
    assert all(not torch.equal(a, b) for a, b in pairwise(reads))
    collected = [*parts[1], *parts[3]]
    obs_free = torch.stack([start, *collected])
    assert len({tuple(h.flatten().tolist()) for h in obs_free}) == 2 * HORIZON + 1  # never back to the start
    for score in (parts[0], parts[2]):  # what was scored is forgotten
        assert not any(torch.equal(score[-1], h) for h in obs_free)
    ended = [h[0] for h in parts[0]]
    assert torch.equal(ended[1], ended[-1])  # the fallen world of the score reads nothing after its end


def test_the_policy_acts_on_the_belief_of_the_moment() -> None:
    encoder = build()
    moment, blocks = (
        meta_test(c, encoder=encoder, tasks=(0, 1), blocks=2)[0] for c in (BeliefConfig(), OnlineConfig())
    )
    assert not np.allclose(moment.explored[:, 0, 2:], blocks.explored[:, 0, 2:])
    assert np.allclose(moment.explored[:, 0, :2], blocks.explored[:, 0, :2])  # the first action has read nothing yet
