"""Beliefs that stay among the training tasks' own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from selectrl.encoders.aggregations import Pooled
from selectrl.encoders.anchors import Anchors
from selectrl.encoders.classes import room_for_tasks
from selectrl.encoders.csro import CsroEncoder
from selectrl.protocols import Agent, Objective, Optim, Phase
from selectrl.structs import Batch, Belief, Losses, Spec

if TYPE_CHECKING:
    from selectrl.encoders.configs.sets import AnchoredConfig


class AnchoredEncoder(CsroEncoder):
    """CSRO's encoder, whose beliefs at meta-test are brought back to where the training tasks' z lie.

    Context that an agent collects under a wrong belief holds states and actions that no behaviour policy of its task
    would have brought, and pools to a z that no training task has: policy and critic never saw it, and what they do
    under it confirms it. So ``read`` gives a mean of the training tasks' own z, weighted by their nearness.

    Training is CSRO's to the bit: batches are encoded as they are there, and only the anchors follow.

    References:
        Gao et al., NeurIPS 2023, for what is trained; the anchors are ours.
    """

    def __init__(self, config: AnchoredConfig, spec: Spec) -> None:
        super().__init__(config, spec)
        self.anchored = config
        self.anchors = Anchors(config.classes, config.latent_dim)

    def read(self, state: Pooled) -> Belief:
        """Return the belief after what was seen, its mean among the anchors unless the width is None."""
        belief, width = super().read(state), self.anchored.width
        return belief if width is None else belief._replace(z=self.anchors.project(belief.z, width))

    def anchor_loss(self, agent: Agent, batch: Batch) -> Losses:
        """The anchors' loss: how far they are from this step's task variables."""
        return self.anchors.loss(batch.tasks, batch.latent.features["mean"])

    def objectives(self) -> tuple[Objective, ...]:
        """Return CSRO's objectives and the anchors'."""
        moves = {"encoder.anchors": Optim(name="sgd", lr=self.anchored.anchor_rate)}
        return (*super().objectives(), Objective(name="anchors", loss=self.anchor_loss, moves=moves))

    def phases(self, rl: Phase) -> tuple[Phase, ...]:
        """Return the rl phase with the encoder's objectives in front; it refuses data of more tasks than anchors."""
        (phase,) = super().phases(rl)
        return (attrs.evolve(phase, prepare=room_for_tasks(self.anchored)),)
