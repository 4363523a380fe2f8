"""What the agent and the engine refuse, each in one clear sentence, before anything is trained."""

from __future__ import annotations

from typing import Any

import fakes
import pytest
import torch

from selectrl.errors import CompositionError
from selectrl.protocols import Objective, Optim, Phase, Track
from selectrl.structs import Batch, Losses
from selectrl.trainer.agent import AgentModule
from selectrl.trainer.engine import Engine


def one_sentence(error: pytest.ExceptionInfo[CompositionError], *words: str) -> None:
    message = str(error.value)
    assert "\n" not in message
    assert 20 < len(message) < 250
    for word in words:
        assert word in message, message


def nothing(agent: Any, batch: Batch) -> Losses:
    return Losses(torch.zeros(()), {})


def objective(name: str, *prefixes: str, **optim: Any) -> Objective:
    return Objective(name=name, loss=nothing, moves={prefix: Optim(**optim) for prefix in prefixes})


def refused(*objectives: Objective, tracks: tuple[Track, ...] = (), buffers: Any = None) -> Any:
    engine = Engine([fakes.method("csro")[0]])
    with pytest.raises(CompositionError) as error:
        engine.enter(Phase(name="rl", steps=1, objectives=objectives, tracks=tracks), buffers)
    return error


def test_a_prefix_that_matches_nothing_is_refused() -> None:
    one_sentence(refused(objective("first", "critic.nothing")), "first", "critic.nothing")
    one_sentence(refused(objective("first", "critic.q")), "first", "critic.q")  # no match inside a word


@pytest.mark.parametrize(("wide", "narrow"), [("critic", "critic.q_net"), ("encoder", "encoder.net")])
def test_overlapping_prefixes_are_refused_in_either_order(wide: str, narrow: str) -> None:
    one_sentence(refused(objective("first", wide), objective("second", narrow)), wide, narrow)
    one_sentence(refused(objective("first", narrow), objective("second", wide)), wide, narrow)
    one_sentence(refused(objective("first", wide, narrow)), wide, narrow)


def test_two_objectives_that_move_one_part_of_the_encoder_are_refused() -> None:
    error = refused(objective("first", "encoder.net"), objective("second", "critic.q_net", "encoder.net"))
    one_sentence(error, "first", "second", "encoder.net")


def test_one_prefix_under_two_settings_is_refused() -> None:
    one_sentence(refused(objective("first", "policy", lr=0.1), objective("second", "policy", lr=0.2)), "policy", "0.2")


def test_a_buffer_that_does_not_exist_is_refused() -> None:
    one_sentence(refused(buffers={"encoder.cache": torch.zeros(1)}), "rl", "encoder.cache")
    one_sentence(refused(buffers={"encoder.net.weights.0": torch.zeros(1)}), "rl", "encoder.net.weights.0")


def test_a_target_of_a_module_that_does_not_exist_is_refused() -> None:
    parts = fakes.method("csro")[0]
    with pytest.raises(CompositionError) as error:
        AgentModule(parts.encoder, parts.critic, parts.actor, parts.policy, (Track(source="critic.nothing", tau=0.1),))
    one_sentence(error, "critic.nothing")


def test_a_target_that_nobody_declared_is_refused() -> None:
    agent, _, _ = fakes.method("csro")
    with pytest.raises(CompositionError) as error:
        agent.target(agent.policy)
    one_sentence(error, "TanhGaussianPolicy", "Track")


def test_a_phase_that_tracks_what_has_no_copy_is_refused() -> None:
    one_sentence(refused(tracks=(Track(source="encoder.net", tau=0.1),)), "encoder.net")


def test_two_objectives_that_move_one_prefix_late_are_refused() -> None:
    """The second would overwrite the first one's gradient."""
    one_sentence(refused(objective("first", "policy", late=True), objective("second", "policy", late=True)), "policy")


def test_a_checkpoint_of_another_composition_is_refused() -> None:
    engine, other = Engine([fakes.method("csro")[0]]), Engine([fakes.method("focal")[0]])
    with pytest.raises(CompositionError) as error:
        engine.load([other.state()])
    one_sentence(error, "encoder.club")


@pytest.mark.parametrize("odd", ["wider", "broadcastable"])
def test_a_checkpoint_of_other_sizes_is_refused(odd: str) -> None:
    engine = Engine([fakes.method("csro")[0]])
    state = {n: value.clone() for n, value in engine.state().items()}
    name = "agent/encoder.net.biases.0"  # (1, hidden)
    state[name] = torch.zeros(1, 100) if odd == "wider" else torch.zeros(1, 1)
    with pytest.raises(CompositionError) as error:
        engine.load([state])
    one_sentence(error, "encoder.net.biases.0")
