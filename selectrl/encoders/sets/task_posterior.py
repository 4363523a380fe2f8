"""A posterior over the training tasks, in place of a pooled context."""

from __future__ import annotations

from typing import Any, NamedTuple

import attrs
import torch
from torch import Tensor

from selectrl.encoders.sets.anchors import Anchors
from selectrl.encoders.sets.classes import make_class_check
from selectrl.encoders.sets.configs import TaskPosteriorConfig
from selectrl.encoders.sets.decoder import Decoder
from selectrl.encoders.sets.set_encoder import RowEncoder
from selectrl.encoders.sets.terms import Club
from selectrl.functional.evidence import prediction_errors, task_posterior
from selectrl.protocols import Agent, Draw, Objective, Optim, Phase
from selectrl.structs import Batch, Belief, Losses, Rows, Spec


class Evidence(NamedTuple):
    """What was seen so far by each world."""

    missed: Tensor  # (world, class), squared errors of the predictions under each training task's z
    apart: Tensor  # (world,), how far those predictions lay apart
    pooled: tuple[Any, ...]  # the aggregation's own


class TaskPosteriorEncoder(RowEncoder[TaskPosteriorConfig]):
    r"""CSRO's encoder, whose belief at meta-test is a mean of the training tasks' z by how well they explain rewards.

    A pooled context is wrong where an agent collects it under a wrong belief: its states and actions are such as no
    behaviour policy of its task brought about, and z follows them, too. Here states and actions are only what is asked
    about. A decoder is trained beside the encoder to predict r (and s', where dynamics vary) from (s, a) and the
    task's z; at meta-test it predicts every transition under the z of every training task, and

    .. math:: z = \sum_t w_t c_t, \qquad w_t \propto \exp\frac{-\sum_i \lVert\hat x(s_i, a_i, c_t) - x_i\rVert^2}
       {2 h^2 \sum_i v_i}

    with :math:`c_t` the running mean of a task's z and v the variance of the predictions between tasks, see
    :func:`selectrl.functional.evidence.task_posterior`. The spread is the posterior's own; before any context z is the
    mean of all training tasks.

    What CSRO trains stays as it is: z reaches the decoder cut off, so a policy is that of the same method on
    ``encoders.csro``.

    References:
        Gao et al., "Context Shift Reduction for Offline Meta-Reinforcement Learning", NeurIPS 2023, for training;
        the posterior is ours. Decoders of rewards and transitions are VariBAD's, UNICORN's and GENTLE's.
    """

    def __init__(self, config: TaskPosteriorConfig, spec: Spec) -> None:
        super().__init__(config, spec)
        self.club = Club(config, spec)
        self.anchors = Anchors(config.classes, config.latent_dim)
        self.decoder = Decoder(spec, config.latent_dim, config.decoder_hidden, "next_obs" in self.fields)
        self.decoded = Draw("decode", "context", self.fields)

    def anchor_loss(self, agent: Agent, batch: Batch) -> Losses:
        """The anchors' loss: how far they are from this step's task variables."""
        return self.anchors.loss(batch.tasks, batch.latent.features["mean"])

    def decoder_loss(self, agent: Agent, batch: Batch) -> Losses:
        """The decoder's loss: squared errors on rows that z was not made of."""
        missed = self.decoder.squared_errors(batch.draws["decode"], batch.latent.features["mean"].detach()[:, None])
        return Losses(sum(missed.values(), torch.zeros(())), missed)

    def objectives(self) -> tuple[Objective, ...]:
        """Return CSRO's objectives, the anchors' and the decoder's."""
        follow = Optim(name="sgd", lr=self.config.anchor_rate)
        predict = Optim(lr=self.config.decoder_lr)
        return (
            *self.club.objectives(self.optims),
            Objective(name="anchors", loss=self.anchor_loss, moves={"encoder.anchors": follow}),
            Objective(
                name="decoder", loss=self.decoder_loss, moves={"encoder.decoder": predict}, draws=(self.decoded,)
            ),
        )

    def phases(self, rl: Phase) -> tuple[Phase, ...]:
        """Return the rl phase with the encoder's objectives in front; it refuses data of more tasks than classes."""
        (phase,) = super().phases(rl)
        return (attrs.evolve(phase, prepare=make_class_check(self.config)),)

    def init(self, worlds: int) -> Evidence:
        """Return the state of so many worlds that have seen nothing."""
        zeros = self.anchors.total.new_zeros(worlds, self.config.classes)
        return Evidence(zeros, zeros[:, 0], self.pooling.init(self.net.weights[0], worlds))

    def step(self, state: Evidence, rows: Rows, live: Tensor) -> Evidence:
        """Add one transition (world, …) to each world where live (world,) is true."""
        each = Rows(*(field[:, None] for field in rows))
        predicted = self.decoder.predict(each, self.anchors.means()[None])  # (world, class, column)
        missed, apart = prediction_errors(predicted, self.decoder.target(rows), self.anchors.has_mean())
        return Evidence(
            state.missed + torch.where(live[:, None], missed, 0),
            state.apart + torch.where(live, apart, 0),
            self.pooling.step(state.pooled, *self.embed(rows), live),
        )

    def read(self, state: Evidence) -> Belief:
        """Return the belief after what was seen; the set encoder's own if the width is None or before any training."""
        pooled, width = self.pooling.read(state.pooled), self.config.width
        if width is None:
            return pooled
        known, means = self.anchors.has_mean(), self.anchors.means()
        weights = task_posterior(state.missed, state.apart, known, width=width)
        z = weights @ means
        spread = torch.einsum("wc,wcz->wz", weights, (means - z[:, None]).square()).sqrt()
        return Belief(torch.where(known.any(), z, pooled.z), torch.where(known.any(), spread, pooled.spread))
