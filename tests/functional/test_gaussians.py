"""The divergence to the prior and what a decoder misses."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from selectrl.functional.gaussians import reconstruction_loss, standard_normal_kl

MEANS, DEVIATIONS = st.floats(-3, 3), st.floats(0.05, 3)


def divergence(mean: float, deviation: float) -> float:
    return standard_normal_kl(*(torch.tensor([[value]], dtype=torch.float64) for value in (mean, deviation))).item()


def test_divergence_golden() -> None:
    # (sigma² + mu² - 1 - ln sigma²) / 2: (4 + 9 - 1 - 1.386294) / 2 = 5.306853; the prior itself 0;
    # (1/4 + 0 - 1 + 1.386294) / 2 = .318147; (1 + 4 - 1 - 0) / 2 = 2; a sum of 7.625 over tasks and dimensions
    mean, deviation = torch.tensor([[3.0, 0.0], [0.0, -2.0]]), torch.tensor([[2.0, 1.0], [0.5, 1.0]])
    assert standard_normal_kl(mean, deviation).item() == pytest.approx(7.625, abs=1e-5)


@given(MEANS, DEVIATIONS)
def test_divergence_is_the_expected_log_ratio_of_the_densities(mean: float, deviation: float) -> None:
    points, weights = np.polynomial.hermite_e.hermegauss(20)  # exact for the quadratic log-ratio
    x = mean + deviation * points
    ratio = -0.5 * points**2 - np.log(deviation) + 0.5 * x**2
    expected = (weights * ratio).sum() / weights.sum()
    assert divergence(mean, deviation) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@given(MEANS, DEVIATIONS)
def test_divergence_is_zero_at_the_prior_alone(mean: float, deviation: float) -> None:
    assert divergence(0.0, 1.0) == 0
    assert divergence(mean, deviation) >= 0
    assert divergence(mean, deviation) == pytest.approx(divergence(-mean, deviation))


def test_reconstruction_golden() -> None:
    # squares 1, 4, 0, 9 of two tasks, one row, two columns: 14 / 4
    prediction, target = torch.tensor([[[1.0, 0.0]], [[2.0, 5.0]]]), torch.tensor([[[0.0, 2.0]], [[2.0, 2.0]]])
    assert reconstruction_loss(prediction, target).item() == pytest.approx(3.5)
