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
    r"""VariBAD's KL term, where each belief has the one before it as its prior.

    .. math:: \operatorname{mean}_b\,\operatorname{mean}_t\,KL(q_t\,\|\,q_{t-1}), \qquad q_{-1} = \mathcal N(0, I)

    Args:
        mean: means of q_0 … q_T.
        log_var: their log-variances.
        live: where step t took q_{t-1} to q_t; the others enter neither the sum nor its count.

    Returns:
        Scalar; the mean over a sequence's q_0 and live steps, then over sequences.

    Raises:
        ValueError: means and log-variances differ in shape, or there is not one belief more than there are steps.

    Differs from BOReL's code, which sums over time; with the reconstruction a mean over time as well, the two losses
    differ by the factor T + 1 alone.

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
    """Return where a belief is one of its own, (sequence, step + 1): the prior always, then after each live step."""
    require_rank(2, live=live)
    return torch.cat((torch.ones_like(live[:, :1]), live), 1)


def draw_live_places(
    live: Bool[Tensor, "sequence step"], uniform: Float[Tensor, "sequence draw"]
) -> Int[Tensor, "sequence draw"]:
    r"""Draw places of live steps, each with the same expected count, one from each of as many equal strata.

    The i-th of n draws takes the live step of rank :math:`\lfloor (i + u_i)\,m/n \rfloor` of m, so that the mean of
    anything over the draws has the mean over live steps as its expectation, and n = m takes each step once.

    Args:
        live: where a sequence has a step; at least one in each.
        uniform: u ~ U(0, 1).

    Returns:
        Places on the step axis, ascending.

    Raises:
        ValueError: the two differ in their number of sequences or are not matrices.
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
    r"""Squared error of what each latent draw decodes of each step.

    .. math:: \operatorname{mean}_{b,t,k}\,\lVert \hat x(z_t, k) - x_k \rVert^2

    Args:
        predicted: one decoding per latent and step.
        target: what happened.

    Returns:
        Scalar; the sum over dimensions, the mean over everything else.

    Raises:
        ValueError: a decoding differs in shape from the target.

    References:
        Dorfman, Shenfeld & Tamar, "BOReL", NeurIPS 2021.
    """
    require_same_shape(decoding=predicted[:, 0], target=target)
    squared = (predicted - target.unsqueeze(1)).square()
    return squared.flatten(3).sum(-1).mean() if squared.dim() > 3 else squared.mean()
