"""A posterior over tasks by what their predictions miss."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from selectrl.functional.evidence import prediction_errors, task_posterior

ALL = torch.tensor([True, True, True])


def drawn(seed: int, worlds: int = 4, tasks: int = 6, columns: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    """Predictions, the observed values, and which tasks are eligible: at least two."""
    rng = np.random.default_rng(seed)
    predicted = torch.from_numpy(rng.standard_normal((worlds, tasks, columns)))
    target = torch.from_numpy(rng.standard_normal((worlds, columns)))
    return predicted, target, torch.from_numpy(rng.permutation(tasks) < rng.integers(2, tasks + 1))


def test_errors_golden() -> None:
    # target (1, 0); predictions (1, 2), (3, 0), (7, 7): errors 4, 4, 36 + 49. The first two are eligible, with mean
    # (2, 1): each is (±1)² + (±1)² away, mean 2
    predicted = torch.tensor([[[1.0, 2.0], [3.0, 0.0], [7.0, 7.0]]])
    errors, variance = prediction_errors(predicted, torch.tensor([[1.0, 0.0]]), torch.tensor([True, True, False]))
    assert errors.tolist() == [[4.0, 4.0, 85.0]]
    assert variance.tolist() == [2.0]


def test_posterior_golden() -> None:
    # h = .5, Σv = 4: 2 h² Σv = 2. Errors 1, 3, 0: exponents -.5, -1.5, 0, the last one not eligible.
    # e^-.5 = .606531 and e^-1.5 = .223130: .731059 and .268941
    weights = task_posterior(
        torch.tensor([[1.0, 3.0, 0.0]]), torch.tensor([4.0]), torch.tensor([True, True, False]), width=0.5
    )
    assert weights[0].tolist() == pytest.approx([0.731059, 0.268941, 0.0], abs=1e-6)


@given(seed=st.integers(0, 10_000))
def test_errors_equal_the_loop(seed: int) -> None:
    predicted, target, eligible = drawn(seed)
    errors, variance = prediction_errors(predicted, target, eligible)
    for world, (guesses, truth) in enumerate(zip(predicted.numpy(), target.numpy(), strict=True)):
        assert errors[world].tolist() == pytest.approx([sum((guess - truth) ** 2) for guess in guesses])
        met = guesses[eligible.numpy()]
        assert variance[world].item() == pytest.approx(sum(met.var(axis=0)))


@given(seed=st.integers(0, 10_000), width=st.sampled_from([0.03, 0.3, 3.0]))
def test_posterior_equals_bayes_rule_of_a_gaussian(seed: int, width: float) -> None:
    predicted, target, eligible = drawn(seed)
    errors, variance = prediction_errors(predicted, target, eligible)
    weights = task_posterior(errors, variance, eligible, width=width)
    for world in range(len(target)):
        met = eligible.nonzero().flatten().tolist()
        deviation = width * np.sqrt(variance[world].item())
        log = [-((predicted[world, t] - target[world]) ** 2).sum().item() / 2 / deviation**2 for t in met]
        odds = np.exp(np.array(log) - max(log))
        assert weights[world, met].tolist() == pytest.approx(list(odds / odds.sum()), abs=1e-9)
        assert weights[world].sum().item() == pytest.approx(1)


@given(seed=st.integers(0, 10_000), scale=st.sampled_from([1e-3, 50.0]))
def test_neither_the_scale_of_rewards_nor_the_number_of_rows_matters(seed: int, scale: float) -> None:
    predicted, target, eligible = drawn(seed)
    errors, variance = prediction_errors(predicted, target, eligible)
    expected = task_posterior(errors, variance, eligible, width=0.3)
    assert torch.allclose(task_posterior(7 * errors, 7 * variance, eligible, width=0.3), expected)
    scaled = prediction_errors(scale * predicted, scale * target, eligible)
    assert torch.allclose(task_posterior(*scaled, eligible, width=0.3), expected)


def test_no_variance_between_tasks_leaves_the_flat_prior_over_eligible_tasks() -> None:
    flat = [[0.5, 0.0, 0.5]]
    eligible = torch.tensor([True, False, True])
    assert task_posterior(torch.zeros(1, 3), torch.zeros(1), eligible, width=0.1).tolist() == flat
    assert task_posterior(torch.tensor([[9.0, 2.0, 1.0]]), torch.zeros(1), eligible, width=0.1).tolist() == flat
    assert prediction_errors(torch.ones(1, 3, 1), torch.zeros(1, 1), ~ALL)[1].tolist() == [0.0]


@pytest.mark.parametrize("largest", [0.0, 1e30, 3e38])
def test_huge_errors_and_the_narrowest_likelihood_stay_finite(largest: float) -> None:
    errors = torch.tensor([[largest, largest / 2, 0.0]])
    weights = task_posterior(errors, torch.tensor([1e-30]), torch.tensor([True, True, False]), width=1e-3)
    assert weights.isfinite().all()
    assert weights.sum().item() == pytest.approx(1)
    assert weights[0, 2] == 0
    assert largest == 0 or weights[0, 1] == 1
