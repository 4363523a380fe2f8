"""CSRO's encoder with a posterior over the training tasks as its belief."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import attrs
import fakes
import numpy as np
import pytest
import torch

from selectrl.encoders.sets.anchors import Anchors
from selectrl.errors import CompositionError
from selectrl.protocols import Optim
from selectrl.structs import Rows
from selectrl.trainer.agent import belongs
from selectrl.trainer.engine import Engine

OURS, CSRO = fakes.TINY["encoders.task_posterior"], fakes.TINY["encoders.csro"]
TASKS = (3, 8, 0, 5)
VARYING = fakes.SPEC._replace(dynamics_vary=True)
DUAL, BC = fakes.TINY["critics.dual_target"], fakes.TINY["actors.weighted_bc"]


def fresh(config: Any, spec: Any = fakes.SPEC) -> Any:
    """An agent with redrawn networks, whose anchors have met no task yet."""
    agent = fakes.agent(config, DUAL, BC, spec=spec)
    with torch.no_grad():
        for name, parameter in agent.named_parameters():
            if belongs(name, "encoder.anchors"):
                parameter.zero_()
    return agent


def trained(config: Any, spec: Any = fakes.SPEC, steps: int = 5) -> tuple[Any, list[Any]]:
    """An agent after some steps, and the z of each step's tasks."""
    agent = fresh(config, spec)
    asks = fakes.rl_phase(fresh(OURS, spec))  # one batch for whatever encoder
    engine, seen = Engine([agent]), []
    engine.enter(fakes.rl_phase(agent))
    for step in range(steps):
        batch = fakes.phase_batch(asks, seed=step, tasks=TASKS)
        with torch.no_grad():
            seen.append(agent.encoder.encode(batch).z[:, 0])
        engine.step(batch, step)
    return agent, seen


def context(worlds: int = 3, length: int = 4) -> Rows:
    """A few transitions of each world, (world, time, …)."""
    return fakes.rows(np.random.default_rng(0), worlds, length)


def filtered(encoder: Any, rows: Rows) -> Any:
    """The state of worlds that have seen rows."""
    worlds, length = rows.reward.shape
    state = encoder.init(worlds)
    for t in range(length):
        state = encoder.step(state, Rows(*(field[:, t] for field in rows)), torch.ones(worlds, dtype=torch.bool))
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
    agent, seen = trained(attrs.evolve(OURS, anchor_rate=rate))
    weight = torch.tensor([rate * (1 - rate) ** (len(seen) - 1 - i) for i in range(len(seen))])
    expected = (weight[:, None, None] * torch.stack(seen)).sum(0)
    anchors = agent.encoder.anchors
    torch.testing.assert_close(anchors.total.detach()[list(TASKS)], expected)
    torch.testing.assert_close(anchors.mass.detach()[list(TASKS)], weight.sum().expand(4))
    unseen = sorted(set(range(12)) - set(TASKS))
    assert not anchors.total[unseen].any()
    assert not anchors.mass[unseen].any()


# --- the encoder ------------------------------------------------------------------------------------------------------


def test_what_csro_trains_is_trained_as_there_to_the_bit() -> None:
    (ours, _), (theirs, _) = trained(OURS), trained(CSRO)
    state, expected = ours.state_dict(), theirs.state_dict()
    assert {name.split(".")[1] for name in set(state) - set(expected)} == {"anchors", "decoder"}
    assert all(torch.equal(state[name], value) for name, value in expected.items())


@pytest.mark.parametrize("spec", [fakes.SPEC, VARYING])
def test_the_belief_is_bayes_rule_over_the_training_tasks(spec: Any) -> None:
    agent, _ = trained(OURS, spec=spec)
    encoder, rows = agent.encoder, context()
    with torch.no_grad():
        belief = encoder.read(filtered(encoder, rows))
        means, met = encoder.anchors.means(), sorted(TASKS)
        for world in range(3):
            columns = torch.cat((rows.obs[world], rows.action[world]), -1)
            predictions = torch.stack([encoder.decoder(columns[None], means[None, t : t + 1])[0] for t in met])
            truth = rows.reward[world, :, None]
            if spec is VARYING:
                truth = torch.cat((truth, rows.next_obs[world] - rows.obs[world]), -1)
            errors = (predictions - truth).square().sum((1, 2)).double()
            variance = predictions.var(0, unbiased=False).sum().double()
            odds = torch.exp(-(errors - errors.min()) / (2 * OURS.width**2 * variance))
            weights = (odds / odds.sum()).float()
            assert weights.max() < 1  # or the case would be too easy
            z = weights @ means[met]
            spread = (weights @ (means[met] - z).square()).sqrt()
            torch.testing.assert_close(belief.z[world], z, rtol=1e-3, atol=1e-5)
            torch.testing.assert_close(belief.spread[world], spread, rtol=1e-2, atol=1e-4)


