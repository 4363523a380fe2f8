"""FOCAL: a deterministic encoder that separates tasks in latent space."""

from __future__ import annotations

from selectrl.encoders.sets.configs import FocalConfig
from selectrl.encoders.sets.set_encoder import SetEncoder
from selectrl.encoders.sets.terms import metric_term
from selectrl.protocols import Agent, Objective
from selectrl.structs import Batch, Losses


class FocalEncoder(SetEncoder[FocalConfig]):
    """A set encoder trained only by the distance-metric loss; no critic gradient reaches it.

    Differs from FOCAL-ICLR's code: it is trained in the loop of CSRO (fixed offline data, independent context and RL
    draws), not from growing bootstrap buffers; z is detached everywhere outside this loss, as is effectively the case
    in FOCAL's order of optimisers. A meta-batch drawn without replacement has a single context per task, so the loss
    only repels.

    References:
        Li, Yang & Luo, ICLR 2021.
    """

    def loss(self, agent: Agent, batch: Batch) -> Losses:
        """The encoder's loss: the distance metric."""
        return metric_term(batch, self.config.metric_weight)

    def objectives(self) -> tuple[Objective, ...]:
        """Return the encoder's objective."""
        return (Objective(name="encoder", loss=self.loss, moves=self.optims),)
