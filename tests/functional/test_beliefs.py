"""Pieces of a belief filter's lower bound: KL and its chain, places that are drawn, what is decoded."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.distributions import Independent, Normal, kl_divergence

from selectrl.functional.beliefs import decoding_error, draw_live_places, kl_chain, prepend_prior
from selectrl.functional.gaussians import gaussian_kl

SEEDS = st.integers(0, 10_000)


def beliefs(seed: int, sequences: int = 3, steps: int = 6, latent: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    """Means, log-variances, and where there are steps; a step that is not live keeps its belief."""
    rng = np.random.default_rng(seed)
    live = rng.random((sequences, steps)) < 0.6
    live[:, 0] = True
    values = rng.standard_normal((2, sequences, steps + 1, latent))
    for b, t in np.argwhere(~live):
        values[:, b, t + 1] = values[:, b, t]
    return torch.from_numpy(values[0]), torch.from_numpy(values[1]), torch.from_numpy(live)


def normal(mean: Tensor, log_var: Tensor) -> Independent:
    return Independent(Normal(mean, (0.5 * log_var).exp()), 1)


def test_gaussian_kl_golden() -> None:
    # N(1, 4) from N(0, 1): ½ (4 + 1 - 1 - ln 4) = 2 - ln 2; N(0, 1) from itself: 0. Dimensions add up.
    mean, log_var = torch.tensor([1.0, 0.0]), torch.tensor([math.log(4), 0.0])
    assert gaussian_kl(mean, log_var, torch.zeros(2), torch.zeros(2)).item() == pytest.approx(2 - math.log(2))
    # N(0, 1) from N(2, 4): ½ (ln 4 + (1 + 4) / 4 - 1) = ln 2 + 1/8
    prior = torch.tensor([2.0]), torch.tensor([math.log(4)])
    assert gaussian_kl(torch.zeros(1), torch.zeros(1), *prior).item() == pytest.approx(math.log(2) + 0.125)


@given(SEEDS)
def test_the_chain_equals_that_of_torch_distributions(seed: int) -> None:
    mean, log_var, live = beliefs(seed)
    total = 0.0
    for b in range(len(live)):
        before = normal(torch.zeros_like(mean[b, 0]), torch.zeros_like(mean[b, 0]))
        terms = [kl_divergence(normal(mean[b, 0], log_var[b, 0]), before)]
        at = [0, *(t + 1 for t in range(live.shape[1]) if live[b, t])]
        pairs = zip(at[1:], at, strict=False)
        terms += [kl_divergence(normal(mean[b, t], log_var[b, t]), normal(mean[b, s], log_var[b, s])) for t, s in pairs]
        total += torch.stack(terms).mean().item() / len(live)
    assert kl_chain(mean, log_var, live).item() == pytest.approx(total, rel=1e-10)


def test_kl_chain_golden() -> None:
    # q_0 = q_1 = N(1, 1): KL(q_0 || N(0, 1)) = ½, KL(q_1 || q_0) = 0, mean ¼; without the step the mean is ½.
    mean, log_var = torch.ones(1, 2, 1), torch.zeros(1, 2, 1)
    assert kl_chain(mean, log_var, torch.tensor([[True]])).item() == pytest.approx(0.25)
    assert kl_chain(mean, log_var, torch.tensor([[False]])).item() == pytest.approx(0.5)


def test_both_sides_of_the_chain_carry_the_gradient() -> None:
    mean, log_var, live = beliefs(1, steps=2)
    live = torch.ones_like(live)
    mean.requires_grad_()
    (gradient,) = torch.autograd.grad(kl_chain(mean, log_var, live), mean)
    precision = (-log_var[:, 0]).exp()
    own = mean[:, 0] - (mean[:, 1] - mean[:, 0]) * precision  # d KL(q_0 || N) + d KL(q_1 || q_0) by the mean of q_0
    torch.testing.assert_close(gradient[:, 0], own / 9)  # 3 sequences of 3 beliefs


def test_draw_live_places_golden() -> None:
    # steps 0, 2 and 3 are live. Two draws: ranks floor((0 + .9) 3/2) = 1 and floor((1 + .5) 3/2) = 2, places 2 and 3.
    live = torch.tensor([[True, False, True, True]])
    assert draw_live_places(live, torch.tensor([[0.9, 0.5]])).tolist() == [[2, 3]]
    assert draw_live_places(live, torch.tensor([[0.1, 0.1, 0.99]])).tolist() == [[0, 2, 3]]  # as many as there are: all
    assert draw_live_places(live, torch.tensor([[1.0]])).tolist() == [[3]]  # at the open end
    assert prepend_prior(live).tolist() == [[True, True, False, True, True]]


@given(SEEDS, st.integers(1, 9))
def test_drawn_places_stand_for_the_mean_over_live_steps(seed: int, draws: int) -> None:
    live, rng = beliefs(seed)[2], np.random.default_rng(seed)
    grid = torch.arange(0.5, 420) / 420  # a uniform that runs through its whole range, in step with all draws
    values = torch.from_numpy(rng.standard_normal(live.shape))
    for b in range(len(live)):
        uniform = grid[:, None].expand(-1, draws)
        places = draw_live_places(live[b].expand(len(grid), -1), uniform)
        assert live[b][places].all()
        assert values[b][places].mean().item() == pytest.approx(values[b][live[b]].mean().item(), abs=0.02)
        assert (places.diff(dim=1) >= 0).all()


def test_decoding_error_golden() -> None:
    # rewards 1 and 3 decoded as (1, 1) and (2, 2): errors 0, 4, 1, 1, mean 1.5
    predicted, target = torch.tensor([[[1.0, 1.0], [2.0, 2.0]]]), torch.tensor([[1.0, 3.0]])
    assert decoding_error(predicted, target).item() == pytest.approx(1.5)
    # a state (1, 2) decoded as (0, 0): 1 + 4, summed over its dimensions
    assert decoding_error(torch.zeros(1, 1, 1, 2), torch.tensor([[[1.0, 2.0]]])).item() == pytest.approx(5.0)
