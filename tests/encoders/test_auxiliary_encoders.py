"""Encoders that add a decoder or a classifier to FOCAL's loss."""

from __future__ import annotations

import math
from itertools import product
from types import SimpleNamespace
from typing import Any

import attrs
import fakes
import numpy as np
import pytest
import torch

from selectrl.encoders.sets.configs import ClassifierConfig, ReconstructionConfig
from selectrl.errors import CompositionError
from selectrl.registry import ENCODERS
from selectrl.structs import Batch
from selectrl.trainer.agent import belongs
from selectrl.trainer.engine import Engine

VARYING = fakes.SPEC._replace(dynamics_vary=True)
DECODER, CLASSIFIER = fakes.TINY["encoders.reconstruction"], fakes.TINY["encoders.classifier"]
BOTH = pytest.mark.parametrize("config", [DECODER, CLASSIFIER], ids=["reconstruction", "classifier"])
CRITICS = ("critics.twin_q_v", "critics.dual_target")
ACTORS = ("actors.sac", "actors.brac", "actors.weighted_bc")


def encoded(encoder: Any, *, spec: Any = fakes.SPEC, **options: Any) -> Batch:
    """A batch for the encoder's own objective."""
    (objective,) = encoder.objectives()
    batch = fakes.batch([encoder.context, *objective.draws], encoder.noise, spec=spec, **options)
    return batch._replace(latent=encoder.encode(batch))


# --- goldens ----------------------------------------------------------------------------------------------------------


def test_reconstruction_golden() -> None:
    # rewards of 1 against 0.5: 0.25; changes of state (1, 1, 1) against (1, 1, 4): 9 / 3 = 3; 0.4 · 3.25 = 1.3.
    # z is the same for both tasks: 1 / (0 + 0.1) = 10 over 1.001 pairs, weight 2: 19.980020. In all 21.280020.
    config = attrs.evolve(DECODER, metric_weight=2.0)
    encoder = ENCODERS.build(config, VARYING)
    fakes.constant(encoder.net, *[0.3] * fakes.LATENT)
    fakes.constant(encoder.decoder, 0.5, 1.0, 1.0, 4.0)
    batch = encoded(encoder, spec=VARYING, tasks=(3, 8))
    rows = batch.draws["decode"]
    rows = rows._replace(reward=torch.ones_like(rows.reward), next_obs=rows.obs + 1)
    losses = encoder.loss(None, batch._replace(draws=batch.draws | {"decode": rows}))
    assert losses.terms["reward"].item() == pytest.approx(0.25)
    assert losses.terms["next_obs"].item() == pytest.approx(3.0)
    assert losses.total.item() == pytest.approx(21.280020, rel=1e-6)


def test_classifier_golden() -> None:
    # odds 1 : 2 : 5 whatever z is: tasks 1 and 2 have the probabilities 2/8 and 5/8. (ln 4 + ln 1.6) / 2 = .928149,
    # weight 0.5: .464074; the metric is off. The likeliest class is 2, which is right for one of both.
    encoder = ENCODERS.build(ClassifierConfig(latent_dim=2, hidden=(3,), classes=3, classifier_weight=0.5), fakes.SPEC)
    with torch.no_grad():
        encoder.head.weight.zero_()
        encoder.head.bias.copy_(torch.tensor([1.0, 2.0, 5.0]).log())
    losses = encoder.loss(None, encoded(encoder, tasks=(1, 2)))
    assert losses.terms["cross_entropy"].item() == pytest.approx((math.log(4) + math.log(1.6)) / 2, rel=1e-6)
    assert losses.total.item() == pytest.approx(0.464074, rel=1e-5)
    assert losses.terms["accuracy"].item() == 0.5


# --- what they read and move ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("spec", "bound", "width"), [(fakes.SPEC, None, 1), (VARYING, None, 4), (VARYING, False, 1)])
def test_the_decoder_gives_changes_of_state_where_the_context_holds_them(spec: Any, bound: Any, width: int) -> None:
    encoder = fakes.scramble(ENCODERS.build(attrs.evolve(DECODER, next_obs=bound), spec))
    assert encoder.decoder.weights[-1].shape[-1] == width
    terms = encoder.loss(None, encoded(encoder, spec=spec)).terms
    assert ("next_obs" in terms) == (width == 4)
    assert ("next_obs" in encoder.decoded.fields) == (width == 4)


def test_the_decoder_is_asked_about_other_rows_than_z_was_made_of() -> None:
    encoder = fakes.scramble(ENCODERS.build(DECODER, fakes.SPEC))
    batch = encoded(encoder)
    assert not torch.equal(batch.draws["decode"].obs, batch.draws["context"].obs)
    first = encoder.loss(None, batch).terms["reward"]
    for name, matters in (("context", False), ("decode", True)):  # z is encoded already
        rows = batch.draws[name]
        other = batch._replace(draws=batch.draws | {name: rows._replace(reward=rows.reward + 1)})
        assert (encoder.loss(None, other).terms["reward"] != first) == matters


