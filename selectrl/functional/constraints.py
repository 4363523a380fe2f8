"""Policy constraints: SELECT's weighted behaviour cloning and BRAC's dual divergence."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import softplus

from selectrl.functional.checks import require_rank, require_same_shape


def q_scale(q: Float[Tensor, "task batch"], *, alpha: float) -> Float[Tensor, ""]:
    r"""Return SELECT's Eq. 2, :math:`\lambda = \alpha / \max(\operatorname{mean}|Q|, 10^{-6})`, without gradient.

    Args:
        q: values whose magnitude normalises the Q term.
        alpha: α, the weight of the Q term against the cloning term.

    Returns:
        Scalar, the same for all tasks.

    References:
        SELECT, AAMAS 2025, Eq. 2; Fujimoto & Gu, "TD3+BC", NeurIPS 2021.
    """
    require_rank(2, q=q)
    return alpha / q.detach().abs().mean().clamp(min=1e-6)


def weighted_cloning_loss(
    q: Float[Tensor, "task batch"],
    action: Float[Tensor, "task batch action"],
    data_action: Float[Tensor, "task batch action"],
    weight: Float[Tensor, "task batch"],
    scale: Float[Tensor, ""],
) -> Float[Tensor, ""]:
    r"""Return SELECT's actor loss, the negative of Eq. 1.

    .. math:: -\lambda\,\operatorname{mean} Q + \operatorname{mean}_{t,i,d}\, w\,(\pi - a)^2

    Args:
        q: Q₁(s, π(s, z), z).
        action: π(s, z).
        data_action: a.
        weight: w(s, a), without gradient.
        scale: λ.

    Returns:
        Scalar; both means are over all rows, including those with w = 0, the second over action dimensions too.

    Raises:
        ValueError: shapes differ.

    References:
        SELECT, AAMAS 2025, Eq. 1.
    """
    require_same_shape(q=q, weight=weight, rows=action[..., 0])
    require_same_shape(action=action, data_action=data_action)
    return -scale * q.mean() + (weight[..., None] * (action - data_action).square()).mean()


def relative_advantage(advantage: Float[Tensor, "task batch"]) -> Float[Tensor, "task batch"]:
    r"""Return the advantage over its mean size, :math:`A / \max(\operatorname{mean}|A|, 10^{-6})`, without gradient.

    A change of the scale of rewards, and so of all values, does not change it.

    Args:
        advantage: A of all rows of all tasks.

    Returns:
        The advantage of each row, divided by the same scalar.
    """
    require_rank(2, advantage=advantage)
    fixed = advantage.detach()
    return fixed / fixed.abs().mean().clamp(min=1e-6)


def top_fraction(advantage: Float[Tensor, "task batch"], *, fraction: float) -> Float[Tensor, "task batch"]:
    r"""Mark the rows with the largest advantage, :math:`1[A \ge A_{(k)}]`, k the rounded share of all rows, at least 1.

    Args:
        advantage: A; the rows of all tasks are ranked together.
        fraction: the share of rows to mark.

    Returns:
        1 or 0 per row, without gradient. All rows that tie with the last marked row are marked.
    """
    require_rank(2, advantage=advantage)
    rows = advantage.detach().flatten()
    k = max(1, round(fraction * len(rows)))
    last = rows.sort().values[len(rows) - k]
    return (advantage.detach() >= last).to(advantage.dtype)


def dual_kl(c_policy: Float[Tensor, "task batch"], c_data: Float[Tensor, "task batch"]) -> Float[Tensor, "task batch"]:
    r"""Return BRAC's dual estimate of KL(π‖β) per row.

    .. math:: 1 + \log(g_\pi + 10^{-8}) - g_\beta, \qquad g = \operatorname{softplus}(c)

    Args:
        c_policy: dual critic at the policy's action.
        c_data: dual critic at the data's action.

    Returns:
        The estimate of each row, a lower bound in expectation.

    Raises:
        ValueError: shapes differ.

    References:
        Wu, Tucker & Nachum, "BRAC", 2019.
    """
    require_same_shape(c_policy=c_policy, c_data=c_data)
    return 1 + (softplus(c_policy) + 1e-8).log() - softplus(c_data)


def magnitude_penalty(c: Float[Tensor, "task batch"]) -> Float[Tensor, ""]:
    r"""Return the dual critic's penalty in CSRO's and FOCAL's code.

    .. math:: \operatorname{mean}\max(\sqrt{c^2+10^{-8}} - 1, 0)^2

    Args:
        c: dual critic at actions between the policy's and the data's.

    Returns:
        Scalar.

    Differs from BRAC, which penalises the norm of the gradient where this port penalises the magnitude of c.
    """
    return ((c.square() + 1e-8).sqrt() - 1).clamp(min=0).square().mean()
