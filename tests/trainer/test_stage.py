"""A stage enters a phase for all agents, each with its own parts, and takes steps of draws that were compiled once."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import attrs
import fakes
import numpy as np
import pytest
import torch
from fake_beliefs import TINY, make_store

from selectrl.data import sampler as sampling
from selectrl.data.sampler import Sampler
from selectrl.errors import CompositionError
from selectrl.experiment.build import build_phases
from selectrl.protocols import Draw
from selectrl.trainer.config import TrainConfig
from selectrl.trainer.engine import Engine
from selectrl.trainer.stage import Stage


def make_stage(*seeds: int, **changes: Any) -> Stage:
    """The rl phase of agents with a table of beliefs each; changes are those of the phase."""
    experiment: Any = SimpleNamespace(train=TrainConfig(steps=8))
    agents = [fakes.agent(TINY, seed=seed) for seed in seeds]
    store = make_store()
    return Stage(
        engine=Engine(agents),
        phases=[attrs.evolve(build_phases(experiment, agent)[-1], **changes) for agent in agents],
        store=store,
        samplers=[Sampler(store, meta_batch=2, replacement=False, sizes={"rl": 6}, seed=seed) for seed in seeds],
    )


def test_every_agent_of_a_population_prepares_with_its_own_encoder() -> None:
    together, alone = make_stage(0, 1), [make_stage(0), make_stage(1)]
    for stage in (together, *alone):
        stage.enter()
    tables = [stage.engine.frozen["encoder.table"] for stage in alone]
    assert not torch.allclose(tables[0], tables[1], atol=0.1)
    assert torch.equal(together.engine.frozen["encoder.table"], torch.stack(tables))


def test_a_population_steps_as_its_agents_alone() -> None:
    together, alone = make_stage(0, 1), [make_stage(0), make_stage(1)]
    for stage in (together, *alone):
        stage.enter()
    for step in range(3):
        losses = together.step(step)
        for place, stage in enumerate(alone):
            for name, value in stage.step(step).items():
                assert losses[name][place].item() == pytest.approx(value.item(), rel=1e-4, abs=1e-5), name


def test_draws_are_compiled_once_per_phase(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    merge = sampling.merge_draws
    monkeypatch.setattr(sampling, "merge_draws", lambda draws: calls.append(len(draws)) or merge(draws))
    stage = make_stage(0)
    stage.enter()
    for step in range(4):
        stage.step(step)
    assert len(calls) == 1


def test_a_batch_is_that_of_its_agent_and_step() -> None:
    stage = make_stage(0, 1)
    batches = [stage.batch(place, step).tasks.tolist() for place in (0, 1) for step in range(4)]
    expected = [
        np.concatenate([sampler.phase(stage.phase).batch(step).tasks[None].numpy() for step in range(4)])
        for sampler in stage.samplers
    ]
    assert batches == np.concatenate(expected).tolist()
    assert batches[:4] != batches[4:]


def test_what_the_data_cannot_give_is_refused_before_any_step() -> None:
    with pytest.raises(CompositionError, match="draw 'x' has the unknown kind 'rows'"):
        make_stage(0, draws=(Draw("x", "rows"),))
