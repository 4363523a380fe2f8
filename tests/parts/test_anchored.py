"""CSRO's encoder with beliefs brought back among the training tasks'."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import attrs
import fakes
import numpy as np
import pytest
import torch

from selectrl.encoders.anchors import Anchors
from selectrl.errors import CompositionError
from selectrl.functional.anchors import interpolate
from selectrl.structs import Rows
from selectrl.trainer.agent import belongs
from selectrl.trainer.engine import Engine

ANCHORED, CSRO = fakes.TINY["encoders.anchored"], fakes.TINY["encoders.csro"]
TASKS = (3, 8, 0, 5)
DUAL, BC = fakes.TINY["critics.dual_target"], fakes.TINY["actors.weighted_bc"]


def fresh(config: Any) -> Any:
    """An agent with redrawn networks, whose anchors have met no task yet."""
    agent = fakes.agent(config, DUAL, BC)
    with torch.no_grad():
        for name, parameter in agent.named_parameters():
            if belongs(name, "encoder.anchors"):
                parameter.zero_()
    return agent


def trained(config: Any, steps: int = 5, tasks: tuple[int, ...] = TASKS) -> tuple[Any, list[Any]]:
    """An agent after some steps, and the z of each step's tasks."""
    agent = fresh(config)
    phase = fakes.rl_phase(agent)
    engine, seen = Engine([agent]), []
    engine.enter(phase)
    for step in range(steps):
        batch = fakes.phase_batch(phase, seed=step, tasks=tasks)
        with torch.no_grad():
            seen.append(agent.encoder.encode(batch).z[:, 0])
        engine.step(batch, step)
    return agent, seen


def filtered(encoder: Any, worlds: int = 3) -> Any:
    """The state of worlds that have seen a few rows."""
    rows, live = fakes.rows(np.random.default_rng(0), worlds, 4), torch.ones(worlds, dtype=torch.bool)
    state = encoder.init(worlds)
    for t in range(4):
        state = encoder.step(state, Rows(*(field[:, t] for field in rows)), live)
    return state


# --- the anchors ------------------------------------------------------------------------------------------------------


def test_anchors_golden() -> None:
    # task 1 stands at (1, 0) with mass .5, its z is (3, 1): (4 + 1 + .25) / 2; task 0 at (0, 0) with mass 0, its z is
    # (0, 2): (4 + 1) / 2
    anchors = Anchors(2, 2)
    with torch.no_grad():
        anchors.total[1], anchors.mass[1] = torch.tensor([1.0, 0.0]), 0.5
    losses = anchors.loss(torch.tensor([1, 0]), torch.tensor([[3.0, 1.0], [0.0, 2.0]]))
    assert losses.total.item() == pytest.approx(2.625 + 2.5)
    assert losses.terms["missed"].item() == pytest.approx((5 + 4) / 2)


def test_after_training_each_anchor_is_the_running_mean_of_its_tasks_z() -> None:
    rate = 0.2
    agent, seen = trained(attrs.evolve(ANCHORED, anchor_rate=rate))
    weight = torch.tensor([rate * (1 - rate) ** (len(seen) - 1 - i) for i in range(len(seen))])
    expected = (weight[:, None, None] * torch.stack(seen)).sum(0)
    anchors = agent.encoder.anchors
    torch.testing.assert_close(anchors.total.detach()[list(TASKS)], expected)
    torch.testing.assert_close(anchors.mass.detach()[list(TASKS)], weight.sum().expand(4))
    strangers = sorted(set(range(12)) - set(TASKS))
    assert not anchors.total[strangers].any()
    assert not anchors.mass[strangers].any()


def test_a_z_far_off_comes_back_to_the_nearest_tasks_mean() -> None:
    rate = 0.2
    agent, seen = trained(attrs.evolve(ANCHORED, anchor_rate=rate))
    weight = torch.tensor([(1 - rate) ** (len(seen) - 1 - i) for i in range(len(seen))])
    means = (weight[:, None, None] * torch.stack(seen)).sum(0) / weight.sum()
    with torch.no_grad():
        found = agent.encoder.anchors.project(means + 1e-3, 0.0)
    torch.testing.assert_close(found, means)


# --- the encoder ------------------------------------------------------------------------------------------------------


def test_everything_but_the_anchors_is_trained_as_in_csro_to_the_bit() -> None:
    (ours, _), (theirs, _) = trained(ANCHORED), trained(CSRO)
    state, expected = ours.state_dict(), theirs.state_dict()
    assert set(state) - set(expected) == {"encoder.anchors.total", "encoder.anchors.mass"}
    assert all(torch.equal(state[name], value) for name, value in expected.items())


def test_the_belief_lies_among_the_anchors_and_its_spread_is_csros() -> None:
    agent, _ = trained(ANCHORED)
    encoder = agent.encoder
    state = filtered(encoder)
    with torch.no_grad():
        belief, own = encoder.read(state), encoder.pooling.read(state)
        known = encoder.anchors.mass > 0
        means = encoder.anchors.total / encoder.anchors.mass.where(known, 1)[:, None]
    assert known.nonzero().flatten().tolist() == sorted(TASKS)
    torch.testing.assert_close(belief.z, interpolate(own.z, means, known, width=ANCHORED.width))
    assert (belief.z != own.z).any()
    assert (belief.z <= means[known].amax(0) + 1e-6).all()
    assert (belief.z >= means[known].amin(0) - 1e-6).all()
    assert torch.equal(belief.spread, own.spread)


def test_before_training_and_without_a_width_beliefs_stay_where_they_are() -> None:
    for agent in (fresh(ANCHORED), trained(attrs.evolve(ANCHORED, width=None))[0]):
        state = filtered(agent.encoder)
        with torch.no_grad():
            assert torch.equal(agent.encoder.read(state).z, agent.encoder.pooling.read(state).z)


def test_the_anchors_objective_moves_them_alone_and_no_other_objective_does() -> None:
    agent = fresh(ANCHORED)
    phase = fakes.rl_phase(agent)
    assert [one.name for one in phase.objectives] == ["club", "encoder", "anchors", "critic", "policy"]
    moves = dict(phase.objectives[2].moves)
    assert [(prefix, one.name, one.lr) for prefix, one in moves.items()] == [("encoder.anchors", "sgd", 0.01)]
    for objective in phase.objectives:
        engine = Engine([agent])
        engine.enter(attrs.evolve(phase, objectives=(attrs.evolve(objective, every=1),), tracks=()))
        before = fakes.snapshot(agent)
        engine.step(fakes.phase_batch(phase), 0)
        moved = fakes.changed(before, fakes.snapshot(agent))
        assert {name for name in moved if belongs(name, "encoder.anchors")} == (
            {"encoder.anchors.total", "encoder.anchors.mass"} if objective.name == "anchors" else set()
        )
        assert objective.name != "anchors" or all(belongs(name, "encoder.anchors") for name in moved)


@pytest.mark.parametrize(("ids", "good"), [((0, 11), True), ((0, 12), False)])
def test_a_task_without_an_anchor_is_refused_on_entering_the_phase(ids: tuple[int, ...], good: bool) -> None:
    agent = fakes.agent(ANCHORED, DUAL, BC)
    prepare: Any = fakes.rl_phase(agent).prepare
    arguments = agent, SimpleNamespace(tasks=torch.tensor(ids)), np.random.default_rng(0)
    if good:
        assert prepare(*arguments) == {}
        return
    with pytest.raises(
        CompositionError, match=r"^encoders\.anchored\.classes: expected more than 12, .* got 12; bind 13"
    ):
        prepare(*arguments)
