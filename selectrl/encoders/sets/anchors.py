"""The places of the training tasks in latent space, learned together with an encoder."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from selectrl.structs import Losses


class Anchors(nn.Module):
    r"""The running mean of each training task's z, by task id.

    A plain gradient step of rate η on :math:`\tfrac12\lVert s_t - z_t\rVert^2 + \tfrac12(m_t - 1)^2` is
    :math:`s_t \leftarrow s_t + \eta(z_t - s_t)`, and likewise for m: the loss stays a pure function, and the means are
    saved, resumed and stacked like all parameters. From zeros, :math:`s_t / m_t` is the mean without a bias towards
    zero, as in Adam, and :math:`m_t > 0` if the task has occurred.

    Args:
        classes: number of task ids.
        latent_dim: width of z.
    """

    def __init__(self, classes: int, latent_dim: int) -> None:
        super().__init__()
        self.total = nn.Parameter(torch.zeros(classes, latent_dim))
        self.mass = nn.Parameter(torch.zeros(classes))

    def loss(self, tasks: Tensor, z: Tensor) -> Losses:
        """Return the loss whose gradient step follows z (task, latent) of the tasks (task,), without gradient for z."""
        errors = (self.total[tasks] - z.detach()).square().sum(-1)  # (task,)
        return Losses(0.5 * (errors + (self.mass[tasks] - 1).square()).sum(), {"missed": errors.mean()})

    def has_mean(self) -> Tensor:
        """Return which tasks have a mean because they have occurred, (class,)."""
        return self.mass > 0

    def means(self) -> Tensor:
        """Return the mean z of each task, (class, latent); 0 for a task without a mean."""
        return self.total / torch.where(self.has_mean(), self.mass, 1)[:, None]
