"""How well each of several hypotheses explains what was seen."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from selectrl.functional.checks import require_rank, require_same_shape


def prediction_errors(
    predicted: Float[Tensor, "world task column"],
    seen: Float[Tensor, "world column"],
    known: Bool[Tensor, "task"],
) -> tuple[Float[Tensor, "world task"], Float[Tensor, "world"]]:
    r"""Return what each task's prediction misses, and how far the predictions lie apart.

    .. math:: e_t = \lVert\hat x_t - x\rVert^2, \qquad
       v = \operatorname{mean}_{t\ known} \lVert\hat x_t - \operatorname{mean}_{u\ known}\hat x_u\rVert^2

    Args:
        predicted: x̂, one prediction per task.
        seen: x.
        known: which tasks count towards v; with none it is 0.

    Returns:
        e and v.

    Raises:
        ValueError: the shapes do not fit each other.
    """
    require_rank(3, predicted=predicted)
    require_same_shape(predicted=predicted[:, 0], seen=seen)
    require_same_shape(predicted=predicted[0, :, 0], known=known)
    counted = known.to(predicted.dtype)[:, None]
    count = counted.sum().clamp(min=1)
    centre = (counted * predicted).sum(1, keepdim=True) / count
    apart = (counted * (predicted - centre).square()).sum((1, 2)) / count
    return (predicted - seen[:, None]).square().sum(-1), apart


def task_posterior(
    missed: Float[Tensor, "world task"],
    apart: Float[Tensor, "world"],
    known: Bool[Tensor, "task"],
    *,
    width: float,
) -> Float[Tensor, "world task"]:
    r"""Weigh tasks by how much of what tells them apart they leave unexplained.

    .. math:: w = \operatorname{softmax}_t\frac{-\sum_i e_{t,i}}{2 h^2 \sum_i v_i}

    That is a Gaussian likelihood under a flat prior over the known tasks, tempered so that it narrows with what rows
    tell and not with their number: what is missed is mostly the model's error and the distance between an unseen task
    and the nearest known one, which more rows do not average out. It has no unit and needs no scale of rewards.

    Args:
        missed: Σe over the rows of each world, see :func:`prediction_errors`.
        apart: Σv; where it is 0, nothing was seen that tells tasks apart, and all known ones weigh the same.
        known: the tasks that may have a weight; if there is none, all have the same.
        width: h, above 0: the deviation of the likelihood, in deviations between the tasks' predictions.

    Returns:
        Weights, which sum to 1.

    Raises:
        ValueError: the shapes do not fit each other.

    References:
        Ours. Bissiri, Holmes & Walker, "A general framework for updating belief distributions", 2016, for posteriors
        from a tempered loss.
    """
    require_rank(2, missed=missed)
    require_same_shape(missed=missed[:, 0], apart=apart)
    require_same_shape(missed=missed[0], known=known)
    above = missed - missed.where(known, torch.inf).amin(1, keepdim=True)  # so nothing overflows
    told = (apart > 0)[:, None]
    logits = torch.where(told, -above / (2 * width**2 * torch.where(told, apart[:, None], 1)), 0)
    lowest = torch.finfo(missed.dtype).min
    return torch.where(known, logits.clamp(min=lowest / 2), lowest).softmax(-1)
