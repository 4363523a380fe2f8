"""Policies against plain NumPy."""

from __future__ import annotations

from typing import Any

import fakes
import numpy as np
import pytest
import torch
from oracles import mlp, numbers

from selectrl.errors import CompositionError
from selectrl.nets.configs import DeterministicConfig, TanhGaussianConfig
from selectrl.registry import POLICIES

OBS, Z, NORMAL = (
    torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))
    for seed, shape in enumerate([(3, 5, 3), (3, 1, 4), (3, 5, 2)])
)


def build(config: Any) -> Any:
    return fakes.scramble(POLICIES.build(config, fakes.SPEC, fakes.LATENT)).double()


def heads(policy: Any) -> np.ndarray:
    return mlp(numbers(policy), "net", OBS.numpy(), Z.numpy())


def test_deterministic_policy() -> None:
    policy = build(fakes.DETERMINISTIC)
    raw = heads(policy)
    assert policy.temperature == 0
    sample = policy.sample(OBS, Z, NORMAL)
    np.testing.assert_allclose(sample.action.detach().numpy(), np.tanh(raw), rtol=1e-10)
    np.testing.assert_allclose(sample.size.detach().numpy(), (raw**2).mean(-1), rtol=1e-10)
    assert sample.log_prob.tolist() == np.zeros((3, 5)).tolist()
    torch.testing.assert_close(policy.mode(OBS, Z), sample.action)


def test_gaussian_policy() -> None:
    config = fakes.GAUSSIAN
    policy = build(config)
    mean, raw = np.split(heads(policy), 2, axis=-1)
    log_std = np.clip(raw, config.log_std_min, config.log_std_max)
    assert (log_std != raw).any()
    assert (log_std == raw).any()
    before = mean + np.exp(log_std) * NORMAL.numpy()
    sample = policy.sample(OBS, Z, NORMAL)
    np.testing.assert_allclose(sample.action.detach().numpy(), np.tanh(before), rtol=1e-10)
    log_density = -0.5 * NORMAL.numpy() ** 2 - log_std - 0.5 * np.log(2 * np.pi)
    expected = (log_density - np.log(1 - np.tanh(before) ** 2 + 1e-6)).sum(-1)
    np.testing.assert_allclose(sample.log_prob.detach().numpy(), expected, rtol=1e-9)
    size = (mean**2).mean(-1) + (log_std**2).mean(-1)
    np.testing.assert_allclose(sample.size.detach().numpy(), size, rtol=1e-10)
    np.testing.assert_allclose(policy.mode(OBS, Z).detach().numpy(), np.tanh(mean), rtol=1e-10)
    assert policy.temperature == config.temperature


def test_golden_of_constant_heads() -> None:
    # μ = (artanh .5 - 1, 0), log σ = (0, -9 clipped to -3), ε = (1, 0): a = (.5, 0).
    # log π = (-.5 - .918939 + .287681) + (-.918939 + 3) = .949803; size = (.2030 + 0) / 2 + (0 + 9) / 2 = 4.601488
    policy = POLICIES.build(
        TanhGaussianConfig(hidden=(4,), log_std_min=-3.0, log_std_max=0.4), fakes.SPEC, fakes.LATENT
    )
    fakes.constant(policy.net, np.arctanh(0.5) - 1, 0.0, 0.0, -9.0)
    normal = torch.tensor([[[1.0, 0.0]]])
    sample = policy.sample(torch.ones(1, 1, 3), torch.ones(1, 1, 4), normal)
    torch.testing.assert_close(sample.action, torch.tensor([[[0.5, 0.0]]]))
    assert sample.log_prob.item() == pytest.approx(0.949803, abs=5e-6)
    assert sample.size.item() == pytest.approx(((np.arctanh(0.5) - 1) ** 2 + 9) / 2, abs=1e-5)


