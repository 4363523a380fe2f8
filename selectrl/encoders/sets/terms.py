"""Loss terms that several set encoders share: the distance metric, and CLUB's bound."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from selectrl.encoders.sets.configs import CsroConfig
from selectrl.functional.representation import club_bound, club_likelihood_loss, club_moments, metric_loss
from selectrl.nets.mlp import MLP
from selectrl.protocols import Agent, Objective, Optim
from selectrl.structs import Batch, Losses, Spec


def metric_term(batch: Batch, weight: float) -> Losses:
    """Return the weighted distance-metric loss of this step's task variables."""
    metric = metric_loss(batch.latent.z[:, 0], batch.tasks)
    spread = batch.latent.z.std(dim=0).mean()
    return Losses(weight * metric, {"metric": metric, "z_spread_over_tasks": spread})


class Club(MLP):
    """CLUB's estimator q(z | s, a), and CSRO's two losses with it; the agent's module ``encoder.club``.

    Args:
        config: widths and weights.
        spec: shapes of the family.
    """

    def __init__(self, config: CsroConfig, spec: Spec) -> None:
        super().__init__(spec.obs + spec.action, 0, config.club_hidden, 2 * config.latent_dim)
        self.config = config

    def moments(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the estimator's mean and variance for each context row, (task, context, latent)."""
        context = batch.draws["context"]
        raw = self(torch.cat((context.obs, context.action), -1))
        return club_moments(raw, squash=self.config.club_squash)

    def fit_loss(self, agent: Agent, batch: Batch) -> Losses:
        """The estimator's loss: likelihood of the row embeddings, detached from the encoder."""
        fit = club_likelihood_loss(batch.latent.features["rows"].detach(), *self.moments(batch))
        return Losses(self.config.club_fit_weight * fit, {"fit": fit})

    def encoder_loss(self, agent: Agent, batch: Batch) -> Losses:
        """The encoder's loss: CLUB's bound and the distance metric."""
        metric = metric_term(batch, self.config.metric_weight)
        bound = club_bound(batch.latent.features["rows"], *self.moments(batch))
        return Losses(metric.total + self.config.club_weight * bound, {**metric.terms, "club": bound})

    def objectives(self, moves: Mapping[str, Optim]) -> tuple[Objective, Objective]:
        """Return the estimator's objective and the encoder's, which moves the given parameters."""
        fit = Objective(name="club", loss=self.fit_loss, moves={"encoder.club": Optim(lr=self.config.club_lr)})
        return fit, Objective(name="encoder", loss=self.encoder_loss, moves=moves)