def test_states_and_actions_that_tell_nothing_do_not_move_the_belief() -> None:
    """The fault of a pooled context: where an agent goes says what it believes."""
    agent, _ = trained(OURS)
    encoder, rows = agent.encoder, context()
    with torch.no_grad():
        for weight in encoder.decoder.weights[:1]:
            weight[: encoder.decoder.rows].zero_()  # predictions under z alone
        moved = rows._replace(obs=rows.obs + 3, action=-rows.action)
        ours, same = (encoder.read(filtered(encoder, sequence)) for sequence in (rows, moved))
        pooled = [encoder.pooling.read(filtered(encoder, sequence).pooled) for sequence in (rows, moved)]
    torch.testing.assert_close(ours.z, same.z)
    assert (pooled[0].z - pooled[1].z).abs().max() > 1e-3


def test_before_any_context_all_training_tasks_weigh_the_same() -> None:
    agent, _ = trained(OURS)
    with torch.no_grad():
        belief, means = agent.encoder.read(agent.encoder.init(2)), agent.encoder.anchors.means()[sorted(TASKS)]
    torch.testing.assert_close(belief.z, means.mean(0).expand(2, -1))
    torch.testing.assert_close(belief.spread, means.std(0, unbiased=False).expand(2, -1), rtol=1e-3, atol=1e-5)


def test_without_a_width_and_before_training_the_belief_is_csros() -> None:
    for agent in (trained(attrs.evolve(OURS, width=None))[0], fresh(OURS)):
        with torch.no_grad():
            state = filtered(agent.encoder, context())
            for ours, theirs in zip(agent.encoder.read(state), agent.encoder.pooling.read(state.pooled), strict=True):
                assert torch.equal(ours, theirs)


def test_each_objective_moves_its_own_part_alone() -> None:
    agent = fresh(OURS)
    phase = fakes.rl_phase(agent)
    assert [objective.name for objective in phase.objectives] == [
        "club",
        "encoder",
        "anchors",
        "decoder",
        "critic",
        "policy",
    ]
    own = {
        objective.name: dict(objective.moves)
        for objective in phase.objectives
        if objective.name in ("anchors", "decoder")
    }
    assert own == {
        "anchors": {"encoder.anchors": Optim(name="sgd", lr=OURS.anchor_rate)},
        "decoder": {"encoder.decoder": Optim(lr=OURS.decoder_lr)},
    }
    for objective in phase.objectives:
        engine = Engine([agent])
        engine.enter(attrs.evolve(phase, objectives=(attrs.evolve(objective, every=1),), tracks=()))
        before = fakes.snapshot(agent)
        engine.step(fakes.phase_batch(phase), 0)
        moved = fakes.changed(before, fakes.snapshot(agent))
        for name in ("anchors", "decoder"):
            here = {tensor for tensor in moved if belongs(tensor, f"encoder.{name}")}
            assert bool(here) == (objective.name == name)
            assert objective.name != name or here == set(moved)


@pytest.mark.parametrize(("ids", "good"), [((0, 11), True), ((0, 12), False)])
def test_a_task_without_a_class_is_refused_on_entering_the_phase(ids: tuple[int, ...], good: bool) -> None:
    agent = fakes.agent(OURS, DUAL, BC)
    prepare: Any = fakes.rl_phase(agent).prepare
    arguments = SimpleNamespace(tasks=torch.tensor(ids)), np.random.default_rng(0)
    if good:
        assert prepare(*arguments) == {}
        return
    with pytest.raises(
        CompositionError, match=r"^encoders\.task_posterior\.classes: expected more than 12, .* got 12; bind 13"
    ):
        prepare(*arguments)
