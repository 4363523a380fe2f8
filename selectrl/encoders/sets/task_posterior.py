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
    """The running sums of each world."""

    errors: Tensor  # (world, class), squared errors of the predictions under each training task's z
    variance: Tensor  # (world,), variance of these predictions between tasks
    pooled: tuple[Any, ...]  # the aggregation's state


class TaskPosteriorEncoder(RowEncoder[TaskPosteriorConfig]):
    r"""CSRO's encoder, whose belief at meta-test is a posterior mean of the training tasks' z.

    A pooled context misleads when an agent collects it under a wrong belief: its states and actions differ from those
    of all behaviour policies of the task, and z depends on them too. Here z depends on states and actions only through
    predictions. A decoder is trained with the encoder to predict r (and s', where dynamics vary) from (s, a) and the
    task's z; at meta-test it predicts every transition under the z of every training task, and

    .. math:: z = \sum_t w_t c_t, \qquad w_t \propto \exp\frac{-\sum_i \lVert\hat x(s_i, a_i, c_t) - x_i\rVert^2}
       {2 h^2 \sum_i v_i}

    with :math:`c_t` the running mean of a task's z and v the variance of the predictions between tasks, see
    :func:`selectrl.functional.evidence.task_posterior`. The spread is the posterior's own; before any context z is the
    mean of all training tasks.

    The training of CSRO does not change: the decoder reads a detached z, so the policy equals that of the same method
    with ``encoders.csro``.

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
        """The anchors' loss: their squared distance to this step's task variables."""
        return self.anchors.loss(batch.tasks, batch.latent.features["mean"])

    def decoder_loss(self, agent: Agent, batch: Batch) -> Losses:
        """The decoder's loss: squared errors on rows outside the context of z."""
        errors = self.decoder.squared_errors(batch.draws["decode"], batch.latent.features["mean"].detach()[:, None])
        return Losses(sum(errors.values(), torch.zeros(())), errors)

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
        """Return the rl phase with the encoder's objectives first; it refuses data of more tasks than classes."""
        (phase,) = super().phases(rl)
        return (attrs.evolve(phase, prepare=make_class_check(self.config)),)

    def init(self, worlds: int) -> Evidence:
        """Return the initial state of worlds, before any transition."""
        zeros = self.anchors.total.new_zeros(worlds, self.config.classes)
        return Evidence(zeros, zeros[:, 0], self.pooling.init(self.net.weights[0], worlds))

    def step(self, state: Evidence, rows: Rows, live: Tensor) -> Evidence:
        """Add a transition (world, …) to each live world (world,)."""
        each = Rows(*(field[:, None] for field in rows))
        predicted = self.decoder.predict(each, self.anchors.means()[None])  # (world, class, column)
        errors, variance = prediction_errors(predicted, self.decoder.target(rows), self.anchors.has_mean())
        return Evidence(
            state.errors + torch.where(live[:, None], errors, 0),
            state.variance + torch.where(live, variance, 0),
            self.pooling.step(state.pooled, *self.embed(rows), live),
        )

    def read(self, state: Evidence) -> Belief:
        """Return the belief after the transitions so far; the pooled belief if width is None or before training."""
        pooled, width = self.pooling.read(state.pooled), self.config.width
        if width is None:
            return pooled
        has_mean, means = self.anchors.has_mean(), self.anchors.means()
        weights = task_posterior(state.errors, state.variance, has_mean, width=width)
        z = weights @ means
        spread = torch.einsum("wc,wcz->wz", weights, (means - z[:, None]).square()).sqrt()
        return Belief(torch.where(has_mean.any(), z, pooled.z), torch.where(has_mean.any(), spread, pooled.spread))
