"""The evidence of observed data for each of several tasks."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from selectrl.functional.checks import require_rank, require_same_shape


def prediction_errors(
    predicted: Float[Tensor, "world task column"],
    target: Float[Tensor, "world column"],
    eligible: Bool[Tensor, "task"],
) -> tuple[Float[Tensor, "world task"], Float[Tensor, "world"]]:
    r"""Return the squared error of each task's prediction, and the variance of the predictions between tasks.

    .. math:: e_t = \lVert\hat x_t - x\rVert^2, \qquad
       v = \operatorname{mean}_{t\in E} \lVert\hat x_t - \operatorname{mean}_{u\in E}\hat x_u\rVert^2

    Args:
        predicted: x̂, a prediction per task.
        target: x, the observed values.
        eligible: the set E of tasks that count in v; without any, v is 0.

    Returns:
        e and v.

    Raises:
        ValueError: the shapes do not fit each other.
    """
    require_rank(3, predicted=predicted)
    require_same_shape(predicted=predicted[:, 0], target=target)
    require_same_shape(predicted=predicted[0, :, 0], eligible=eligible)
    counted = eligible.to(predicted.dtype)[:, None]
    count = counted.sum().clamp(min=1)
    centre = (counted * predicted).sum(1, keepdim=True) / count
    variance = (counted * (predicted - centre).square()).sum((1, 2)) / count
    return (predicted - target[:, None]).square().sum(-1), variance


def task_posterior(
    errors: Float[Tensor, "world task"],
    variance: Float[Tensor, "world"],
    eligible: Bool[Tensor, "task"],
    *,
    width: float,
) -> Float[Tensor, "world task"]:
    r"""Weigh tasks by the prediction error that each leaves, relative to the variance between tasks.

    .. math:: w = \operatorname{softmax}_t\frac{-\sum_i e_{t,i}}{2 h^2 \sum_i v_i}

    This is a Gaussian likelihood under a flat prior over the eligible tasks. It is tempered: it narrows with the
    information in the rows and not with their number. The remaining error comes mostly from the model and from the
    distance between an unseen task and the nearest eligible task, and more rows do not average it out. The weights have
    no unit and do not depend on the scale of rewards.

    Args:
        errors: Σe over the rows of each world, see :func:`prediction_errors`.
        variance: Σv; where it is 0, the rows do not distinguish tasks, and all eligible tasks have the same weight.
        eligible: the tasks that may have a weight; without any, all tasks have the same weight.
        width: h, above 0: the deviation of the likelihood, in deviations between the tasks' predictions.

    Returns:
        Weights that sum to 1.

    Raises:
        ValueError: the shapes do not fit each other.

    References:
        Ours. Bissiri, Holmes & Walker, "A general framework for updating belief distributions", 2016, for posteriors
        from a tempered loss.
    """
    require_rank(2, errors=errors)
    require_same_shape(errors=errors[:, 0], variance=variance)
    require_same_shape(errors=errors[0], eligible=eligible)
    excess = errors - errors.where(eligible, torch.inf).amin(1, keepdim=True)  # above the smallest: nothing overflows
    varies = (variance > 0)[:, None]
    logits = torch.where(varies, -excess / (2 * width**2 * torch.where(varies, variance[:, None], 1)), 0)
    lowest = torch.finfo(errors.dtype).min
    return torch.where(eligible, logits.clamp(min=lowest / 2), lowest).softmax(-1)
