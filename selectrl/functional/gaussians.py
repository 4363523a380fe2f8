"""Terms of variational encoders: the divergence of a posterior from the prior, and the error of a decoder."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from selectrl.functional.checks import require_rank, require_same_shape


def gaussian_kl(
    mean: Float[Tensor, "*rows latent"],
    log_var: Float[Tensor, "*rows latent"],
    prior_mean: Float[Tensor, "*rows latent"],
    prior_log_var: Float[Tensor, "*rows latent"],
) -> Float[Tensor, "*rows"]:
    r"""Return the KL divergence of two diagonal Gaussians, summed over dimensions.

    .. math:: \tfrac12\sum_d \Big[\log\sigma_p^2 - \log\sigma^2
       + \frac{\sigma^2 + (\mu-\mu_p)^2}{\sigma_p^2} - 1\Big]

    Args:
        mean: μ.
        log_var: log σ².
        prior_mean: μ_p; the gradient flows through both sides.
        prior_log_var: log σ_p².

    Raises:
        ValueError: shapes differ.
    """
    require_same_shape(mean=mean, log_var=log_var, prior_mean=prior_mean, prior_log_var=prior_log_var)
    ratio = log_var - prior_log_var
    distance = (mean - prior_mean).square() * (-prior_log_var).exp()
    return 0.5 * (ratio.exp() - ratio - 1 + distance).sum(-1)


def standard_normal_kl(
    mean: Float[Tensor, "task latent"], deviation: Float[Tensor, "task latent"]
) -> Float[Tensor, ""]:
    r"""Return the KL divergence of diagonal Gaussians from N(0, I).

    .. math:: \sum_{t,l} \tfrac12\big(\sigma_{tl}^2 + \mu_{tl}^2 - 1 - \log\sigma_{tl}^2\big)

    Args:
        mean: μ.
        deviation: σ, positive.

    Returns:
        Scalar, the sum over tasks and dimensions.

    Raises:
        ValueError: the shapes differ, or there are not two axes.

    Differs from FOCAL's and CSRO's copies of PEARL: they set the prior's deviation to 0.05, but only in this term.
    FOCAL's copy still starts its tests from a draw of N(0, I), CSRO's from z = 0.

    References:
        Rakelly et al., "PEARL", ICML 2019.
    """
    require_rank(2, mean=mean)
    require_same_shape(mean=mean, deviation=deviation)
    zeros = torch.zeros_like(mean)
    return gaussian_kl(mean, 2 * deviation.log(), zeros, zeros).sum()


def reconstruction_loss(
    prediction: Float[Tensor, "task row column"], target: Float[Tensor, "task row column"]
) -> Float[Tensor, ""]:
    r"""Return a decoder's error, :math:`\operatorname{mean}(\hat x - x)^2`: a Gaussian likelihood of fixed variance.

    Args:
        prediction: x̂.
        target: x.

    Returns:
        Scalar, the mean over tasks, rows and columns.

    Raises:
        ValueError: the shapes differ, or there are not three axes.
    """
    require_rank(3, prediction=prediction)
    require_same_shape(prediction=prediction, target=target)
    return (prediction - target).square().mean()
