"""FOCAL: a deterministic encoder that keeps tasks apart in latent space."""

from __future__ import annotations

from selectrl.encoders.sets.configs import FocalConfig
from selectrl.encoders.sets.set_encoder import SetEncoder
from selectrl.encoders.sets.terms import metric_term
from selectrl.protocols import Agent, Objective
from selectrl.structs import Batch, Losses


class FocalEncoder(SetEncoder[FocalConfig]):
    """A set encoder trained by the distance-metric loss alone; no critic gradient reaches it.

    Differs from FOCAL-ICLR's code: trained in the loop of CSRO (fixed offline data, independent context and RL draws)
    instead of re-sampling growing bootstrap buffers; z is detached everywhere outside this loss, as its optimiser order
    had it in effect. With a meta-batch drawn without replacement no two contexts share a task, so the loss only repels.

    References:
        Li, Yang & Luo, ICLR 2021.
    """

    def loss(self, agent: Agent, batch: Batch) -> Losses:
        """The encoder's loss: the distance metric."""
        return metric_term(batch, self.config.metric_weight)

    def objectives(self) -> tuple[Objective, ...]:
        """Return what the encoder trains in the rl phase."""
        return (Objective(name="encoder", loss=self.loss, moves=self.optims),)
