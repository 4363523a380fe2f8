"""A decoder of rewards and, where dynamics vary, transitions from a state, an action and the task's z."""

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
        """Return the targets of rows (…), (…, 1 or 1 + obs)."""
        reward = rows.reward[..., None]
        return torch.cat((reward, rows.next_obs - rows.obs), -1) if self.next_obs else reward

    def predict(self, rows: Rows, z: Tensor) -> Tensor:
        """Return the prediction for rows (…) under z (…, latent), (…, 1 or 1 + obs)."""
        return self(torch.cat((rows.obs, rows.action), -1), z)

    def squared_errors(self, rows: Rows, z: Tensor) -> dict[str, Tensor]:
        """Return the mean squared errors ``reward`` and ``next_obs`` of rows (task, row) under z (task, 1, latent)."""
        prediction, target = self.predict(rows, z), self.target(rows)
        errors = {"reward": reconstruction_loss(prediction[..., :1], target[..., :1])}
        if self.next_obs:
            errors["next_obs"] = reconstruction_loss(prediction[..., 1:], target[..., 1:])
        return errors
