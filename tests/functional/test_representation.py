"""FOCAL's distance metric and CSRO's CLUB bound."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from oracles.encoders import club_grid, metric
from torch import Tensor

from selectrl.functional.representation import club_bound, club_likelihood_loss, club_moments, metric_loss

FINITE = st.floats(-2, 2, width=32)
LATENTS = st.tuples(st.integers(2, 6), st.integers(1, 4)).flatmap(
    lambda shape: arrays(np.float64, shape, elements=FINITE)
)
SEEDS = st.integers(0, 10_000)


def ids(rng: np.random.Generator, count: int) -> Tensor:
    """Task ids with repetitions."""
    return torch.from_numpy(rng.integers(0, max(2, count - 1), count))


def club_inputs(seed: int, tasks: int = 3, context: int = 5, latent: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    """Row embeddings and what q says of them."""
    rng = np.random.default_rng(seed)
    shape = (tasks, context, latent)
    values = np.tanh(rng.standard_normal(shape)), rng.uniform(-1, 1, shape), rng.uniform(0.3133, 1.3133, shape)
    return tuple(torch.from_numpy(value) for value in values)


# --- distance metric --------------------------------------------------------------------------------------------------


def test_metric_loss_golden() -> None:
    # L = 2 and eps = 1. One pair of one task: delta = ((0 - 4)² + 0) / 2 = 8, √(8 + 1) = 3, over (1 + 1) pairs: 1.5.
    # Two pairs of two tasks: delta = (2² + 14²) / 2 = 100, 1 / (100 + 100 · 1) each, 0.01 over (2 + 1) pairs.
    z = torch.tensor([[0.0, 0.0], [4.0, 0.0], [2.0, 14.0]])
    assert metric_loss(z, torch.tensor([5, 5, 9]), eps=1.0).item() == pytest.approx(1.5 + 0.01 / 3)


def test_metric_loss_at_the_published_epsilon_golden() -> None:
    # coinciding latents of two tasks: 1 / (0 + 0.1) = 10 over (1 + 0.001) pairs; no pair of one task, exactly 0 there
    assert metric_loss(torch.zeros(2, 3), torch.tensor([0, 1])).item() == pytest.approx(10 / 1.001)
    # coinciding latents of one task: √0.001 over (1 + 0.001)
    assert metric_loss(torch.zeros(2, 3), torch.tensor([7, 7])).item() == pytest.approx(0.001**0.5 / 1.001)


@given(LATENTS, SEEDS)
def test_metric_loss_equals_the_double_loop_in_value_and_gradient(values: np.ndarray, seed: int) -> None:
    task = ids(np.random.default_rng(seed), len(values))
    z = torch.from_numpy(values).requires_grad_()
    loss = metric_loss(z, task)
    assert loss.item() == pytest.approx(metric(values, task.numpy()), rel=1e-12)
    (fast,) = torch.autograd.grad(loss, z)
    (slow,) = torch.autograd.grad(looped_metric(z, task), z)
    torch.testing.assert_close(fast, slow, rtol=1e-10, atol=1e-10)


def looped_metric(z: Tensor, task: Tensor, eps: float = 1e-3) -> Tensor:
    """The pairwise loop of the published code."""
    pull, push, positives, negatives = z.new_zeros(()), z.new_zeros(()), 0, 0
    for i in range(len(z)):
        for j in range(i + 1, len(z)):
            delta = ((z[i] - z[j]) ** 2).mean()
            if task[i] == task[j]:
                pull, positives = pull + torch.sqrt(delta + eps), positives + 1
            else:
                push, negatives = push + 1 / (delta + 100 * eps), negatives + 1
    return pull / (positives + eps) + push / (negatives + eps)


@given(LATENTS, SEEDS)
def test_metric_loss_ignores_order_names_and_place(values: np.ndarray, seed: int) -> None:
    rng = np.random.default_rng(seed)
    z, task = torch.from_numpy(values), ids(rng, len(values))
    loss = metric_loss(z, task).item()
    order = torch.from_numpy(rng.permutation(len(z)))
    assert metric_loss(z[order], task[order]).item() == pytest.approx(loss, rel=1e-9)
    names = torch.from_numpy(rng.permutation(100))  # another id for each task
    assert metric_loss(z, names[task]).item() == pytest.approx(loss, rel=1e-12)
    turn, _ = np.linalg.qr(rng.standard_normal((z.shape[1], z.shape[1])))
    assert metric_loss(z @ torch.from_numpy(turn) + 3.0, task).item() == pytest.approx(loss, rel=1e-6)


@given(LATENTS)
def test_metric_loss_of_distinct_tasks_only_repels(values: np.ndarray) -> None:
    z, task = torch.from_numpy(values), torch.arange(len(values))
    loss = metric_loss(z, task).item()
    assert 0 < loss < 10  # 1 / (100 eps)
    assert metric_loss(2 * z, task).item() <= loss
    if len(z) == 2:  # the floor under tanh embeddings: 1 / (2² + 0.1) over 1.001 pairs
        corners = torch.tensor([[1.0], [-1.0]], dtype=z.dtype).expand_as(z)
        assert metric_loss(corners, task).item() == pytest.approx(1 / 4.1 / 1.001)


@given(LATENTS)
def test_metric_loss_of_one_task_only_attracts(values: np.ndarray) -> None:
    z, task = torch.from_numpy(values), torch.zeros(len(values), dtype=torch.int64)
    assert metric_loss(2 * z, task).item() >= metric_loss(z, task).item() > 0


# --- CLUB -------------------------------------------------------------------------------------------------------------


def test_club_moments_golden() -> None:
    # unsquashed: mean 3, variance log(1 + e^ln(e - 1)) = 1; squashed: tanh(artanh .5) = .5 and log(1 + e^0) = ln 2
    mean, variance = club_moments(torch.tensor([[[3.0, np.log(np.e - 1)]]]), squash=False)
    assert (mean.item(), variance.item()) == pytest.approx((3.0, 1.0))
    mean, variance = club_moments(torch.tensor([[[np.arctanh(0.5), 0.0]]]))
    assert (mean.item(), variance.item()) == pytest.approx((0.5, np.log(2)))


def test_club_moments_halves_are_means_and_variances_in_order() -> None:
    raw = torch.tensor([[[1.0, 2.0, 3.0, 4.0]]])
    mean, variance = club_moments(raw, squash=False)
    assert mean.flatten().tolist() == [1.0, 2.0]
    assert variance.flatten().tolist() == pytest.approx([np.log(1 + np.e**3), np.log(1 + np.e**4)])


@given(arrays(np.float64, (2, 3, 4), elements=st.floats(-50, 50)))
def test_squashed_variance_has_the_published_floor(raw: np.ndarray) -> None:
    mean, variance = club_moments(torch.from_numpy(raw))
    assert mean.abs().max() <= 1
    assert variance.min() > 0.3132
    assert variance.max() < 1.3133


def test_club_likelihood_loss_golden() -> None:
    # e = 1, m = 0, v = 1/2: 1 / (2 · 1/2) + ½ ln ½ = 1 - .3466; e = m = 3, v = 2: 0 + ½ ln 2 = .3466; their mean: 1/2
    rows, mean, variance = (torch.tensor(v)[None, :, None] for v in ([1.0, 3.0], [0.0, 3.0], [0.5, 2.0]))
    assert club_likelihood_loss(rows, mean, variance).item() == pytest.approx(0.5)


@given(SEEDS)
def test_club_likelihood_loss_is_the_negative_log_density_without_its_constant(seed: int) -> None:
    e, m, v = (value.numpy() for value in club_inputs(seed))
    density = np.exp(-((e - m) ** 2) / (2 * v)) / np.sqrt(2 * np.pi * v)
    expected = -np.log(density).mean() - 0.5 * np.log(2 * np.pi)
    assert club_likelihood_loss(*club_inputs(seed)).item() == pytest.approx(expected, rel=1e-10)


@given(SEEDS)
def test_the_true_moments_minimise_the_likelihood_loss(seed: int) -> None:
    rows, _, _ = club_inputs(seed)
    mean = rows.mean(1, keepdim=True).expand_as(rows)
    variance = rows.var(1, keepdim=True, correction=0).expand_as(rows)
    best = club_likelihood_loss(rows, mean, variance)
    for factor, shift in ((0.8, 0.0), (1.25, 0.0), (1.0, 0.1), (1.0, -0.1)):
        assert club_likelihood_loss(rows, mean + shift, factor * variance) > best


def test_club_bound_golden() -> None:
    # e = (0, 2), m = (0, 1), v = (1, 2). Row 1: own 0, grid mean(0, 4) = 2, so (2 - 0) / 1 = 2.
    # Row 2: own (2 - 1)² = 1, grid mean(1, 1) = 1, so 0. Mean over rows: 1.
    rows, mean, variance = (torch.tensor(v)[None, :, None] for v in ([0.0, 2.0], [0.0, 1.0], [1.0, 2.0]))
    assert club_bound(rows, mean, variance).item() == pytest.approx(1.0)


def club_pairs(rows: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    """The bound with its whole grid of pairs, (task, i, k, latent)."""
    own = (rows - mean) ** 2 / variance
    grid = (rows[:, None, :, :] - mean[:, :, None, :]) ** 2 / variance[:, :, None, :]
    return -own.mean() + grid.mean()


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-6)])
@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 7, 4), (4, 64, 5)])
def test_club_bound_equals_the_grid_in_value_and_gradient(
    dtype: torch.dtype, tolerance: float, shape: tuple[int, int, int]
) -> None:
    for seed in range(5):
        inputs = [value.to(dtype).requires_grad_() for value in club_inputs(seed, *shape)]
        fast, slow = club_bound(*inputs), club_pairs(*inputs)
        assert fast.item() == pytest.approx(slow.item(), rel=tolerance, abs=tolerance)
        for ours, theirs in zip(torch.autograd.grad(fast, inputs), torch.autograd.grad(slow, inputs), strict=True):
            assert (ours - theirs).abs().max() <= tolerance * max(1e-3, theirs.abs().max().item())


@given(SEEDS)
def test_club_bound_equals_the_loops_over_all_pairs(seed: int) -> None:
    inputs = club_inputs(seed)
    assert club_bound(*inputs).item() == pytest.approx(club_grid(*(v.numpy() for v in inputs)), rel=1e-10)


@given(SEEDS)
def test_club_losses_ignore_the_order_of_rows_and_of_tasks(seed: int) -> None:
    inputs = club_inputs(seed)
    rng = np.random.default_rng(seed)
    rows, tasks = rng.permutation(5), rng.permutation(3)
    for loss in (club_bound, club_likelihood_loss):
        value = loss(*inputs).item()
        assert loss(*(v[:, rows] for v in inputs)).item() == pytest.approx(value, rel=1e-9, abs=1e-12)
        assert loss(*(v[tasks] for v in inputs)).item() == pytest.approx(value, rel=1e-9, abs=1e-12)


@given(SEEDS)
def test_club_bound_pairs_rows_within_a_task_only(seed: int) -> None:
    rows, mean, variance = club_inputs(seed)
    apart = torch.tensor([0.0, 5.0, -9.0], dtype=rows.dtype)[:, None, None]  # each task elsewhere, its q with it
    shifted = club_bound(rows + apart, mean + apart, variance)
    assert shifted.item() == pytest.approx(club_bound(rows, mean, variance).item(), rel=1e-9, abs=1e-10)


@given(SEEDS)
def test_club_bound_is_zero_without_information_and_positive_with_it(seed: int) -> None:
    rows, mean, variance = club_inputs(seed)
    one_embedding = rows[:, :1].expand_as(rows)  # z says nothing of b
    assert club_bound(one_embedding, mean, variance).item() == pytest.approx(0.0, abs=1e-12)
    one_guess = mean[:, :1].expand_as(rows), variance[:, :1].expand_as(rows)  # b says nothing of z
    assert club_bound(rows, *one_guess).item() == pytest.approx(0.0, abs=1e-12)
    assert club_bound(rows, rows, variance) > 0  # b gives z away


def test_the_gradient_flows_to_rows_mean_and_variance_of_the_bound() -> None:
    inputs: list[Any] = [value.requires_grad_() for value in club_inputs(0)]
    assert all(gradient.abs().sum() > 0 for gradient in torch.autograd.grad(club_bound(*inputs), inputs))