def test_golden_of_the_density_of_an_action() -> None:
    # the heads and the action of the golden above, so its log π = .949803; at a = (1, 0): u = ½ ln(1999999) = 7.254329,
    # ε = u - μ = 7.705023: -29.683689 - .918939 + 13.815511 + (-.918939 + 3) = -14.706056
    config = TanhGaussianConfig(hidden=(4,), log_std_min=-3.0, log_std_max=0.4)
    policy = POLICIES.build(config, fakes.SPEC, fakes.LATENT)
    fakes.constant(policy.net, np.arctanh(0.5) - 1, 0.0, 0.0, -9.0)
    policy.double()
    obs, z = torch.ones(1, 2, 3).double(), torch.ones(1, 1, 4).double()
    log_prob = policy.log_prob(obs, z, torch.tensor([[[0.5, 0.0], [1.0, 0.0]]]).double())
    assert log_prob.shape == (1, 2)
    assert log_prob[0].tolist() == pytest.approx([0.949803, -14.706056], abs=2e-5)


def test_the_density_of_a_sample_is_its_log_probability() -> None:
    policy = build(fakes.GAUSSIAN)
    sample = policy.sample(OBS, Z, NORMAL)
    inside = (sample.action.abs() < 1 - 1e-5).all(-1)
    torch.testing.assert_close(policy.log_prob(OBS, Z, sample.action)[inside], sample.log_prob[inside])
    assert inside.any()
    assert policy.stochastic


def test_a_deterministic_policy_refuses_its_density() -> None:
    policy = build(fakes.DETERMINISTIC)
    assert not policy.stochastic
    with pytest.raises(CompositionError, match=r"^policies\.deterministic has no log-probability; .*tanh_gaussian"):
        policy.log_prob(OBS, Z, NORMAL)


def test_a_deviation_at_its_bound_gets_no_gradient() -> None:
    """As with the clamp of the published code."""
    policy = POLICIES.build(TanhGaussianConfig(hidden=(4,), log_std_max=0.0), fakes.SPEC, fakes.LATENT)
    fakes.constant(policy.net, 0.0, 0.0, 5.0, -1.0)
    sample = policy.sample(torch.ones(1, 1, 3), torch.ones(1, 1, 4), torch.ones(1, 1, 2))
    (gradient,) = torch.autograd.grad(sample.log_prob.sum(), [policy.net.biases[-1]])
    assert gradient[0, 2] == 0
    assert gradient[0, 3] != 0


@pytest.mark.parametrize("config", [entry.config for entry in POLICIES])
def test_any_policy_starts_near_zero_and_stays_in_the_box(config: Any) -> None:
    torch.manual_seed(0)
    fresh = POLICIES.build(config(hidden=(16,)), fakes.SPEC, fakes.LATENT)
    assert fresh.mode(OBS.float(), Z.float()).abs().max() < 0.1  # last layer U(±1e-3)
    wild = fakes.scramble(fresh, scale=20.0)
    for action in (wild.mode(OBS.float(), Z.float()), wild.sample(OBS.float(), Z.float(), NORMAL.float()).action):
        assert action.shape == (3, 5, 2)
        assert action.abs().max() <= 1


@pytest.mark.parametrize("config", [fakes.DETERMINISTIC, fakes.GAUSSIAN])
def test_worlds_without_a_task_axis(config: Any) -> None:
    policy = build(config)
    together = policy.sample(OBS, Z.expand(3, 5, 4), NORMAL)
    flat = policy.sample(OBS.reshape(15, 3), Z.expand(3, 5, 4).reshape(15, 4), NORMAL.reshape(15, 2))
    torch.testing.assert_close(flat.action, together.action.reshape(15, 2))
    torch.testing.assert_close(flat.log_prob, together.log_prob.reshape(15))


def test_default_bounds_are_those_of_focal_and_csro() -> None:
    config = TanhGaussianConfig()
    assert (config.log_std_min, config.log_std_max, config.temperature) == (-20.0, 0.0, 1.0)
    assert DeterministicConfig().hidden == config.hidden == (256, 256, 256)
