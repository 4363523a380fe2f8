"""CSRO's max-min mutual information, which SELECT uses too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from selectrl.encoders.focal import FocalEncoder
from selectrl.functional.representation import club_bound, club_likelihood_loss, club_moments
from selectrl.nets.mlp import MLP
from selectrl.protocols import Agent, Objective, Optim
from selectrl.structs import Batch, Losses, Spec

if TYPE_CHECKING:
    from selectrl.encoders.configs.sets import CsroConfig


class CsroEncoder(FocalEncoder):
    r"""FOCAL's loss pulls information on the task into z; CLUB's bound keeps the behaviour policy's style out of it.

    Two objectives, in this order: the estimator q(z | s, a) is fitted to the row embeddings, then the encoder minimises
    :math:`w_{club} L_{club} + 10\,L_{DML}` with the estimator frozen at its new parameters.

    Differs from CSRO's code in cost alone: the bound over all pairs of rows is computed in its exact linear form, not
    on an M×M grid, and the context is embedded once per step. What it conditions on, (s, a), is CSRO's choice in all
    six shipped configurations.

    References:
        Gao et al., "Context Shift Reduction for Offline Meta-Reinforcement Learning", NeurIPS 2023; SELECT, AAMAS 2025.
    """

    def __init__(self, config: CsroConfig, spec: Spec) -> None:
        super().__init__(config, spec)
        self.csro = config
        self.club = MLP(spec.obs + spec.action, 0, config.club_hidden, 2 * config.latent_dim)

    def club_terms(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return mean and variance that the estimator gives each context row, (task, context, latent)."""
        context = batch.draws["context"]
        raw = self.club(torch.cat((context.obs, context.action), -1))
        return club_moments(raw, squash=self.csro.club_squash)

    def club_loss(self, agent: Agent, batch: Batch) -> Losses:
        """The estimator's loss: likelihood of the row embeddings, which are cut from the encoder."""
        fit = club_likelihood_loss(batch.latent.features["rows"].detach(), *self.club_terms(batch))
        return Losses(self.csro.club_fit_weight * fit, {"fit": fit})

    def loss(self, agent: Agent, batch: Batch) -> Losses:
        """The encoder's loss: CLUB's bound and the distance metric."""
        metric = self.metric_term(batch)
        bound = club_bound(batch.latent.features["rows"], *self.club_terms(batch))
        return Losses(metric.total + self.csro.club_weight * bound, {**metric.terms, "club": bound})

    def objectives(self) -> tuple[Objective, ...]:
        """Return the estimator's objective and the encoder's."""
        fit = Objective(name="club", loss=self.club_loss, moves={"encoder.club": Optim(lr=self.csro.club_lr)})
        return (fit, *super().objectives())
