"""FOCAL: a deterministic encoder that keeps tasks apart in latent space."""

from __future__ import annotations

from typing import TYPE_CHECKING

from selectrl.encoders.set_encoder import SetEncoder
from selectrl.functional.representation import metric_loss
from selectrl.protocols import Agent, Objective
from selectrl.structs import Batch, Losses, Spec

if TYPE_CHECKING:
    from selectrl.encoders.configs.sets import FocalConfig


class FocalEncoder(SetEncoder):
    """A set encoder trained by the distance-metric loss alone; no critic gradient reaches it.

    Differs from FOCAL-ICLR's code: trained in the loop of CSRO (fixed offline data, independent context and RL draws)
    instead of re-sampling growing bootstrap buffers; z is detached everywhere outside this loss, as its optimiser order
    had it in effect. With a meta-batch drawn without replacement no two contexts share a task, so the loss only repels.

    References:
        Li, Yang & Luo, ICLR 2021.
    """

    def __init__(self, config: FocalConfig, spec: Spec) -> None:
        super().__init__(config, spec)
        self.metric_weight = config.metric_weight

    def metric_term(self, batch: Batch) -> Losses:
        """Return the weighted distance-metric loss of this step's task variables."""
        metric = metric_loss(batch.latent.z[:, 0], batch.tasks)
        spread = batch.latent.z.std(dim=0).mean()
        return Losses(self.metric_weight * metric, {"metric": metric, "z_spread_over_tasks": spread})

    def loss(self, agent: Agent, batch: Batch) -> Losses:
        """The encoder's loss: the distance metric."""
        return self.metric_term(batch)

    def objectives(self) -> tuple[Objective, ...]:
        """Return what the encoder trains in the rl phase."""
        return (Objective(name="encoder", loss=self.loss, moves=self.optims),)
