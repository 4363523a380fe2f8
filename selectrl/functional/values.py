"""Bellman targets and value regressions."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from selectrl.functional.checks import require_rank, require_same_shape


def bellman_target(
    reward: Float[Tensor, "task batch"],
    terminal: Float[Tensor, "task batch"],
    next_value: Float[Tensor, "task batch"],
    *,
    discount: float,
    reward_scale: float,
) -> Float[Tensor, "task batch"]:
    r"""Return the one-step target :math:`y = \rho r + (1-d)\,\gamma V(s')`, without gradient.

    Args:
        reward: r, unscaled.
        terminal: d, 1.0 where the episode ends without a next state.
        next_value: the bootstrap at s'.
        discount: γ.
        reward_scale: ρ.

    Returns:
        y, detached.

    Raises:
        ValueError: shapes differ.
    """
    require_same_shape(reward=reward, terminal=terminal, next_value=next_value)
    require_rank(2, reward=reward)
    return (reward_scale * reward + (1 - terminal) * discount * next_value).detach()


def twin_td_loss(q: Float[Tensor, "twin task batch"], target: Float[Tensor, "task batch"]) -> Float[Tensor, ""]:
    r"""Return the TD loss of a twin critic, :math:`\sum_j \operatorname{mean}(Q_j - y)^2`.

    Args:
        q: both predictions.
        target: y.

    Returns:
        Scalar; the mean over rows, summed over the twins.

    Raises:
        ValueError: a prediction and the target differ in shape.
    """
    require_rank(3, q=q)
    require_same_shape(prediction=q[0], target=target)
    return (q - target).square().mean(dim=(1, 2)).sum()


def value_loss(v: Float[Tensor, "*member task batch"], target: Float[Tensor, "task batch"]) -> Float[Tensor, ""]:
    r"""Return the loss of V's regression on a target, :math:`\operatorname{mean}(V - y)^2`; the target has no gradient.

    Args:
        v: values of a network, or of several.
        target: y.

    Returns:
        Scalar; the mean over rows, summed over the networks, so that each network moves as a single network does.

    Raises:
        ValueError: a network's values and the target differ in shape.
    """
    require_same_shape(v=v[(0,) * (v.dim() - 2)], target=target)
    return (v - target.detach()).square().mean(dim=(-2, -1)).sum()


def expectile_loss(
    v: Float[Tensor, "member task batch"], target: Float[Tensor, "task batch"], *, expectile: float
) -> Float[Tensor, ""]:
    r"""Return IQL's asymmetric regression loss, whose minimum is the τ-expectile of the target given the state.

    .. math:: \operatorname{mean}\, |\tau - 1[u < 0]|\, u^2, \qquad u = y - V

    Args:
        v: the networks' values.
        target: y, without gradient.
        expectile: τ; at 0.5 the loss is half of the mean square.

    Returns:
        Scalar; the mean over rows, summed over the networks.

    Raises:
        ValueError: a network's values and the target differ in shape.

    References:
        Kostrikov, Nair & Levine, "IQL", ICLR 2022, Eq. 5.
    """
    require_rank(3, v=v)
    require_same_shape(v=v[0], target=target)
    excess = target.detach() - v
    weight = (expectile - (excess < 0).to(v.dtype)).abs()
    return (weight * excess.square()).mean(dim=(-2, -1)).sum()


def smooth_action(
    action: Float[Tensor, "*rows action"],
    normal: Float[Tensor, "*rows action"],
    *,
    scale: float,
    clip: float,
) -> Float[Tensor, "*rows action"]:
    r"""Return TD3's smoothed action, :math:`\operatorname{clip}(a + \operatorname{clip}(\sigma\epsilon, \pm c), \pm1)`.

    Args:
        action: a, in [-1, 1].
        normal: ε ~ N(0, 1).
        scale: σ.
        clip: c.

    Returns:
        The noisy action, in [-1, 1].

    References:
        Fujimoto, van Hoof & Meger, "TD3", ICML 2018; Eq. 4 of SELECT, AAMAS 2025, is the same formula.
    """
    require_same_shape(action=action, normal=normal)
    return (action + (scale * normal).clamp(-clip, clip)).clamp(-1, 1)
