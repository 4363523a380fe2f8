"""What a task makes of a state and an action, as far as its z tells: rewards and, where dynamics vary, transitions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from selectrl.functional.gaussians import reconstruction_loss
from selectrl.nets.mlp import MLP
from selectrl.structs import Rows, Spec


class Decoder(MLP):
    """Predicts (r, s' - s) from (s, a) and z; the change of state only where s' belongs to the context.

    Args:
        spec: shapes of the family.
        latent_dim: width of z.
        hidden: hidden widths.
        next_obs: whether s' belongs to the context.
    """

    def __init__(self, spec: Spec, latent_dim: int, hidden: Sequence[int], next_obs: bool) -> None:
        super().__init__(spec.obs + spec.action, latent_dim, hidden, 1 + spec.obs * next_obs)
        self.next_obs = next_obs

    def target(self, rows: Rows) -> Tensor:
        """Return what is to be predicted of rows (…), (…, 1 or 1 + obs)."""
        reward = rows.reward[..., None]
        return torch.cat((reward, rows.next_obs - rows.obs), -1) if self.next_obs else reward

    def predict(self, rows: Rows, z: Tensor) -> Tensor:
        """Return the prediction for rows (…) under z of as many axes and one more, (…, 1 or 1 + obs)."""
        return self(torch.cat((rows.obs, rows.action), -1), z)

    def squared_errors(self, rows: Rows, z: Tensor) -> dict[str, Tensor]:
        """Return the mean squared errors ``reward`` and ``next_obs`` of rows (task, row) under z (task, 1, latent)."""
        found, target = self.predict(rows, z), self.target(rows)
        missed = {"reward": reconstruction_loss(found[..., :1], target[..., :1])}
        if self.next_obs:
            missed["next_obs"] = reconstruction_loss(found[..., 1:], target[..., 1:])
        return missed
