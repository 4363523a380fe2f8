"""The tanh-squashed Gaussian."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from selectrl.functional.distributions import tanh_gaussian, tanh_gaussian_log_prob

SEEDS = st.integers(0, 10_000)


def test_golden_at_the_centre() -> None:
    # u = 0, a = 0: log N(0; 0, 1) = -½ ln 2π = -.918939 per dimension; the volume is ln(1 + 1e-6) ≈ 1e-6; two of them
    zero = torch.zeros(1, 2, dtype=torch.float64)
    action, log_prob = tanh_gaussian(zero, zero, zero)
    assert action.tolist() == [[0.0, 0.0]]
    assert log_prob.tolist() == pytest.approx([-1.837879], abs=1e-6)


def test_golden_off_the_centre() -> None:
    # σ = 2, ε = 1, μ = artanh(.5) - 2: u = artanh(.5), a = .5.
    # -½ 1² - ln 2 - ½ ln 2π - ln(1 - .25 + 1e-6) = -.5 - .693147 - .918939 + .287681 = -1.824405
    mean = torch.tensor([[np.arctanh(0.5) - 2]])
    action, log_prob = tanh_gaussian(mean, torch.full_like(mean, np.log(2.0)), torch.ones_like(mean))
    assert action.item() == pytest.approx(0.5)
    assert log_prob.item() == pytest.approx(-1.824405, abs=2e-6)


@given(SEEDS)
def test_equals_the_density_by_change_of_variables(seed: int) -> None:
    mean, log_std, normal = np.random.default_rng(seed).standard_normal((3, 4, 2))
    u = mean + np.exp(log_std) * normal
    gaussian = np.exp(-0.5 * ((u - mean) / np.exp(log_std)) ** 2) / (np.exp(log_std) * np.sqrt(2 * np.pi))
    action, log_prob = tanh_gaussian(*(torch.from_numpy(value) for value in (mean, log_std, normal)))
    np.testing.assert_allclose(action.numpy(), np.tanh(u), rtol=1e-12)
    expected = (np.log(gaussian) - np.log(1 - np.tanh(u) ** 2 + 1e-6)).sum(-1)
    np.testing.assert_allclose(log_prob.numpy(), expected, rtol=1e-10)
    assert action.abs().max() < 1


def test_the_density_integrates_to_one() -> None:
    normal = torch.linspace(-8, 8, 20_001, dtype=torch.float64)[:, None]
    mean, log_std = torch.full_like(normal, 0.3), torch.full_like(normal, -0.5)
    action, log_prob = tanh_gaussian(mean, log_std, normal)
    assert np.trapezoid(log_prob.exp().numpy(), action[:, 0].numpy()) == pytest.approx(1.0, abs=1e-4)


def test_gradient_of_mean_and_deviation() -> None:
    """Reparameterised: da/dμ = 1 - a², da/d log σ = (1 - a²) σ ε; d log π/d log σ at ε holds -1 and the volume."""
    rng = np.random.default_rng(0)
    mean, log_std = (torch.from_numpy(rng.standard_normal((3, 1))).requires_grad_() for _ in range(2))
    normal = torch.from_numpy(rng.standard_normal((3, 1)))
    action, log_prob = tanh_gaussian(mean, log_std, normal)
    slope, moved = 1 - action.detach() ** 2, log_std.detach().exp() * normal
    of_mean, of_std = torch.autograd.grad(action.sum(), (mean, log_std), retain_graph=True)
    torch.testing.assert_close(of_mean, slope)
    torch.testing.assert_close(of_std, slope * moved)
    volume = 2 * action.detach() * slope / (slope + 1e-6)  # d -log(1 - a² + 1e-6) / du
    of_mean, of_std = torch.autograd.grad(log_prob.sum(), (mean, log_std))
    torch.testing.assert_close(of_mean, volume)
    torch.testing.assert_close(of_std, volume * moved - 1)


# --- the density of given actions -------------------------------------------------------------------------------------


def test_golden_of_a_given_action() -> None:
    # μ = artanh(.5) - 2, σ = 2, a = .5: ε = 1, so the golden above: -1.824405. Beside it μ = 0, σ = e⁻³, a = 0: ε = 0,
    # -.918939 + 3 = 2.081061; together .256656
    mean = torch.tensor([[np.arctanh(0.5) - 2, 0.0]])
    log_std, action = torch.tensor([[np.log(2.0), -3.0]]), torch.tensor([[0.5, 0.0]], dtype=torch.float64)
    log_prob = tanh_gaussian_log_prob(mean, log_std, action)
    assert log_prob.shape == (1,)
    assert log_prob.item() == pytest.approx(0.256656, abs=4e-6)


def test_golden_on_the_edge_of_the_box() -> None:
    # μ = 0, σ = 1, a = ±1: u = ±½ ln(1999999) = ±7.254329, -½ u² = -26.312642, -½ ln 2π = -.918939,
    # -ln(1e-6) = 13.815511: -13.416070 in each dimension
    zero, edge = torch.zeros(1, 2, dtype=torch.float64), torch.tensor([[1.0, -1.0]], dtype=torch.float64)
    assert tanh_gaussian_log_prob(zero, zero, edge).item() == pytest.approx(2 * -13.416070, abs=2e-5)


@given(SEEDS)
def test_a_given_action_has_the_density_by_change_of_variables(seed: int) -> None:
    rng = np.random.default_rng(seed)
    mean, log_std = rng.standard_normal((2, 4, 2))
    action = rng.uniform(-0.999, 0.999, (4, 2))
    u = np.arctanh(action)
    gaussian = -0.5 * ((u - mean) / np.exp(log_std)) ** 2 - np.log(np.exp(log_std) * np.sqrt(2 * np.pi))
    ours = tanh_gaussian_log_prob(*(torch.from_numpy(value) for value in (mean, log_std, action)))
    expected = (gaussian - np.log(1 - action**2 + 1e-6)).sum(-1)
    np.testing.assert_allclose(ours.numpy(), expected, rtol=1e-9, atol=1e-9)


@given(SEEDS)
def test_a_drawn_action_has_the_density_of_its_draw(seed: int) -> None:
    rng = np.random.default_rng(seed)
    mean, log_std, normal = (torch.from_numpy(0.5 * rng.standard_normal((4, 2))) for _ in range(3))
    action, log_prob = tanh_gaussian(mean, log_std, normal)
    inside = (action.abs() < 1 - 1e-5).all(-1)
    again = tanh_gaussian_log_prob(mean, log_std, action)
    torch.testing.assert_close(again[inside], log_prob[inside], rtol=1e-6, atol=1e-6)


def test_the_density_of_given_actions_integrates_to_one() -> None:
    action = torch.linspace(-1, 1, 200_001, dtype=torch.float64)[:, None]
    log_prob = tanh_gaussian_log_prob(torch.full_like(action, 0.3), torch.full_like(action, -0.5), action)
    assert np.trapezoid(log_prob.exp().numpy(), action[:, 0].numpy()) == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_and_gradients_are_finite_up_to_the_edge(dtype: torch.dtype) -> None:
    action = torch.tensor([[-1.0], [-1 + 1e-7], [0.0], [1 - 1e-7], [1.0]], dtype=dtype)
    mean, log_std = (torch.full_like(action, value).requires_grad_() for value in (0.2, -1.0))
    log_prob = tanh_gaussian_log_prob(mean, log_std, action)
    gradients = torch.autograd.grad(log_prob.sum(), (mean, log_std))
    assert all(value.isfinite().all() for value in (log_prob, *gradients))
    assert log_prob[2] > log_prob[[0, 4]].max()


def test_gradients_of_a_given_action() -> None:
    """With u fixed: d log π/dμ = (u - μ)/σ², d log π/d log σ = ((u - μ)/σ)² - 1."""
    rng = np.random.default_rng(1)
    mean, log_std = (torch.from_numpy(rng.standard_normal((3, 1))).requires_grad_() for _ in range(2))
    action = torch.from_numpy(rng.uniform(-0.9, 0.9, (3, 1)))
    log_prob = tanh_gaussian_log_prob(mean, log_std, action)
    of_mean, of_std = torch.autograd.grad(log_prob.sum(), (mean, log_std))
    normal = (torch.atanh(action) - mean.detach()) / log_std.detach().exp()
    torch.testing.assert_close(of_mean, normal / log_std.detach().exp())
    torch.testing.assert_close(of_std, normal**2 - 1)
