"""The tanh-squashed Gaussian."""

from __future__ import annotations

import math

from jaxtyping import Float
from torch import Tensor

from selectrl.functional.checks import same_shape


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
    same_shape(mean=mean, log_std=log_std, normal=normal)
    action = (mean + log_std.exp() * normal).tanh()
    gaussian = -0.5 * normal.square() - log_std - 0.5 * math.log(2 * math.pi)
    return action, (gaussian - (1 - action.square() + 1e-6).log()).sum(-1)
