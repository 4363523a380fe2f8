"""The collectors: which action they execute, under which belief, and when they read it again."""

from __future__ import annotations

from typing import Any

import fakes
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from selectrl.collectors.configs import NonPriorConfig, OfflineConfig, OnlineConfig, ProximalConfig
from selectrl.registry import COLLECTORS
from selectrl.structs import Belief, Moment

WORLDS = 50
ALL = pytest.mark.parametrize("config", [entry.config for entry in COLLECTORS], ids=lambda c: c.__name__)


def setting(seed: int = 0, policy: Any = fakes.GAUSSIAN) -> tuple[Any, ...]:
    """Policy, obs, z, normal and uniform noise for some worlds."""
    rng = np.random.default_rng(seed)
    obs, z, normal = (rng.standard_normal((WORLDS, width)) for width in (3, fakes.LATENT, 2))
    arrays = obs, z, 3 * normal, rng.random((WORLDS, 2))
    return fakes.scramble(policy.build(fakes.SPEC, fakes.LATENT)).double(), *map(torch.from_numpy, arrays)


def moment(normal: Any, uniform: Any, progress: float) -> Moment:
    """What a collector is told when it acts; the held noise and the spread are like no other."""
    return Moment(normal, -2 * normal.flip(0), uniform, torch.full((len(normal), fakes.LATENT), 0.3), progress)


# --- proximal ---------------------------------------------------------------------------------------------------------


def test_proximal_golden() -> None:
    # σ = .2, so c = .5. π = (.1, -.9), ε = (1, -4): .1 + .2 = .3; -.8 is clipped to -.5, -1.4 is cut at -1
    policy = fakes.DETERMINISTIC.build(fakes.SPEC, fakes.LATENT)
    fakes.constant(policy.net, np.arctanh(0.1), np.arctanh(-0.9))
    noise = torch.tensor([[1.0, -4.0]])
    action = (
        ProximalConfig(sigma=0.2).build().act(policy, torch.ones(1, 3), torch.ones(1, 4), moment(noise, noise, 0.0))
    )
    assert action.tolist() == [pytest.approx([0.3, -1.0])]


@pytest.mark.parametrize(("config", "reach"), [({}, 0.5), ({"sigma": 0.1}, 0.25), ({"sigma": 0.1, "clip": 0.03}, 0.03)])
@pytest.mark.parametrize("kind", [fakes.GAUSSIAN, fakes.DETERMINISTIC])
@given(seed=st.integers(0, 1000), progress=st.floats(0, 0.999))
def test_proximal_noise_is_clipped_at_two_and_a_half_sigma(
    config: Any, reach: float, kind: Any, seed: int, progress: float
) -> None:
    policy, obs, z, normal, uniform = setting(seed, kind)
    collector = ProximalConfig(**config).build()
    action, mode = collector.act(policy, obs, z, moment(normal, uniform, progress)), policy.mode(obs, z)
    noise = np.clip(collector.sigma * normal.numpy(), -reach, reach)
    expected = np.clip(mode.detach().numpy() + noise, -1, 1)
    np.testing.assert_allclose(action.detach().numpy(), expected, rtol=1e-12, atol=1e-15)
    far = normal.abs() * collector.sigma > reach
    inside = (mode.abs() + reach < 1) & far
    np.testing.assert_allclose((action - mode).abs()[inside].detach().numpy(), reach, rtol=1e-9)


def test_proximal_explores_from_the_first_step_on_and_without_sigma_not_at_all() -> None:
    policy, obs, z, normal, uniform = setting()
    act = ProximalConfig().build().act
    assert not torch.equal(act(policy, obs, z, moment(normal, uniform, 0.0)), policy.mode(obs, z))
    torch.testing.assert_close(
        act(policy, obs, z, moment(normal, uniform, 0.0)), act(policy, obs, z, moment(normal, 1 - uniform, 0.99))
    )
    still = ProximalConfig(sigma=0.0).build().act(policy, obs, z, moment(normal, uniform, 0.0))
    torch.testing.assert_close(still, policy.mode(obs, z))


# --- non-prior --------------------------------------------------------------------------------------------------------


def test_non_prior_is_uniform_and_then_the_policys_sample() -> None:
    policy, obs, z, normal, uniform = setting()
    collector = NonPriorConfig().build()
    torch.testing.assert_close(collector.act(policy, obs, z, moment(normal, uniform, 0.499)), 2 * uniform - 1)
    sample = policy.sample(obs, z, normal).action
    torch.testing.assert_close(collector.act(policy, obs, z, moment(normal, uniform, 0.5)), sample)
    assert not torch.equal(sample, policy.mode(obs, z))


@pytest.mark.parametrize("budget", [20, 400, 600, 800])
def test_non_prior_switches_at_exactly_half_of_the_budget(budget: int) -> None:
    policy, obs, z, normal, uniform = setting()
    collector = NonPriorConfig().build()
    random = [
        torch.equal(collector.act(policy, obs, z, moment(normal, uniform, step / budget)), 2 * uniform - 1)
        for step in range(budget)
    ]
    assert random == [True] * (budget // 2) + [False] * (budget // 2)


@pytest.mark.parametrize(("fraction", "random"), [(0.0, 0), (0.25, 5), (1.0, 20)])
def test_non_prior_random_fraction(fraction: float, random: int) -> None:
    policy, obs, z, normal, uniform = setting()
    collector = NonPriorConfig(random_fraction=fraction).build()
    actions = [collector.act(policy, obs, z, moment(normal, uniform, step / 20)) for step in range(20)]
    assert sum(torch.equal(action, 2 * uniform - 1) for action in actions) == random


# --- all --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("config", [OnlineConfig, OfflineConfig])
def test_online_acts_on_the_mode(config: Any) -> None:
    policy, obs, z, normal, uniform = setting()
    torch.testing.assert_close(config().build().act(policy, obs, z, moment(normal, uniform, 0.3)), policy.mode(obs, z))


@ALL
def test_only_the_offline_collector_reads_stored_data(config: Any) -> None:
    assert config().build().offline == (config is OfflineConfig)


@ALL
@given(seed=st.integers(0, 1000), progress=st.floats(0, 0.999))
def test_actions_stay_in_the_box(config: Any, seed: int, progress: float) -> None:
    policy, obs, z, normal, uniform = setting(seed)
    action = config().build().act(policy, obs, z, moment(normal, uniform, progress))
    assert action.shape == (WORLDS, 2)
    assert action.abs().max() <= 1


@ALL
def test_acting_and_the_belief_do_not_mix_worlds(config: Any) -> None:
    policy, *values = setting()
    collector = config().build()
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


@pytest.mark.parametrize("config", [ProximalConfig, NonPriorConfig, OnlineConfig, OfflineConfig])
def test_these_collectors_act_under_the_mean_and_read_it_after_each_block(config: Any) -> None:
    collector = config().build()
    belief = Belief(torch.ones(3, 4), 7 * torch.ones(3, 4))
    assert torch.equal(collector.latent(belief, torch.randn(3, 4)), belief.z)
    for progress in (0.0, 0.5, 0.99):
        assert collector.updates(progress, block_end=True)
        assert not collector.updates(progress, block_end=False)
