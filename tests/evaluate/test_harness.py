"""The meta-test harness on a fake family whose episodes may end early."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import fakes
import numpy as np
import pytest
import torch
from fake_worlds import HORIZON, Collecting, FallingFamily, Pointing, Telling, meta_test

from selectrl.collectors.configs import NonPriorConfig, OnlineConfig, ProximalConfig
from selectrl.envs.configs import PointRobotConfig
from selectrl.errors import InputError, RunError
from selectrl.evaluate.config import TestConfig
from selectrl.evaluate.harness import MetaTest
from selectrl.evaluate.noise import CommonNoise
from selectrl.registry import FAMILIES
from selectrl.structs import Rows

# --- budget and shapes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("budget", "nearest"), [(7, 5), (3, 0), (14, 10)])
def test_a_budget_that_is_no_multiple_of_the_horizon_is_refused(budget: int, nearest: int) -> None:
    agent: Any = SimpleNamespace(encoder=Telling(), policy=Pointing())
    config = TestConfig(budget=budget, repeats=1)
    with pytest.raises(InputError, match=rf"test\.budget: .*multiple of the horizon 5, got {budget}; {nearest} is"):
        MetaTest(agent.encoder, agent.policy, FallingFamily(), Collecting(), config, tasks=[0])


@pytest.mark.parametrize("blocks", [0, 1, 4])
def test_one_scored_episode_before_the_first_block_and_after_each(blocks: int) -> None:
    result, encoder = meta_test(Collecting(), blocks=blocks)
    assert result.context_steps == tuple(HORIZON * block for block in range(blocks + 1))
    assert result.returns.shape == (3, 2, blocks + 1)
    assert result.scored.shape == (3, blocks + 1, HORIZON + 1, 3)
    assert result.tasks == (0, 1, 2)
    if blocks:
        assert result.explored.shape == (3, blocks, HORIZON + 1, 3)
    assert [len(state.seen) for state in encoder.reads] == [HORIZON * block for block in range(blocks + 1)]


def test_scored_episodes_act_on_the_mode_under_the_mean_belief_and_their_return_is_raw() -> None:
    result, _ = meta_test(Collecting(size=0.5), blocks=2)
    seeds = CommonNoise(0, [(task, repeat) for task in (0, 1, 2) for repeat in (0, 1)]).seeds("score", 0)
    start = np.array([np.random.default_rng(seed).uniform(1, 2) for seed in seeds]).reshape(3, 2)
    for point, seen in enumerate((0, HORIZON, 2 * HORIZON)):
        np.testing.assert_allclose(result.returns[:, :, point], HORIZON * (start + 0.01 * seen), rtol=1e-6)
    np.testing.assert_allclose(
        result.scored[:, 2, :, 2], np.arange(6) * 0.02 * 2 * HORIZON * np.ones((3, 1)), rtol=1e-5
    )


def test_a_return_that_is_not_finite_stops_the_test() -> None:
    family = FallingFamily(reward=lambda value: np.where(np.arange(len(value)) == 5, np.nan, value))
    with pytest.raises(RunError, match="test task 2, repeat 1, scored episode 0 is nan, expected a finite"):
        meta_test(Collecting(), family=family)


# --- what enters the context ------------------------------------------------------------------------------------------


def test_scored_episodes_never_enter_the_context() -> None:
    family = FallingFamily()
    _, encoder = meta_test(Collecting(size=0.5), family=family, blocks=3)
    steps = [entry for entry in family.log if entry[0] == "step"]
    parts = [steps[i : i + HORIZON] for i in range(0, len(steps), HORIZON)]  # score, collect, score, collect, …
    assert len(parts) == 7
    collected = np.stack([actions for part in parts[1::2] for _, _, actions in part], 1)
    np.testing.assert_allclose(encoder.reads[-1].field("action"), collected, rtol=1e-6)
    for _, _, actions in (entry for part in parts[0::2] for entry in part):
        assert not np.isin(actions.astype(np.float32), encoder.reads[-1].field("action")).any()


@pytest.mark.parametrize("size", [0.5, 4.0])
def test_executed_actions_enter_the_context(size: float) -> None:
    family = FallingFamily()
    _, encoder = meta_test(Collecting(size=size), family=family, blocks=2)
    action = encoder.reads[-1].field("action")
    assert np.abs(action).max() <= 1
    assert (np.abs(action) == 1).any() == (size > 1 or np.abs(action).max() == 1)
    worlds = [(task, repeat) for task in (0, 1, 2) for repeat in (0, 1)]
    asked = size * CommonNoise(0, worlds).normal("explore", 2 * HORIZON, 2).numpy()
    np.testing.assert_allclose(action, np.clip(asked, -1, 1))
    obs, following = encoder.reads[-1].field("obs"), encoder.reads[-1].field("next_obs")
    np.testing.assert_allclose(following[:, :, 2] - obs[:, :, 2], action.sum(-1), atol=1e-5)
    np.testing.assert_allclose(encoder.reads[-1].field("reward"), obs[:, :, 1] + action[:, :, 0], atol=1e-5)


@pytest.mark.parametrize("sigma", [0.2, 3.0])
def test_proximal_context_is_the_mode_plus_clipped_noise_in_the_box(sigma: float) -> None:
    _, encoder = meta_test(ProximalConfig(sigma=sigma), blocks=4)
    worlds = [(task, repeat) for task in (0, 1, 2) for repeat in (0, 1)]
    noise = sigma * CommonNoise(0, worlds).normal("explore", 4 * HORIZON, 2).numpy()
    belief = np.repeat(np.arange(4) * HORIZON, HORIZON)[None, :, None]  # read after each block
    expected = np.clip(0.01 * belief + np.clip(noise, -2.5 * sigma, 2.5 * sigma), -1, 1)
    np.testing.assert_allclose(encoder.reads[-1].field("action"), expected, atol=1e-6)


@pytest.mark.parametrize("blocks", [2, 3, 4])
def test_non_prior_context_is_uniform_for_exactly_half_of_the_budget(blocks: int) -> None:
    _, encoder = meta_test(NonPriorConfig(), blocks=blocks)
    worlds = [(task, repeat) for task in (0, 1, 2) for repeat in (0, 1)]
    uniform = 2 * CommonNoise(0, worlds).uniform("explore_uniform", blocks * HORIZON, 2).numpy() - 1
    random = (np.abs(encoder.reads[-1].field("action") - uniform) < 1e-6).all(-1)  # (world, time)
    half = -(-blocks * HORIZON // 2)  # progress < .5
    np.testing.assert_array_equal(random, np.arange(blocks * HORIZON)[None] < half + np.zeros((6, 1)))


def test_progress_is_the_fraction_of_the_budget_spent() -> None:
    collector = Collecting()
    meta_test(collector, blocks=4)
    assert [progress for _, progress in collector.acts] == [step / 20 for step in range(20)]
    assert [block_end for _, block_end in collector.asked if block_end] == [True] * 4


def test_the_latent_acts_in_collection_alone_and_is_redrawn_for_each_block() -> None:
    collector = Collecting()
    result, _ = meta_test(collector, blocks=3)
    starts = [normal for _, normal in collector.latents[::2]]  # at the start of a block, then after its update
    assert len(collector.latents) == 6
    assert not torch.equal(starts[0], starts[1])
    for block in range(3):
        assert all(torch.equal(z, starts[block]) for z, _ in collector.acts[block * HORIZON : (block + 1) * HORIZON])
        seen = collector.latents[2 * block][0].z
        assert (seen == HORIZON * block).all()
    other, _ = meta_test(OnlineConfig(), blocks=3)
    np.testing.assert_allclose(result.returns, other.returns)  # the mean belief is what is scored


def test_the_filtered_belief_equals_the_encoding_of_the_collected_rows() -> None:
    agent, _, _ = fakes.method("csro")
    fakes.scramble(agent)
    telling = Telling()
    telling.latent_dim = agent.encoder.latent_dim
    state = agent.encoder.init(4)
    meta_test(ProximalConfig(), family=FAMILIES.build(PointRobotConfig()), encoder=telling, tasks=(2, 6))
    for rows, live in telling.reads[-1].seen:
        state = agent.encoder.step(state, rows, live)
    context = Rows(*(torch.stack([getattr(r, f) for r, _ in telling.reads[-1].seen], 1) for f in Rows._fields))
    with torch.no_grad():
        together = agent.encoder.embed(context)[0].mean(1)
    torch.testing.assert_close(agent.encoder.read(state).z, together, rtol=1e-4, atol=1e-5)


# --- episodes that end early ------------------------------------------------------------------------------------------

LIVES = {0: 2, 1: 5, 2: 99, 3: 1}


def test_an_episode_that_ends_early_restarts_inside_its_block_and_gets_no_extra_context() -> None:
    _, encoder = meta_test(Collecting(size=0.5), family=FallingFamily(LIVES), tasks=(0, 1, 2, 3), repeats=1, blocks=2)
    state = encoder.reads[-1]
    assert all(live.all() for _, live in state.seen)
    assert state.field("obs").shape == (4, 2 * HORIZON, 3)
    elapsed = state.field("obs")[:, :, 0]
    np.testing.assert_array_equal(elapsed[0], 2 * [0, 1, 0, 1, 0])
    np.testing.assert_array_equal(elapsed[1], 2 * [0, 1, 2, 3, 4])
    np.testing.assert_array_equal(elapsed[2], 2 * [0, 1, 2, 3, 4])
    np.testing.assert_array_equal(elapsed[3], 2 * [0, 0, 0, 0, 0])
    np.testing.assert_array_equal(
        state.field("next_obs")[:, :, 0], elapsed + 1
    )  # where it ended, not where it restarts
    terminal = state.field("terminal")
    np.testing.assert_array_equal(terminal[0], 2 * [0, 1, 0, 1, 0])
    np.testing.assert_array_equal(terminal[1], 2 * [0, 0, 0, 0, 1])
    np.testing.assert_array_equal(terminal[2], 2 * [0, 0, 0, 0, 0])  # a time-out is no termination
    np.testing.assert_array_equal(terminal[3], 2 * [1, 1, 1, 1, 1])
    starts = state.field("obs")[3, :, 1]
    assert len(set(starts.tolist())) == 2 * HORIZON  # each restart is a new start


def test_a_restart_leaves_the_other_worlds_alone() -> None:
    runs = [
        meta_test(Collecting(size=0.5), family=FallingFamily(lives), tasks=(0, 2), repeats=1)[1].reads[-1]
        for lives in ({}, {0: 2})
    ]
    for field in ("obs", "action", "reward", "next_obs", "terminal"):
        np.testing.assert_array_equal(runs[0].field(field)[1], runs[1].field(field)[1])


def test_a_scored_episode_counts_until_its_end_only() -> None:
    result, encoder = meta_test(OnlineConfig(), family=FallingFamily(LIVES), tasks=(0, 1, 2, 3), repeats=2, blocks=2)
    seeds = CommonNoise(0, [(task, repeat) for task in range(4) for repeat in (0, 1)]).seeds("score", 0)
    start = np.array([np.random.default_rng(seed).uniform(1, 2) for seed in seeds]).reshape(4, 2)
    steps = np.array([2, 5, 5, 1])[:, None]
    for point, seen in enumerate((0, HORIZON, 2 * HORIZON)):
        np.testing.assert_allclose(result.returns[:, :, point], steps * (start + 0.01 * seen), rtol=1e-5)
    for world, last in enumerate((2, 5, 5, 1)):
        path = result.scored[world, :, :, 0]
        np.testing.assert_array_equal(path[:, : last + 1], np.arange(last + 1) * np.ones((3, 1)))
        assert np.isnan(path[:, last + 1 :]).all()
    assert [len(state.seen) for state in encoder.reads] == [0, 5, 10]


def test_a_world_that_has_ended_cannot_spoil_its_score() -> None:
    """Rewards after the end, whatever they are, belong to no score."""
    family = FallingFamily({0: 2})
    calls = []

    def reward(value: Any) -> Any:
        calls.append(1)
        return np.where((np.arange(len(value)) == 0) & (len(calls) > 2), np.inf, 1.0)

    family.reward = reward
    result, _ = meta_test(OnlineConfig(), family=family, tasks=(0, 1), repeats=1, blocks=0)
    np.testing.assert_array_equal(result.returns[:, 0, 0], [2.0, 5.0])


# --- a belief that is read every step ---------------------------------------------------------------------------------


def test_a_per_step_belief_steps_a_copy_while_it_is_scored() -> None:
    collector = Collecting(every_step=True, size=0.5)
    result, encoder = meta_test(collector, blocks=2, repeats=1, tasks=(0, 1))
    lengths = [len(state.seen) for state in encoder.reads]
    assert lengths == [0, *range(1, 6), *range(1, 6), *range(6, 11), *range(6, 11), *range(11, 16)]
    kept = encoder.reads[-HORIZON - 1]  # the last one before the last score
    noise = 0.5 * CommonNoise(0, [(0, 0), (1, 0)]).normal("explore", 2 * HORIZON, 2).numpy()
    np.testing.assert_allclose(kept.field("action"), np.clip(noise, -1, 1))
    start = result.scored[:, 0, 0, 1]
    for point, seen in enumerate((0, 5, 10)):  # the score itself goes on filtering: 0 + 1 + 2 + 3 + 4 more
        np.testing.assert_allclose(result.returns[:, 0, point], 5 * start + 0.01 * (5 * seen + 10), rtol=1e-5)


def test_a_per_step_belief_is_not_fed_after_the_end_of_a_scored_episode() -> None:
    _, encoder = meta_test(Collecting(every_step=True), family=FallingFamily({0: 2}), tasks=(0, 1), repeats=1, blocks=0)
    live = np.stack([live.numpy() for _, live in encoder.reads[-1].seen], 1)
    np.testing.assert_array_equal(live, [[True, True, False, False, False], [True] * 5])


def test_a_belief_that_is_read_now_and_then_takes_in_every_step_all_the_same() -> None:
    class EverySecond(Collecting):
        def updates(self, progress: float, block_end: bool) -> bool:
            self.asked.append((progress, block_end))
            return block_end or len(self.asked) % HORIZON in (2, 4)

    _, encoder = meta_test(EverySecond(), blocks=1, repeats=1, tasks=(0,))
    start, scored, collected, scored_again = [0], [2, 4], [2, 4, 5], [7, 9]
    assert [len(state.seen) for state in encoder.reads] == start + scored + collected + scored_again


def test_scoring_spends_no_budget() -> None:
    collector = Collecting(every_step=True)
    meta_test(collector, blocks=2)
    scores = [collector.asked[10 * point : 10 * point + 5] for point in range(3)]
    for point, asked in enumerate(scores):
        assert [progress for progress, _ in asked] == [point / 2] * 5


# --- the prior --------------------------------------------------------------------------------------------------------


def test_a_given_prior_is_the_belief_until_the_first_block_ends() -> None:
    prior = torch.full((fakes.LATENT,), 50.0)
    plain, _ = meta_test(OnlineConfig(), blocks=2)
    result, encoder = meta_test(OnlineConfig(), blocks=2, prior=prior)
    np.testing.assert_allclose(result.returns[:, :, 0] - plain.returns[:, :, 0], HORIZON * 0.5, rtol=1e-5)
    np.testing.assert_allclose(result.returns[:, :, 1:], plain.returns[:, :, 1:])
    action = encoder.reads[-1].field("action")
    np.testing.assert_allclose(action[:, :HORIZON], 0.5)
    np.testing.assert_allclose(action[:, HORIZON:], 0.05, rtol=1e-5)


# --- what a collector keeps -------------------------------------------------------------------------------------------


class Choosy(Collecting):
    """Keeps a block in the first world always, in the others only the second one, unless it keeps all."""

    def __init__(self, keeps_all: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.keeps_all = keeps_all
        self.returns: list[Tensor] = []

    def keeps(self, returns: Tensor) -> Tensor:
        self.returns.append(returns.clone())
        if self.keeps_all:
            return super().keeps(returns)
        first = torch.arange(len(returns)) == 0
        return first | (returns.shape[1] == 2)


@pytest.mark.parametrize("every_step", [False, True])
def test_a_block_that_is_not_kept_leaves_no_trace_in_the_belief(every_step: bool) -> None:
    agent, _, _ = fakes.method("csro")
    fakes.scramble(agent)
    family = FAMILIES.build(PointRobotConfig())
    collector = Choosy(size=0.5, every_step=every_step)
    encoder = Remembering(agent.encoder)
    meta_test(collector, family=family, encoder=encoder, tasks=(2, 6), repeats=1, blocks=3)
    seen = encoder.last.weight[:, 0].tolist()
    assert seen == ([80.0, 40.0] if every_step else [60.0, 20.0])  # a scored episode's last read adds its own 20
    assert [tuple(r.shape) for r in collector.returns] == [(2, 1), (2, 2), (2, 3)]
    torch.testing.assert_close(collector.returns[2][:, :2], collector.returns[1])


class Remembering:
    """A real encoder that remembers the last state that was read."""

    def __init__(self, encoder: Any) -> None:
        self.encoder, self.latent_dim = encoder, encoder.latent_dim
        self.init, self.step = encoder.init, encoder.step

    def read(self, state: Any) -> Any:
        self.last = state
        return self.encoder.read(state)


def test_returns_that_a_collector_is_told_are_those_of_its_blocks() -> None:
    family, collector = FallingFamily(LIVES), Choosy(keeps_all=True, size=0.5)
    meta_test(collector, family=family, tasks=(0, 1, 2, 3), repeats=1, blocks=2)
    rewards = np.zeros(4)
    steps = [entry for entry in family.log if entry[0] == "step"][HORIZON : 2 * HORIZON]  # after the first score
    for _, observed, actions in steps:
        rewards += observed[:, 1] + actions[:, 0]
    np.testing.assert_allclose(collector.returns[0][:, 0], rewards, rtol=1e-5)


def test_held_noise_is_one_draw_a_block_and_the_spread_is_the_beliefs() -> None:
    class Noting(Collecting):
        def act(self, policy: Any, obs: Tensor, z: Tensor, moment: Any) -> Tensor:
            moments.append(moment)
            return super().act(policy, obs, z, moment)

    moments: list[Any] = []
    meta_test(Noting(), tasks=(0, 1), repeats=2, blocks=2)
    first, second = moments[:HORIZON], moments[HORIZON:]
    assert all(torch.equal(m.held, first[0].held) for m in first)
    assert not torch.equal(first[0].held, second[0].held)
    assert len({tuple(row.tolist()) for row in first[0].held}) == 4
    assert not torch.equal(first[0].normal, first[0].held)
    assert all((m.spread == 0.1).all() for m in moments)
