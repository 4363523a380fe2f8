"""SELECT's weighted cloning and BRAC's dual divergence."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from selectrl.functional.constraints import dual_kl, magnitude_penalty, q_scale, weighted_cloning_loss

SEEDS = st.integers(0, 10_000)


def normals(seed: int, *shape: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


# --- Eq. 1 and 2 ------------------------------------------------------------------------------------------------------


def test_q_scale_golden() -> None:
    # α = 2.5 over mean(|1|, |-4|) = 2.5
    assert q_scale(torch.tensor([[1.0, -4.0]]), alpha=2.5).item() == pytest.approx(1.0)


def test_q_scale_has_a_floor() -> None:
    assert q_scale(torch.zeros(1, 2), alpha=2.5).item() == pytest.approx(2.5e6)
    assert q_scale(torch.full((1, 2), 1e-7), alpha=2.5).item() == pytest.approx(2.5e6)
    assert q_scale(torch.full((1, 2), 1e-5), alpha=2.5).item() == pytest.approx(2.5e5)


def test_q_scale_carries_no_gradient_and_refuses_a_third_axis() -> None:
    assert not q_scale(torch.ones(1, 2, requires_grad=True), alpha=1.0).requires_grad
    with pytest.raises((ValueError, TypeError)):
        q_scale(torch.ones(1, 2, 1), alpha=1.0)


@given(SEEDS, st.floats(0.1, 10), st.floats(0.01, 1000))
def test_scaled_q_has_magnitude_alpha_whatever_the_scale_of_rewards(seed: int, alpha: float, reward: float) -> None:
    q = normals(seed, 3, 4)
    assert (q_scale(q, alpha=alpha) * q.abs().mean()).item() == pytest.approx(alpha)
    small, large = (q_scale(factor * q, alpha=alpha) * factor * q for factor in (1.0, reward))
    torch.testing.assert_close(small, large)
    assert q_scale(-q, alpha=alpha).item() == q_scale(q, alpha=alpha).item()


def test_weighted_cloning_loss_golden() -> None:
    # -λ mean Q = -2 · mean(3, 5) = -8. Row 1 (w = 1): 1² and 3² ; row 2 (w = 0): nothing. Mean over 2 rows × 2
    # dimensions: (1 + 9 + 0 + 0) / 4 = 2.5. Together -5.5.
    loss = weighted_cloning_loss(
        torch.tensor([[3.0, 5.0]]),
        torch.tensor([[[1.0, 2.0], [0.0, 0.0]]]),
        torch.tensor([[[0.0, -1.0], [7.0, 7.0]]]),
        torch.tensor([[1.0, 0.0]]),
        torch.tensor(2.0),
    )
    assert loss.item() == pytest.approx(-5.5)


@given(SEEDS)
def test_weighted_cloning_loss_equals_its_sum_over_entries(seed: int) -> None:
    q, a, b = normals(seed, 2, 3), normals(seed + 1, 2, 3, 4), normals(seed + 2, 2, 3, 4)
    w, scale = normals(seed + 3, 2, 3).abs(), normals(seed + 4).abs()
    total = 0.0
    for t in range(2):
        for i in range(3):
            total -= scale.item() * q[t, i].item() / 6
            total += sum(w[t, i].item() * (a[t, i, d] - b[t, i, d]).item() ** 2 for d in range(4)) / 24
    assert weighted_cloning_loss(q, a, b, w, scale).item() == pytest.approx(total, rel=1e-10)


@given(SEEDS)
def test_limits_of_the_weight(seed: int) -> None:
    q, a, b = normals(seed, 2, 3), normals(seed + 1, 2, 3, 4), normals(seed + 2, 2, 3, 4)
    scale, ones = torch.tensor(1.3, dtype=q.dtype), torch.ones_like(q)
    td3_bc = -1.3 * q.numpy().mean() + ((a - b).numpy() ** 2).mean()
    assert weighted_cloning_loss(q, a, b, ones, scale).item() == pytest.approx(td3_bc)
    assert weighted_cloning_loss(q, a, b, 0 * ones, scale).item() == pytest.approx(-1.3 * q.numpy().mean())
    assert weighted_cloning_loss(q, a, b, ones, 0 * scale).item() == pytest.approx(((a - b).numpy() ** 2).mean())


# --- BRAC -------------------------------------------------------------------------------------------------------------


def test_dual_kl_golden() -> None:
    # softplus(ln(e - 1)) = 1 and softplus(0) = ln 2: 1 + ln 1 - ln 2 = .306853
    got = dual_kl(torch.tensor([[np.log(np.e - 1)]]), torch.tensor([[0.0]]))
    assert got.item() == pytest.approx(0.306853, abs=1e-6)


@given(SEEDS)
def test_dual_kl_equals_its_formula(seed: int) -> None:
    pi, data = normals(seed, 2, 3, 4)
    expected = 1 + np.log(np.log1p(np.exp(pi.numpy())) + 1e-8) - np.log1p(np.exp(data.numpy()))
    np.testing.assert_allclose(dual_kl(pi, data).numpy(), expected, rtol=1e-10, atol=1e-12)


def test_dual_kl_of_a_vanished_g_is_finite() -> None:
    # softplus(-100) = e^-100: the logarithm stops at ln 1e-8
    got = dual_kl(torch.tensor([[-100.0]]), torch.tensor([[-100.0]]))
    assert got.item() == pytest.approx(1 + np.log(1e-8))


@given(SEEDS)
def test_dual_kl_is_a_lower_bound_that_the_density_ratio_attains(seed: int) -> None:
    """E_π[1 + log g] - E_β[g] ≤ KL(π‖β), with equality at g = π / β."""
    rng = np.random.default_rng(seed)
    pi, beta = rng.dirichlet(np.full(5, 2.0)) * 0.99 + 0.002, rng.dirichlet(np.full(5, 2.0)) * 0.99 + 0.002
    kl = float((pi * np.log(pi / beta)).sum())

    def bound(ratio: np.ndarray) -> float:
        c = torch.from_numpy(np.log(np.expm1(ratio)))  # g = softplus(c)
        rows = dual_kl(c[:, None].expand(5, 5), c[None, :].expand(5, 5)).numpy()  # (action of π, action of β)
        return float(pi @ rows @ beta)

    assert bound(pi / beta) == pytest.approx(kl, abs=1e-6)
    assert bound(pi / beta * rng.uniform(0.5, 2.0, 5)) < kl + 1e-9


def test_magnitude_penalty_golden() -> None:
    # |c| = (0, 2, 3): (0, 1², 2²), mean 5 / 3
    assert magnitude_penalty(torch.tensor([[0.0, 2.0, -3.0]])).item() == pytest.approx(5 / 3, rel=1e-6)


@given(SEEDS, st.floats(0.1, 5))
def test_magnitude_penalty_starts_at_one_on_both_sides(seed: int, size: float) -> None:
    c = size * normals(seed, 2, 3).tanh()
    expected = np.mean([max(np.sqrt(x * x + 1e-8) - 1, 0) ** 2 for x in c.flatten().tolist()])
    assert magnitude_penalty(c).item() == pytest.approx(expected, rel=1e-9, abs=1e-15)
    assert magnitude_penalty(-c).item() == magnitude_penalty(c).item()
    assert (magnitude_penalty(c) == 0) == ((c.abs().max().item() ** 2 + 1e-8) ** 0.5 <= 1)


def test_magnitude_penalty_has_a_finite_gradient_at_zero() -> None:
    c = torch.zeros(1, 2, requires_grad=True)
    (gradient,) = torch.autograd.grad(magnitude_penalty(c), c)
    assert gradient.tolist() == [[0.0, 0.0]]
