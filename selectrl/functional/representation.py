"""Losses of context encoders: FOCAL's distance metric and CSRO's CLUB bound."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import softplus

from selectrl.functional.checks import require_rank, require_same_shape


def metric_loss(z: Float[Tensor, "task latent"], task: Int[Tensor, "task"], *, eps: float = 1e-3) -> Float[Tensor, ""]:
    r"""Return FOCAL's distance-metric loss, which pulls latents of a task together and pushes tasks apart.

    .. math:: \frac{\sum_{i<j,\,y_i=y_j}\sqrt{\delta_{ij}+\epsilon}}{n_+ + \epsilon}
       + \frac{\sum_{i<j,\,y_i\ne y_j}(\delta_{ij}+100\,\epsilon)^{-1}}{n_- + \epsilon},
       \qquad \delta_{ij} = \tfrac1L\lVert z_i-z_j\rVert^2

    Args:
        z: a latent per context set.
        task: task id of each latent; pairs with equal ids are positive.
        eps: the formula's epsilon.

    Returns:
        Scalar; the mean over positive pairs plus the mean over negative pairs, i < j.

    Raises:
        ValueError: z does not have two axes, or task does not have an id per latent.

    Differs from the paper (ICLR 2021), as the authors' code does: the root of the mean square for positives (the paper:
    the square), a mean over dimensions for negatives (the paper: a sum), and an average over pairs.

    References:
        Li, Yang & Luo, "FOCAL", ICLR 2021.
    """
    require_rank(2, z=z)
    require_same_shape(latents=z[:, 0], task=task)
    upper = torch.ones(len(z), len(z), dtype=torch.bool, device=z.device).triu(1)
    positive = (upper & (task[:, None] == task[None, :])).to(z.dtype)
    negative = upper.to(z.dtype) - positive
    distance = (z[:, None] - z[None, :]).square().mean(-1)  # (task, task)
    pull = (positive * (distance + eps).sqrt()).sum() / (positive.sum() + eps)
    push = (negative / (distance + 100 * eps)).sum() / (negative.sum() + eps)
    return pull + push


def club_moments(
    raw: Float[Tensor, "task context twice"], *, squash: bool = True
) -> tuple[Float[Tensor, "task context latent"], Float[Tensor, "task context latent"]]:
    """Split the output of CLUB's network into mean and variance of q(z | b).

    Args:
        raw: network output; the first half gives the means, the second the variances.
        squash: apply tanh to both halves first, as the authors do. The variance then stays in [0.313, 1.313]; otherwise
            the mean is free and the variance can go to 0.

    Returns:
        Mean and variance.
    """
    mean, scale = (raw.tanh() if squash else raw).chunk(2, dim=-1)
    return mean, softplus(scale)


def club_likelihood_loss(
    rows: Float[Tensor, "task context latent"],
    mean: Float[Tensor, "task context latent"],
    variance: Float[Tensor, "task context latent"],
) -> Float[Tensor, ""]:
    r"""Return the negative Gaussian log-likelihood that fits q(z | b) to row embeddings, without its constant.

    .. math:: \operatorname{mean}_{t,i,l}\Big[\frac{(e-m)^2}{2v} + \tfrac12\log v\Big]

    Args:
        rows: row embeddings e, detached from the encoder by the caller.
        mean: m.
        variance: v.

    Returns:
        Scalar, mean over tasks, rows and dimensions.

    References:
        Cheng et al., "CLUB", ICML 2020; Gao et al., "CSRO", NeurIPS 2023.
    """
    require_same_shape(rows=rows, mean=mean, variance=variance)
    return ((rows - mean).square() / (2 * variance) + 0.5 * variance.log()).mean()


def club_bound(
    rows: Float[Tensor, "task context latent"],
    mean: Float[Tensor, "task context latent"],
    variance: Float[Tensor, "task context latent"],
) -> Float[Tensor, ""]:
    r"""Return CLUB's upper bound of I(z; b | task), exact over all pairs of rows of a task, in linear time.

    The sum over pairs (i, k) of a task, k = i included, has a closed form in the task's mean embedding and biased
    variance S:

    .. math:: \operatorname{mean}_{t,i,l}\frac{S_t + (\bar e_t - m_{ti})^2 - (e_{ti} - m_{ti})^2}{v_{ti}}

    Args:
        rows: row embeddings e; the gradient flows through e, its mean and S.
        mean: m.
        variance: v.

    Returns:
        Scalar, mean over tasks, rows and dimensions.

    Differs from CSRO's text, as its code does: pairs stay within a task (the bound is conditional on the task), there
    is no factor ½, and dimensions are averaged, not summed.

    References:
        Cheng et al., "CLUB", ICML 2020; Gao et al., "CSRO", NeurIPS 2023.
    """
    require_same_shape(rows=rows, mean=mean, variance=variance)
    centre = rows.mean(dim=1, keepdim=True)
    spread = (rows - centre).square().mean(dim=1, keepdim=True)
    return ((spread + (centre - mean).square() - (rows - mean).square()) / variance).mean()