def test_a_weight_of_zero_leaves_the_auto_encoder_alone() -> None:
    encoder = fakes.scramble(ENCODERS.build(attrs.evolve(DECODER, metric_weight=0.0), fakes.SPEC))
    losses = encoder.loss(None, encoded(encoder))
    torch.testing.assert_close(losses.total, 0.4 * losses.terms["reward"])


def test_defaults() -> None:
    assert (ReconstructionConfig().metric_weight, ReconstructionConfig().reconstruction_weight) == (10.0, 1.0)
    assert (ClassifierConfig().metric_weight, ClassifierConfig().classes) == (0.0, 64)


@BOTH
def test_the_objective_moves_the_row_network_and_the_added_head_alone(config: Any) -> None:
    agent = fakes.agent(config)
    phase = fakes.rl_phase(agent)
    batch = fakes.phase_batch(phase)
    heads = {"encoder.decoder" if config is DECODER else "encoder.head"}
    assert [objective.name for objective in phase.objectives] == ["encoder", "critic", "value", "policy"]
    for objective in phase.objectives:
        engine = Engine([agent])
        engine.enter(attrs.evolve(phase, objectives=(objective,), tracks=()))
        before = fakes.snapshot(agent)
        engine.step(batch, 0)
        prefixes = {"encoder.net"} | heads if objective.name == "encoder" else set(objective.moves)
        expected = {n for n in before if any(belongs(n, prefix) for prefix in prefixes)}
        assert fakes.changed(before, fakes.snapshot(agent)) == expected


@BOTH
def test_learning_rates_come_from_the_config(config: Any) -> None:
    changes = {"lr": 0.01} | ({"decoder_lr": 0.02} if config is DECODER else {})
    (objective,) = ENCODERS.build(attrs.evolve(config, **changes), fakes.SPEC).objectives()
    assert [optim.lr for optim in objective.moves.values()] == ([0.01, 0.02] if config is DECODER else [0.01, 0.01])


# --- a family of more tasks than classes ------------------------------------------------------------------------------


@pytest.mark.parametrize(("ids", "good"), [((0, 5, 11), True), ((0, 12), False), ((40,), False)])
def test_a_task_without_a_class_is_refused_on_entering_the_phase(ids: tuple[int, ...], good: bool) -> None:
    agent = fakes.agent(CLASSIFIER)
    prepare: Any = fakes.rl_phase(agent).prepare
    arguments = SimpleNamespace(tasks=torch.tensor(ids)), np.random.default_rng(0)
    if good:
        assert prepare(*arguments) == {}
        return
    with pytest.raises(CompositionError) as error:
        prepare(*arguments)
    message = str(error.value)
    assert "\n" not in message
    for word in ("encoders.classifier.classes", f"more than {max(ids)}", "got 12"):
        assert word in message


# --- training ---------------------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize(("critic", "actor"), list(product(CRITICS, ACTORS)))
def test_a_population_equals_its_members_alone_under_any_critic_and_actor(config: Any, critic: str, actor: str) -> None:
    def member(seed: int) -> Any:
        return fakes.agent(config, fakes.TINY[critic], fakes.TINY[actor], seed=seed)

    seeds = (0, 1)
    members = [member(seed) for seed in seeds]
    population, phase = Engine(members), fakes.rl_phase(members[0])
    population.enter(phase)
    batches = [[fakes.phase_batch(phase, seed=10 * step + seed) for seed in seeds] for step in range(3)]
    together = [population.step(fakes.stacked(batch), step) for step, batch in enumerate(batches)]
    for seed in seeds:
        single = member(seed)
        alone = Engine([single])
        alone.enter(fakes.rl_phase(single))
        for step, batch in enumerate(batches):
            for term, value in alone.step(batch[seed], step).items():
                assert value.isfinite(), (term, step)
                assert together[step][term][seed].item() == pytest.approx(value.item(), rel=1e-4, abs=1e-5), term


@BOTH
def test_the_added_loss_falls_in_training(config: Any) -> None:
    agent = fakes.agent(attrs.evolve(config, metric_weight=0.0, lr=0.01))
    phase = fakes.rl_phase(agent)
    engine, batch = Engine([agent]), fakes.phase_batch(phase)
    engine.enter(phase)
    term = "encoder/reward" if config is DECODER else "encoder/cross_entropy"
    seen = [engine.step(batch, 0)[term].item() for _ in range(80)]
    assert seen[-1] < 0.5 * seen[0]
