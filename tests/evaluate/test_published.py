"""Published schedules played by many worlds at once, each at its own pace."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import fakes
import numpy as np
import pytest
import torch
from fake_beliefs import make_store
from fake_worlds import HORIZON, FallingFamily, Pointing, Telling
from torch import Tensor

from selectrl.collectors.configs import BeliefConfig, NonPriorConfig, OfflineConfig, OnlineConfig, PosteriorConfig
from selectrl.errors import InputError, RunError
from selectrl.evaluate.config import TestConfig
from selectrl.evaluate.harness import TestResult
from selectrl.evaluate.published import PublishedTest
from selectrl.evaluate.schedules import published
from selectrl.registry import COLLECTORS, registered_name
from selectrl.structs import Belief, Rows

FALLS = {0: 99, 1: 2}  # task 1 falls after two steps


class Noting(Pointing):
    """A policy whose samples can be told from modes and from random actions."""

    def sample(self, obs: Tensor, z: Tensor, normal: Tensor) -> Any:
        return SimpleNamespace(action=torch.full_like(normal, 0.875))


def play(
    collector: Any, *, tasks: tuple[int, ...] = (0, 1), repeats: int = 2, budget: int = 3 * HORIZON, **options: Any
) -> tuple[TestResult, Telling]:
    encoder: Any = options.pop("encoder", None) or Telling()
    family, built = options.pop("family", None) or FallingFamily(FALLS), COLLECTORS.build(collector)
    agent: Any = SimpleNamespace(encoder=encoder, policy=options.pop("policy", Noting()))
    config = TestConfig(protocol="paper", budget=budget, repeats=repeats, gate=options.pop("gate", 2))
    protocol = published(built.offline or registered_name(collector))
    test = PublishedTest(agent.encoder, agent.policy, family, built, config, tasks=tasks, protocol=protocol, **options)
    return test.run(), encoder


def test_worlds_go_at_their_own_pace() -> None:
    """Task 0: 3 rounds of 5 and 5. Task 1: 3 episodes of 2 fill a block of 5; 8 rounds until 16 scored steps."""
    result, encoder = play(NonPriorConfig())
    assert result.about["scored_episodes"] == [[3, 3], [8, 8]]
    assert result.about["context_of_last"] == [[10, 10], [42, 42]]  # the last block is collected and never read
    assert result.env_steps == {"collection": round((15 + 48) / 2), "scored": round((15 + 16) / 2)}
    seen = sum(live.numpy().astype(int) for _, live in encoder.reads[-1].seen)
    assert seen.tolist() == [15, 15, 48, 48]  # context counts real steps alone, scored ones never
    read = result.latents[:, 0, :, 0]  # gates at 10 scored steps: after round 2, and after round 5
    assert read[0].tolist() == [0, 0, 10, 10, 10, 10, 10, 10]  # an ended schedule keeps its last episode
    assert read[1].tolist() == [0, 0, 0, 0, 0, 30, 36, 42]
    assert (np.diff(result.context_steps) > 0).all()
    assert (result.returns[0, :, 3:] == result.returns[0, :, 2:3]).all()


@pytest.mark.parametrize(
    ("collector", "horizon", "budget", "gate", "steps"),
    [
        (NonPriorConfig(), 200, 600, 2, 400),
        (NonPriorConfig(), 200, 800, 2, 600),
        (NonPriorConfig(), 20, 400, 1, 380),
        (OnlineConfig(), 200, 600, 2, 400),
        (OnlineConfig(), 200, 800, 2, 600),
        (OnlineConfig(), 20, 400, 1, 380),
        (PosteriorConfig(), 20, 400, 1, 380),
        (BeliefConfig(), 20, 400, 1, 20),  # two episodes, whatever the budget
    ],
)
def test_the_record_tells_the_context_that_the_last_belief_has_read(
    collector: Any, horizon: int, budget: int, gate: int, steps: int
) -> None:
    """The table of the published schedules, where nothing ends early."""

    class Long(FallingFamily):
        spec = FallingFamily.spec._replace(horizon=horizon)

    result, _ = play(collector, tasks=(0,), repeats=1, budget=budget, gate=gate, family=Long({0: horizon}))
    assert result.about["context_of_last"] == [[steps]]
    assert result.latents[0, 0, -1, 0] == steps  # Telling's belief counts what it has read


def test_random_actions_stop_at_half_of_the_budget_and_start_again_with_a_short_episode() -> None:
    """S/2 = 7.5: task 0 is at 0-4, 5-7 | 8, 9, 10-14. Task 1 starts its episodes at its scored steps, 0, 2, 4, 6, 8."""
    _, encoder = play(NonPriorConfig(), repeats=1)
    sampled: list[list[bool]] = [[], []]
    for rows, live in encoder.reads[-1].seen:
        for world in (0, 1):
            if live[world]:
                sampled[world].append(bool((rows.action[world] == 0.875).all()))
    assert sampled[0] == [False] * 8 + [True] * 7
    assert sampled[1] == [False] * 24 + [True] * 24


def test_a_return_is_that_of_its_own_steps_under_the_belief_of_its_time() -> None:
    result, _ = play(OnlineConfig(), tasks=(0,), repeats=2, gate=1)
    starts = result.scored[0, :, 0, 1]
    assert len(set(starts.tolist())) == 3  # each published episode starts anew
    z = np.array([0, HORIZON, 2 * HORIZON])  # the belief counts what it has seen
    np.testing.assert_allclose(result.returns[0, 0], HORIZON * (starts + 0.01 * z), rtol=1e-5)
    assert result.context_steps == (0, 5, 10)
    np.testing.assert_array_equal(result.explored, result.scored)
    assert result.about["return_all_episodes"] == pytest.approx(result.returns.mean())


def test_posterior_sampling_scores_a_fresh_draw_each_episode() -> None:
    policy = Acts()
    play(PosteriorConfig(), tasks=(0,), repeats=1, policy=policy)
    draws = [z[0].tolist() for z in policy.seen[::2]]  # the mode is asked twice a step
    assert all(len({tuple(z) for z in draws[i : i + HORIZON]}) == 1 for i in (0, 5, 10))
    assert len({tuple(z) for z in draws}) == 3
    assert np.mean(draws[10]) == pytest.approx(10, abs=0.5)  # read after two episodes, spread 0.1


class Acts(Pointing):
    """A policy that remembers the z that it acted under."""

    def __init__(self) -> None:
        self.seen: list[Tensor] = []

    def mode(self, obs: Tensor, z: Tensor) -> Tensor:
        self.seen.append(z.clone())
        return super().mode(obs, z)


def test_a_belief_filter_runs_through_both_of_its_episodes() -> None:
    policy = Acts()
    result, _ = play(BeliefConfig(), tasks=(0,), repeats=1, policy=policy)
    assert result.returns.shape == (1, 1, 2)
    assert [z[0, 0].item() for z in policy.seen[::2]] == list(range(10))


class Counting(Telling):
    """Counts rows in a state of tensors, which a world can be cut out of."""

    def init(self, worlds: int) -> Any:
        return (torch.zeros(worlds),)

    def step(self, state: Any, rows: Rows, live: Tensor) -> Any:
        return (state[0] + live,)

    def read(self, state: Any) -> Any:
        z = state[0][:, None].expand(-1, self.latent_dim)
        return Belief(z, torch.ones_like(z))


@pytest.mark.parametrize(("draw", "reads"), [("rows", [5.0, 10.0, 15.0]), ("episodes", [5.0])])
def test_stored_context(draw: str, reads: list[float]) -> None:
    store = make_store()
    store.length[store.length > 0] = 5
    family = FallingFamily()
    result, _ = play(OfflineConfig(draw=draw), tasks=(7, 1), encoder=Counting(), stored=store, family=family)
    assert result.latents[:, :, :, 0].tolist() == [[reads, reads], [reads, reads]]
    assert result.about["context_of_last"] == [[reads[-1]] * 2] * 2
    assert result.explored.size == 0
    with pytest.raises(InputError, match="stored data"):
        play(OfflineConfig(draw=draw))


def test_a_stored_episode_that_ended_early_counts_its_own_steps() -> None:
    store = make_store()
    store.length[store.length > 0] = 3
    result, _ = play(OfflineConfig(draw="episodes"), tasks=(7,), encoder=Counting(), stored=store)
    assert result.about["context_of_last"] == [[3, 3]]
    assert (result.latents == 3).all()


def test_an_empty_budget_and_a_return_that_is_not_finite() -> None:
    with pytest.raises(InputError, match=r"test\.budget: expected at least 1 step"):
        play(OnlineConfig(), budget=0)
    family = FallingFamily(reward=lambda value: np.where(np.arange(len(value)) == 3, np.inf, value))
    with pytest.raises(RunError, match="test task 1, repeat 1, scored episode 0 is inf"):
        play(OnlineConfig(), family=family)


def test_it_repeats_itself_and_no_world_depends_on_the_others() -> None:
    worlds: Any = (((0, 1), 2), ((0, 1), 2), ((1,), 1))
    both, again, alone = (play(NonPriorConfig(), tasks=tasks, repeats=repeats)[0] for tasks, repeats in worlds)
    np.testing.assert_array_equal(both.returns, again.returns)
    np.testing.assert_allclose(alone.returns[0, 0], both.returns[1, 0], rtol=1e-6)
    assert both.latents.shape[-1] == fakes.LATENT
