"""The collectors: which action they execute, under which belief, and when they read it again."""

from __future__ import annotations

from typing import Any

import fakes
import numpy as np
import pytest
import torch
from fake_worlds import HORIZON, Pointing, meta_test, point_robot
from hypothesis import given
from hypothesis import strategies as st

from selectrl.collectors.configs import (
    AnnealedConfig,
    BeliefScaledConfig,
    HeldConfig,
    NonPriorConfig,
    OfflineConfig,
    OnlineConfig,
    PosteriorConfig,
    ProximalConfig,
    ReturnFilteredConfig,
)
from selectrl.errors import FieldError
from selectrl.registry import COLLECTORS, POLICIES
from selectrl.structs import Belief, Moment

WORLDS = 50
ALL = pytest.mark.parametrize("config", [entry.config for entry in COLLECTORS], ids=lambda c: c.__name__)


def setting(seed: int = 0, policy: Any = fakes.GAUSSIAN) -> tuple[Any, ...]:
    """Policy, obs, z, normal and uniform noise for some worlds."""
    rng = np.random.default_rng(seed)
    obs, z, normal = (rng.standard_normal((WORLDS, width)) for width in (3, fakes.LATENT, 2))
    arrays = obs, z, 3 * normal, rng.random((WORLDS, 2))
    return fakes.scramble(POLICIES.build(policy, fakes.SPEC, fakes.LATENT)).double(), *map(torch.from_numpy, arrays)


def moment(normal: Any, uniform: Any, progress: float) -> Moment:
    """What a collector is told when it acts; the held noise and the spread are like no other, in every world."""
    return Moment(normal, uniform - 2 * normal, uniform, normal.abs()[:, :1].expand(-1, fakes.LATENT), progress)


def still(*mode: float) -> Any:
    """A policy with this mode everywhere."""
    policy = POLICIES.build(fakes.DETERMINISTIC, fakes.SPEC, fakes.LATENT)
    fakes.constant(policy.net, *np.arctanh(mode))
    return policy


# --- proximal ---------------------------------------------------------------------------------------------------------


def test_proximal_golden() -> None:
    # σ = .2, so c = .5. π = (.1, -.9), ε = (1, -4): .1 + .2 = .3; -.8 is clipped to -.5, -1.4 is cut at -1
    policy = POLICIES.build(fakes.DETERMINISTIC, fakes.SPEC, fakes.LATENT)
    fakes.constant(policy.net, np.arctanh(0.1), np.arctanh(-0.9))
    noise = torch.tensor([[1.0, -4.0]])
    action = COLLECTORS.build(ProximalConfig(sigma=0.2)).act(
        policy, torch.ones(1, 3), torch.ones(1, 4), moment(noise, noise, 0.0)
    )
    assert action.tolist() == [pytest.approx([0.3, -1.0])]


@pytest.mark.parametrize(("config", "reach"), [({}, 0.5), ({"sigma": 0.1}, 0.25), ({"sigma": 0.1, "clip": 0.03}, 0.03)])
@pytest.mark.parametrize("kind", [fakes.GAUSSIAN, fakes.DETERMINISTIC])
@given(seed=st.integers(0, 1000), progress=st.floats(0, 0.999))
def test_proximal_noise_is_clipped_at_two_and_a_half_sigma(
    config: Any, reach: float, kind: Any, seed: int, progress: float
) -> None:
    policy, obs, z, normal, uniform = setting(seed, kind)
    collector = COLLECTORS.build(ProximalConfig(**config))
    action, mode = collector.act(policy, obs, z, moment(normal, uniform, progress)), policy.mode(obs, z)
    noise = np.clip(collector.config.sigma * normal.numpy(), -reach, reach)
    expected = np.clip(mode.detach().numpy() + noise, -1, 1)
    np.testing.assert_allclose(action.detach().numpy(), expected, rtol=1e-12, atol=1e-15)
    far = normal.abs() * collector.config.sigma > reach
    inside = (mode.abs() + reach < 1) & far
    np.testing.assert_allclose((action - mode).abs()[inside].detach().numpy(), reach, rtol=1e-9)


def test_proximal_explores_from_the_first_step_on_and_without_sigma_not_at_all() -> None:
    policy, obs, z, normal, uniform = setting()
    act = COLLECTORS.build(ProximalConfig()).act
    assert not torch.equal(act(policy, obs, z, moment(normal, uniform, 0.0)), policy.mode(obs, z))
    torch.testing.assert_close(
        act(policy, obs, z, moment(normal, uniform, 0.0)), act(policy, obs, z, moment(normal, 1 - uniform, 0.99))
    )
    still = COLLECTORS.build(ProximalConfig(sigma=0.0)).act(policy, obs, z, moment(normal, uniform, 0.0))
    torch.testing.assert_close(still, policy.mode(obs, z))


