"""Bellman targets, value regressions and target smoothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from selectrl.functional.values import bellman_target, expectile_loss, smooth_action, twin_td_loss, value_loss

SEEDS = st.integers(0, 10_000)


def normals(seed: int, *shape: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


def test_bellman_target_golden() -> None:
    # ρ = 100, γ = .9: 100 · 2 + .9 · 10 = 209, and 100 · -1 alone where nothing follows
    y = bellman_target(
        torch.tensor([[2.0, -1.0]]),
        torch.tensor([[0.0, 1.0]]),
        torch.tensor([[10.0, 10.0]]),
        discount=0.9,
        reward_scale=100.0,
    )
    torch.testing.assert_close(y, torch.tensor([[209.0, -100.0]]))


@given(SEEDS, st.floats(0, 1), st.floats(0.1, 100))
def test_bellman_target_equals_its_formula(seed: int, discount: float, scale: float) -> None:
    reward, value = normals(seed, 2, 3, 4)
    terminal = (normals(seed + 1, 3, 4) > 0).double()
    y = bellman_target(reward, terminal, value, discount=discount, reward_scale=scale)
    r, d, v = reward.numpy(), terminal.numpy(), value.numpy()
    expected = np.array(
        [[scale * r[t, i] + (0.0 if d[t, i] else discount * v[t, i]) for i in range(4)] for t in range(3)]
    )
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-12)


def test_bellman_target_carries_no_gradient() -> None:
    inputs = [torch.ones(1, 2, requires_grad=True) for _ in range(3)]
    assert not bellman_target(*inputs, discount=0.9, reward_scale=1.0).requires_grad


def test_bellman_target_refuses_a_single_axis() -> None:
    with pytest.raises((ValueError, TypeError)):
        bellman_target(torch.ones(3), torch.ones(3), torch.ones(3), discount=0.9, reward_scale=1.0)


def test_twin_td_loss_golden() -> None:
    # y = (1, 3). Q₁ = (2, 5): (1 + 4) / 2 = 2.5. Q₂ = (1, 0): (0 + 9) / 2 = 4.5. The twins add up: 7.
    loss = twin_td_loss(torch.tensor([[[2.0, 5.0]], [[1.0, 0.0]]]), torch.tensor([[1.0, 3.0]]))
    assert loss.item() == pytest.approx(7.0)


@given(SEEDS)
def test_twin_td_loss_is_the_sum_of_two_mean_squares(seed: int) -> None:
    q, y = normals(seed, 2, 3, 4), normals(seed + 1, 3, 4)
    expected = ((q[0] - y) ** 2).numpy().mean() + ((q[1] - y) ** 2).numpy().mean()
    assert twin_td_loss(q, y).item() == pytest.approx(expected, rel=1e-12)
    assert twin_td_loss(q.flip(0), y).item() == pytest.approx(expected, rel=1e-12)
    assert twin_td_loss(q[:, [2, 0, 1]], y[[2, 0, 1]]).item() == pytest.approx(expected, rel=1e-12)
    assert twin_td_loss(torch.stack((y, y)), y).item() == 0


def test_value_loss_golden() -> None:
    # (1 - 3)² = 4 and (2 - 2)² = 0: 2
    assert value_loss(torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 2.0]])).item() == pytest.approx(2.0)


@given(SEEDS)
def test_value_loss_is_a_mean_square_that_moves_v_alone(seed: int) -> None:
    v, target = normals(seed, 2, 3, 4).requires_grad_()
    loss = value_loss(v, target)
    assert loss.item() == pytest.approx(np.mean((v - target).detach().numpy() ** 2), rel=1e-12)
    of_v, of_target = torch.autograd.grad(loss, (v, target), allow_unused=True)
    assert of_target is None
    torch.testing.assert_close(of_v, 2 * (v - target).detach() / 12)


def test_smooth_action_golden() -> None:
    # σ = .2, c = .5: .1 + .2 · 1 = .3; .2 · 4 = .8 is clipped to .5, 0 + .5 = .5; .9 + .2 leaves the box, cut at 1
    action = smooth_action(torch.tensor([0.1, 0.0, 0.9]), torch.tensor([1.0, 4.0, 1.0]), scale=0.2, clip=0.5)
    torch.testing.assert_close(action, torch.tensor([0.3, 0.5, 1.0]))


@given(SEEDS, st.floats(0, 2), st.floats(0, 1))
def test_smooth_action_stays_near_and_in_the_box(seed: int, scale: float, clip: float) -> None:
    action, normal = normals(seed, 5, 3).tanh(), normals(seed + 1, 5, 3)
    noisy = smooth_action(action, normal, scale=scale, clip=clip).numpy()
    expected = np.clip(action.numpy() + np.clip(scale * normal.numpy(), -clip, clip), -1, 1)
    np.testing.assert_allclose(noisy, expected, rtol=1e-12, atol=1e-15)
    assert np.abs(noisy).max() <= 1
    assert np.abs(noisy - action.numpy()).max() <= clip + 1e-12
    mirrored = smooth_action(-action, -normal, scale=scale, clip=clip).numpy()
    np.testing.assert_allclose(mirrored, -noisy, rtol=1e-12, atol=1e-15)


def test_smooth_action_without_noise_is_the_action() -> None:
    action, normal = normals(0, 5, 3).tanh(), normals(1, 5, 3)
    torch.testing.assert_close(smooth_action(action, normal, scale=0.0, clip=0.5), action)
    torch.testing.assert_close(smooth_action(action, normal, scale=0.2, clip=0.0), action)


@given(SEEDS, st.floats(0.05, 1))
def test_expectile_loss_equals_its_formula_and_moves_v_alone(seed: int, tau: float) -> None:
    v = normals(seed, 3, 2, 4).requires_grad_()
    target = normals(seed + 1, 2, 4).requires_grad_()
    loss = expectile_loss(v, target, expectile=tau)
    u = (target - v).detach().numpy()
    assert loss.item() == pytest.approx((np.abs(tau - (u < 0)) * u**2).mean((1, 2)).sum(), rel=1e-12)
    assert torch.autograd.grad(loss, target, allow_unused=True, retain_graph=True) == (None,)
    half = expectile_loss(v, target, expectile=0.5)
    torch.testing.assert_close(2 * half, value_loss(v, target))


@given(SEEDS)
def test_value_loss_of_several_networks_adds_them_up(seed: int) -> None:
    v, target = normals(seed, 3, 2, 4), normals(seed + 1, 2, 4)
    torch.testing.assert_close(value_loss(v, target), sum(value_loss(member, target) for member in v))
