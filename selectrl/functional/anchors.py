"""Task variables brought back to where those of the training tasks lie."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from selectrl.functional.checks import rank, same_shape


def interpolate(
    z: Float[Tensor, "world latent"],
    anchors: Float[Tensor, "task latent"],
    known: Bool[Tensor, "task"],
    *,
    width: float,
) -> Float[Tensor, "world latent"]:
    r"""Replace each z by a mean of the known anchors, weighted by how near to it they are.

    .. math:: z' = \sum_t w_t c_t, \qquad w = \operatorname{softmax}_t\frac{-\lVert z - c_t\rVert^2}{2 h^2 \delta^2},
       \qquad \delta = \operatorname{mean}_t \min_{u \ne t} \lVert c_t - c_u\rVert

    The result lies among the anchors, however far off z is; near an anchor that stands apart it is that anchor.

    Args:
        z: task variables.
        anchors: c, one per training task; those that are not known count nowhere, not even in δ.
        known: which anchors are known; where none is, z comes back as it is.
        width: h, the kernel's deviation in units of δ, the mean distance from an anchor to the nearest other one.

    Returns:
        Task variables among the anchors.

    Raises:
        ValueError: z or the anchors have not two axes, they differ in width, or there is not one flag per anchor.

    References:
        Nadaraya, 1964, and Watson, 1964, for the estimator; on latents of training tasks it is ours.
    """
    rank(2, z=z, anchors=anchors)
    same_shape(z=z[0], anchors=anchors[0])
    same_shape(anchors=anchors[:, 0], known=known)
    others = known[:, None] & known[None, :] & ~torch.eye(len(known), dtype=torch.bool, device=known.device)
    apart = (anchors[:, None] - anchors[None, :]).square().sum(-1).sqrt().masked_fill(~others, torch.inf)
    delta = apart.amin(1).where(known, 0).sum() / known.sum()  # infinite of one anchor alone, which then has all weight
    scale = (2 * (width * delta).square()).clamp(min=torch.finfo(z.dtype).tiny)
    far = (z[:, None] - anchors[None, :]).square().sum(-1).masked_fill(~known, torch.inf)  # (world, task)
    further = far - far.amin(1, keepdim=True)  # 0 for the nearest, so that a narrow kernel leaves it a weight
    weight = (-further / scale).masked_fill(~known, -torch.inf).softmax(-1)
    return torch.where(known.any(), weight @ anchors, z)