# --- non-prior --------------------------------------------------------------------------------------------------------


def test_non_prior_is_uniform_and_then_the_policys_sample() -> None:
    policy, obs, z, normal, uniform = setting()
    collector = COLLECTORS.build(NonPriorConfig())
    torch.testing.assert_close(collector.act(policy, obs, z, moment(normal, uniform, 0.499)), 2 * uniform - 1)
    sample = policy.sample(obs, z, normal).action
    torch.testing.assert_close(collector.act(policy, obs, z, moment(normal, uniform, 0.5)), sample)
    assert not torch.equal(sample, policy.mode(obs, z))


@pytest.mark.parametrize("budget", [20, 400, 600, 800])
def test_non_prior_switches_at_exactly_half_of_the_budget(budget: int) -> None:
    policy, obs, z, normal, uniform = setting()
    collector = COLLECTORS.build(NonPriorConfig())
    random = [
        torch.equal(collector.act(policy, obs, z, moment(normal, uniform, step / budget)), 2 * uniform - 1)
        for step in range(budget)
    ]
    assert random == [True] * (budget // 2) + [False] * (budget // 2)


@pytest.mark.parametrize(("fraction", "random"), [(0.0, 0), (0.25, 5), (1.0, 20)])
def test_non_prior_random_fraction(fraction: float, random: int) -> None:
    policy, obs, z, normal, uniform = setting()
    collector = COLLECTORS.build(NonPriorConfig(random_fraction=fraction))
    actions = [collector.act(policy, obs, z, moment(normal, uniform, step / 20)) for step in range(20)]
    assert sum(torch.equal(action, 2 * uniform - 1) for action in actions) == random


# --- relatives of proximal --------------------------------------------------------------------------------------------

EPSILON = torch.tensor([[1.0, -4.0]])


def one_step(config: Any, **changes: Any) -> list[float]:
    """The action of one world with mode (.1, .9) and ε = (1, -4) redrawn each step."""
    now = Moment(EPSILON, 0 * EPSILON, 0 * EPSILON, torch.ones(1, 4), 0.0)._replace(**changes)
    return COLLECTORS.build(config).act(still(0.1, 0.9), torch.ones(1, 3), torch.ones(1, 4), now)[0].tolist()


@pytest.mark.parametrize(
    ("schedule", "progress", "expected"),
    [
        # linear, half of the way from .4 to .2: σ = .3, c = .75: .1 + .3; -1.2 is clipped to -.75
        ("linear", 0.5, [0.4, 0.15]),
        # cosine, a quarter of the way: (1 - cos π/4) / 2 = .146447, σ = .4 - .2 · .146447 = .370711, c = .926777
        ("cosine", 0.25, [0.470711, -0.026777]),
        # both begin at σ = .4, c = 1
        ("linear", 0.0, [0.5, -0.1]),
        ("cosine", 0.0, [0.5, -0.1]),
    ],
)
def test_annealed_golden(schedule: str, progress: float, expected: list[float]) -> None:
    config = AnnealedConfig(sigma_start=0.4, sigma_end=0.2, schedule=schedule)
    assert one_step(config, progress=progress) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_annealed_noise_falls_all_the_way_to_its_end(schedule: str) -> None:
    collector = COLLECTORS.build(AnnealedConfig(schedule=schedule))
    sigmas = [collector.sigma(step / 400) for step in range(401)]
    assert (sigmas[0], sigmas[-1]) == (pytest.approx(0.5), pytest.approx(0.05))
    assert (np.diff(sigmas) < 0).all()
    assert collector.sigma(0.5) == pytest.approx(0.275)


def test_belief_scaled_golden() -> None:
    # k = .5: a mean spread of .5 gives σ = .25, c = .625; one of 2 would give 1, cut at .5,
    # c = 1.25; .02 would give .01, raised to .05, c = .125
    config = BeliefScaledConfig(scale=0.5, low=0.05, high=0.5)
    assert one_step(config, spread=torch.tensor([[0.2, 0.4, 0.6, 0.8]])) == pytest.approx([0.35, 0.275])
    assert one_step(config, spread=torch.full((1, 4), 2.0)) == pytest.approx([0.6, -0.35])
    assert one_step(config, spread=torch.full((1, 4), 0.02)) == pytest.approx([0.15, 0.775])
    with pytest.raises(FieldError, match=r"low: expected at most high, 0\.5, got 0\.6"):
        BeliefScaledConfig(low=0.6)


def test_held_golden() -> None:
    # σ = .2: held (-1, 9): .1 - .2; 1.8 is clipped to .5 and .9 + .5 cut at 1. The step's own noise is not read
    assert one_step(HeldConfig(sigma=0.2), held=torch.tensor([[-1.0, 9.0]])) == pytest.approx([-0.1, 1.0])
    assert one_step(HeldConfig(sigma=0.2, clip=0.3), held=torch.tensor([[1.0, -9.0]])) == pytest.approx([0.3, 0.6])


def test_held_noise_is_one_push_per_block() -> None:
    _, encoder = meta_test(HeldConfig(sigma=0.3), blocks=3)
    belief = np.repeat(np.arange(3) * HORIZON, HORIZON)[None, :, None]
    push = (encoder.reads[-1].field("action") - 0.01 * belief).reshape(6, 3, HORIZON, 2)
    np.testing.assert_allclose(push, push[:, :, :1] * np.ones((1, 1, HORIZON, 1)), atol=1e-6)
    assert len(np.unique(push[:, :, 0, 0].round(6))) == 18


# --- posterior --------------------------------------------------------------------------------------------------------


def test_posterior_golden() -> None:
    # z = 1 + .5 · (2, -4)
    belief = Belief(torch.ones(1, 2), torch.full((1, 2), 0.5))
    assert COLLECTORS.build(PosteriorConfig()).latent(belief, torch.tensor([[2.0, -4.0]])).tolist() == [[2.0, -1.0]]


def test_posterior_acts_on_the_mode_under_a_draw_of_the_block_and_scores_under_the_mean() -> None:
    policy, obs, z, normal, uniform = setting()
    now = moment(normal, uniform, 0.3)
    torch.testing.assert_close(COLLECTORS.build(PosteriorConfig()).act(policy, obs, z, now), policy.mode(obs, z))

    class Noting(Pointing):
        def mode(self, obs: Any, z: Any) -> Any:
            seen.append(z.clone())
            return super().mode(obs, z)

    seen: list[Any] = []
    meta_test(PosteriorConfig(), policy=Noting(), blocks=2)
    parts = [seen[i : i + HORIZON] for i in range(0, len(seen), HORIZON)]  # score, collect, score, collect, score
    for part, count in zip(parts[::2], (0, HORIZON, 2 * HORIZON), strict=True):
        assert all((z == count).all() for z in part)
    for part, count in zip(parts[1::2], (0, HORIZON), strict=True):
        assert all(torch.equal(z, part[0]) for z in part)
        assert 0 < (part[0] - count).abs().max() < 0.1 * 6  # the spread is .1
    assert not torch.allclose(parts[1][0], parts[3][0] - HORIZON)


# --- return-filtered --------------------------------------------------------------------------------------------------


def test_return_filtered_golden() -> None:
    # median of (1, 3, 2) is 2: kept; of (4, 3, 2) is 3: dropped; of (1, 1, 1) is 1: kept
    keeps = COLLECTORS.build(ReturnFilteredConfig(quantile=0.5)).keeps
    returns = torch.tensor([[1.0, 3.0, 2.0], [4.0, 3.0, 2.0], [1.0, 1.0, 1.0]])
    assert keeps(returns).tolist() == [True, False, True]
    assert keeps(returns[:, :1]).all()
    # the quarter quantile of (4, 3, 2) is 2.5; at 0 all are kept, at 1 the best so far
    assert COLLECTORS.build(ReturnFilteredConfig(quantile=0.25)).keeps(returns).tolist() == [True, False, True]
    assert COLLECTORS.build(ReturnFilteredConfig(quantile=0.0)).keeps(returns).all()
    assert COLLECTORS.build(ReturnFilteredConfig(quantile=1.0)).keeps(returns).tolist() == [False, False, True]


@pytest.mark.parametrize(
    "inner",
    [entry.config() for entry in COLLECTORS if entry.config is not OfflineConfig],
    ids=lambda config: str(config),
)
def test_return_filtered_leaves_everything_else_to_what_it_wraps(inner: Any) -> None:
    policy, obs, z, normal, uniform = setting()
    wrapped, alone = COLLECTORS.build(ReturnFilteredConfig(collector=inner)), COLLECTORS.build(inner)
    now, belief = moment(normal, uniform, 0.3), Belief(z, 0.5 * torch.ones_like(z))
    torch.testing.assert_close(wrapped.act(policy, obs, z, now), alone.act(policy, obs, z, now))
    torch.testing.assert_close(wrapped.latent(belief, z.flip(0)), alone.latent(belief, z.flip(0)))
    assert [wrapped.updates(0.3, end) for end in (False, True)] == [alone.updates(0.3, end) for end in (False, True)]
    assert wrapped.offline == alone.offline == ""


def test_return_filtered_refuses_what_does_not_act() -> None:
    with pytest.raises(FieldError, match=r"ReturnFilteredConfig\.collector: .*got @collectors\.offline\(\)"):
        ReturnFilteredConfig(collector=OfflineConfig())
    with pytest.raises(FieldError, match="collector: expected one of @collectors"):
        ReturnFilteredConfig(collector="proximal")  # type: ignore[arg-type]


def test_two_filters_keep_what_both_keep() -> None:
    both = COLLECTORS.build(ReturnFilteredConfig(collector=ReturnFilteredConfig(quantile=1.0), quantile=0.0))
    assert both.keeps(torch.tensor([[1.0, 3.0, 2.0], [1.0, 2.0, 3.0]])).tolist() == [False, True]


def test_blocks_that_are_filtered_out_leave_the_score_as_it_was() -> None:
    """At quantile 1 a world that drops a block scores the same after it; one that keeps it does not."""
    result = point_robot(
        ReturnFilteredConfig(collector=ProximalConfig(sigma=0.4), quantile=1.0), tasks=(2, 6), blocks=4
    )
    unchanged = result.returns[:, :, 1:] == result.returns[:, :, :-1]
    assert not unchanged[:, :, 0].any()  # the first block is always kept
    assert 0 < unchanged[:, :, 1:].mean() < 1


# --- all --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "config", [AnnealedConfig(), BeliefScaledConfig(), HeldConfig(), PosteriorConfig(), ReturnFilteredConfig()]
)
def test_a_meta_test_is_a_function_of_its_seed(config: Any) -> None:
    first, again, other = (point_robot(config, tasks=(2, 6), blocks=2, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.returns, again.returns)
    np.testing.assert_array_equal(first.explored, again.explored)
    assert not np.array_equal(first.explored, other.explored)
    fewer = point_robot(config, tasks=(6,), blocks=2)
    np.testing.assert_allclose(fewer.returns[0], first.returns[1], rtol=1e-5)  # a task does not know of the others


@pytest.mark.parametrize("config", [OnlineConfig, OfflineConfig])
def test_online_acts_on_the_mode(config: Any) -> None:
    policy, obs, z, normal, uniform = setting()
    torch.testing.assert_close(
        COLLECTORS.build(config()).act(policy, obs, z, moment(normal, uniform, 0.3)), policy.mode(obs, z)
    )


@ALL
def test_only_the_offline_collector_reads_stored_data(config: Any) -> None:
    assert COLLECTORS.build(config()).offline == ("episodes" if config is OfflineConfig else "")


@ALL
@given(seed=st.integers(0, 1000), progress=st.floats(0, 0.999))
def test_actions_stay_in_the_box(config: Any, seed: int, progress: float) -> None:
    policy, obs, z, normal, uniform = setting(seed)
    action = COLLECTORS.build(config()).act(policy, obs, z, moment(normal, uniform, progress))
    assert action.shape == (WORLDS, 2)
    assert action.abs().max() <= 1


@ALL
def test_acting_and_the_belief_do_not_mix_worlds(config: Any) -> None:
    policy, *values = setting()
    collector = COLLECTORS.build(config())
    for progress in (0.0, 0.9):
        together = collector.act(policy, *values[:2], moment(*values[2:], progress))
        alone = torch.cat(
            [
                collector.act(
                    policy, *(v[i : i + 1] for v in values[:2]), moment(*(v[i : i + 1] for v in values[2:]), progress)
                )
                for i in range(WORLDS)
            ]
        )
        torch.testing.assert_close(together, alone)


@pytest.mark.parametrize(
    "config",
    [
        *(ProximalConfig, NonPriorConfig, OnlineConfig, OfflineConfig),
        *(AnnealedConfig, BeliefScaledConfig, HeldConfig, ReturnFilteredConfig),
    ],
)
def test_these_collectors_act_under_the_mean_and_read_it_after_each_block(config: Any) -> None:
    collector = COLLECTORS.build(config())
    belief = Belief(torch.ones(3, 4), 7 * torch.ones(3, 4))
    assert torch.equal(collector.latent(belief, torch.randn(3, 4)), belief.z)
    for progress in (0.0, 0.5, 0.99):
        assert collector.updates(progress, block_end=True)
        assert not collector.updates(progress, block_end=False)
