"""FOCAL: a deterministic encoder that keeps tasks apart in latent space."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import attrs

from selectrl.encoders.mean import MeanEncoder
from selectrl.functional.representation import metric_loss
from selectrl.protocols import Agent, Objective, Optim, Phase
from selectrl.structs import Batch, Losses, Spec

if TYPE_CHECKING:
    from selectrl.encoders.configs import FocalConfig


class FocalEncoder(MeanEncoder):
    """The mean of row embeddings, trained by the distance-metric loss alone; no critic gradient reaches it.

    Differs from FOCAL-ICLR's code: trained in the loop of CSRO (fixed offline data, independent context and RL draws)
    instead of re-sampling growing bootstrap buffers; z is detached everywhere outside this loss, as its optimiser order
    had it in effect. With a meta-batch drawn without replacement no two contexts share a task, so the loss only repels.

    References:
        Li, Yang & Luo, ICLR 2021.
    """

    critic_params: Mapping[str, Optim] = {}

    def __init__(self, config: FocalConfig, spec: Spec) -> None:
        next_obs = spec.dynamics_vary if config.next_obs is None else config.next_obs
        super().__init__(spec, config.latent_dim, config.hidden, next_obs)
        self.config = config

    def metric_term(self, batch: Batch) -> Losses:
        """Return the weighted distance-metric loss of this step's task variables."""
        metric = metric_loss(batch.latent.z[:, 0], batch.tasks)
        spread = batch.latent.z.std(dim=0).mean()
        return Losses(self.config.metric_weight * metric, {"metric": metric, "z_spread_over_tasks": spread})

    def loss(self, agent: Agent, batch: Batch) -> Losses:
        """The encoder's loss: the distance metric."""
        return self.metric_term(batch)

    def objectives(self) -> tuple[Objective, ...]:
        """Return what the encoder trains in the rl phase."""
        return (Objective(name="encoder", loss=self.loss, moves={"encoder.net": Optim(lr=self.config.lr)}),)

    def phases(self, rl: Phase) -> tuple[Phase, ...]:
        """Return the rl phase with the encoder's objectives in front."""
        return (attrs.evolve(rl, objectives=self.objectives() + rl.objectives, draws=(*rl.draws, self.context)),)
