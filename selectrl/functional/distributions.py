"""The tanh-squashed Gaussian: a draw with its log-density, and the log-density of an action."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from selectrl.functional.checks import require_same_shape

EDGE = 1e-6  # keeps log(1 - a²) and artanh a finite on the edge of the box


def tanh_gaussian(
    mean: Float[Tensor, "*rows action"], log_std: Float[Tensor, "*rows action"], normal: Float[Tensor, "*rows action"]
) -> tuple[Float[Tensor, "*rows action"], Float[Tensor, "*rows"]]:
    r"""Sample :math:`a = \tanh(\mu + \sigma\epsilon)` and its log-density.

    .. math:: \log\pi = \sum_d \big[\log\mathcal N(u;\mu,\sigma) - \log(1 - a^2 + 10^{-6})\big]

    Args:
        mean: μ.
        log_std: log σ.
        normal: ε ~ N(0, 1).

    Returns:
        The action and its log-probability, summed over action dimensions; both carry the gradient of μ and σ.

    Raises:
        ValueError: shapes differ.

    References:
        Haarnoja et al., "SAC", ICML 2018.
    """
    require_same_shape(mean=mean, log_std=log_std, normal=normal)
    action = (mean + log_std.exp() * normal).tanh()
    return action, _log_density(normal, log_std, action)


def tanh_gaussian_log_prob(
    mean: Float[Tensor, "*rows action"], log_std: Float[Tensor, "*rows action"], action: Float[Tensor, "*rows action"]
) -> Float[Tensor, "*rows"]:
    r"""Return the log-density of actions, with the correction of :func:`tanh_gaussian`.

    .. math:: u = \operatorname{artanh}\operatorname{clip}(a, \pm(1 - 10^{-6})), \qquad
       \log\pi = \sum_d \big[\log\mathcal N(u;\mu,\sigma) - \log(1 - a^2 + 10^{-6})\big]

    The clip keeps u within ±7.25, so that an action on the edge of the box has a finite density and a finite gradient.

    Args:
        mean: μ.
        log_std: log σ.
        action: a in [-1, 1].

    Returns:
        The log-density, summed over action dimensions; it carries the gradient of μ and σ.

    Raises:
        ValueError: shapes differ.
    """
    require_same_shape(mean=mean, log_std=log_std, action=action)
    before = torch.atanh(action.clamp(-1 + EDGE, 1 - EDGE))
    return _log_density((before - mean) * (-log_std).exp(), log_std, action)


def _log_density(normal: Tensor, log_std: Tensor, action: Tensor) -> Tensor:
    """Return log π of tanh(μ + σ·normal) = action, (…,)."""
    gaussian = -0.5 * normal.square() - log_std - 0.5 * math.log(2 * math.pi)
    return (gaussian - (1 - action.square() + EDGE).log()).sum(-1)
