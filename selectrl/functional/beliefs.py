"""Pieces of a belief filter's evidence lower bound: the KL chain over time, and subsampled reconstruction."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from selectrl.functional.checks import require_rank, require_same_shape
from selectrl.functional.gaussians import gaussian_kl


def kl_chain(
    mean: Float[Tensor, "sequence belief latent"],
    log_var: Float[Tensor, "sequence belief latent"],
    live: Bool[Tensor, "sequence step"],
) -> Float[Tensor, ""]:
    r"""Return VariBAD's KL term, in which the prior of each belief is the belief before it.

    .. math:: \operatorname{mean}_b\,\operatorname{mean}_t\,KL(q_t\,\|\,q_{t-1}), \qquad q_{-1} = \mathcal N(0, I)

    Args:
        mean: means of q_0 … q_T.
        log_var: their log-variances.
        live: true where step t updates q_{t-1} to q_t; other steps count neither in the sum nor in the mean.

    Returns:
        Scalar; the mean over q_0 and the live steps of a sequence, then over sequences.

    Raises:
        ValueError: means and log-variances differ in shape, or the number of beliefs is not that of steps plus 1.

    Differs from BOReL's code, which sums over time. The reconstruction is a mean over time too, so the losses
    differ only by the factor T + 1.

    References:
        Zintgraf et al., "VariBAD", ICLR 2020; Dorfman, Shenfeld & Tamar, "BOReL", NeurIPS 2021.
    """
    require_rank(2, live=live)
    require_same_shape(mean=mean, log_var=log_var)
    require_same_shape(beliefs=mean[:, 1:, 0], live=live)
    before = [torch.cat((torch.zeros_like(value[:, :1]), value[:, :-1]), 1) for value in (mean, log_var)]
    kl = gaussian_kl(mean, log_var, *before)
    counted = prepend_prior(live).to(kl.dtype)
    return ((counted * kl).sum(1) / counted.sum(1)).mean()


def prepend_prior(live: Bool[Tensor, "sequence step"]) -> Bool[Tensor, "sequence belief"]:
    """Return which beliefs count, (sequence, step + 1): the prior always, then the belief after each live step."""
    require_rank(2, live=live)
    return torch.cat((torch.ones_like(live[:, :1]), live), 1)


def draw_live_places(
    live: Bool[Tensor, "sequence step"], uniform: Float[Tensor, "sequence draw"]
) -> Int[Tensor, "sequence draw"]:
    r"""Draw places of live steps, one from each of n equal strata, so that all have the same expected count.

    The i-th of n draws takes the live step of rank :math:`\lfloor (i + u_i)\,m/n \rfloor` of m. The expectation of a
    mean over the draws is then the mean over live steps, and n = m takes each step once.

    Args:
        live: true where a sequence has a step; at least one step in each sequence.
        uniform: u ~ U(0, 1).

    Returns:
        Places on the step axis, ascending.

    Raises:
        ValueError: the numbers of sequences differ, or an argument is not a matrix.
    """
    require_rank(2, live=live, uniform=uniform)
    require_same_shape(live=live[:, 0], uniform=uniform[:, 0])
    draws, count = uniform.shape[1], live.sum(1, keepdim=True)
    stratum = torch.arange(draws, dtype=uniform.dtype, device=uniform.device)
    ranks = ((stratum + uniform) * (count / draws)).long().clamp(max=count - 1)
    order = (~live).to(torch.int8).argsort(dim=1, stable=True)  # live steps first, in the order of time
    return order.gather(1, ranks)


def decoding_error(
    predicted: Float[Tensor, "sequence draw step *dims"], target: Float[Tensor, "sequence step *dims"]
) -> Float[Tensor, ""]:
    r"""Return the squared error of the decoding of each step from each latent draw.

    .. math:: \operatorname{mean}_{b,t,k}\,\lVert \hat x(z_t, k) - x_k \rVert^2

    Args:
        predicted: a decoding for each latent and step.
        target: the recorded values.

    Returns:
        Scalar; the sum over dimensions, the mean over all other axes.

    Raises:
        ValueError: a decoding differs in shape from the target.

    References:
        Dorfman, Shenfeld & Tamar, "BOReL", NeurIPS 2021.
    """
    require_same_shape(decoding=predicted[:, 0], target=target)
    squared = (predicted - target.unsqueeze(1)).square()
    return squared.flatten(3).sum(-1).mean() if squared.dim() > 3 else squared.mean()
