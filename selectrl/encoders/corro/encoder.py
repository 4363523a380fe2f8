"""CORRO: an encoder that contrasts a task's transitions with outcomes of the same (s, a) in other tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import torch
from torch import Tensor

from selectrl.encoders.corro.configs import CorroConfig
from selectrl.encoders.corro.negatives import read_task_rows, standard_units
from selectrl.encoders.sets.set_encoder import SetEncoder
from selectrl.errors import CompositionError, RunError
from selectrl.functional.contrastive import info_nce
from selectrl.pieces import Negatives
from selectrl.protocols import Agent, Draw, Objective, Optim, Phase, TrainingRows
from selectrl.registry import NEGATIVES, tag
from selectrl.structs import Batch, Latent, Losses, Rows, Spec

if TYPE_CHECKING:
    from numpy.random import Generator


class CorroEncoder(SetEncoder[CorroConfig]):
    """A row network trained by InfoNCE in a separate phase, then frozen, with a pooling that the TD loss trains.

    Phases: those of the source of negatives, ``contrastive``, and rl, which looks up the row network's embeddings of
    all training rows in a table.

    Differs from the authors' code (numbers are those of PKU-RL/CORRO at 210ad40):

    1. One run with three phases; theirs are three scripts that pass checkpoints on, the last tenth of each unused.
    2. Query and key are stratified over the tasks of a meta-batch, 16 times 4; theirs are 64 i.i.d. draws. In the rl
       phase tasks are drawn for each step and differ within a meta-batch; theirs are drawn with replacement
       (``train.replacement``) and kept for 200 updates (``train.hold_tasks``).
    3. The context in the rl phase may be independent rows; theirs is a trajectory (``context_draw="episodes"``).
    4. The gradients of both critics reach the pooling in one backward pass, which equals their two passes.
    5. No data of test tasks is used in training; the split is by task id, not by the order of files.
    6. Negatives may be similar to the query's own task, as in their code.
    7. The row network reads standardised columns; theirs reads unscaled columns. On Half-Cheetah-Vel positions and
       velocities then dominate the reward, and all rows still have the same embedding after 3,000 steps
       (``standardise=False``).
    8. A fall ends the bootstrap; their data do not record terminals, so that every transition bootstraps.
    9. A collapse stops the run with a message before the rl phase; their code continues with the same z for all tasks.

    Args:
        config: widths, pooling, negatives and the contrastive phase.
        spec: shapes of the family.

    Raises:
        CompositionError: the aggregation reads outputs of the row network that no phase trains.

    References:
        Yuan & Lu, "Robust Task Representations for Offline Meta-RL via Contrastive Learning", ICML 2022.
    """

    centre: Tensor  # (width,), mean of the row network's columns over the training rows; kept in checkpoints
    scale: Tensor  # (width,), their deviation
    cache: Tensor  # (task, row, latent), embeddings of the training tasks' rows
    place: Tensor  # (task id,), a task's place in that table

    def __init__(self, config: CorroConfig, spec: Spec) -> None:
        super().__init__(config, spec)
        if self.pooling.extra:
            raise CompositionError(
                "encoders.corro trains only the embeddings of its row network, so the weights that "
                f"{tag(config.aggregation)} also reads would stay untrained; bind "
                "encoders.corro.aggregation = @aggregations.attention()"
            )
        self.negatives: Negatives = NEGATIVES.build(config.negatives, spec)
        self.query, self.key = (Draw(name, "context", self.fields, config.queries) for name in ("query", "key"))
        if config.context_draw == "episodes":
            self.context = Draw("context", "episodes", self.fields, 1)
        pooling = list(self.pooling.parameters())
        self.critic_params = {"encoder.pooling": Optim(lr=config.lr)} if pooling else {}
        width = self.net.rows
        self.register_buffer("centre", torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))
        self.register_buffer("cache", torch.zeros(0), persistent=False)
        self.register_buffer("place", torch.zeros(0, dtype=torch.int64), persistent=False)

    def columns(self, rows: Rows) -> Tensor:
        """Return the inputs of the row network, in standard units after ``prepare_units``."""
        return (super().columns(rows) - self.centre) / self.scale

    def candidates(self, batch: Batch) -> Rows:
        """Return each query, its key and its negatives, in this order, (task, query, 2 + K, …)."""
        query, key = batch.draws["query"], batch.draws["key"]
        reward, next_obs = self.negatives.replace(query, batch)
        count = reward.shape[2]

        def join(name: str, negatives: Tensor | None = None) -> Tensor:
            of_query, of_key = (getattr(rows, name)[:, :, None] for rows in (query, key))
            if negatives is None:
                negatives = of_query.expand(-1, -1, count, *of_query.shape[3:])
            return torch.cat((of_query, of_key, negatives), 2)

        return Rows(
            obs=join("obs"),
            action=join("action"),
            reward=join("reward", reward),
            next_obs=join("next_obs", next_obs if "next_obs" in self.fields else None),
            terminal=join("terminal"),
            row=join("row"),
        )

    def loss(self, agent: Agent, batch: Batch) -> Losses:
        """The contrastive loss, with one forward pass for queries, keys and negatives."""
        z, _ = self.embed(self.candidates(batch))  # (task, query, 2 + K, latent)
        query, key, negatives = z[:, :, 0], z[:, :, 1], z[:, :, 2:]
        loss = info_nce(query, key, negatives, temperature=self.config.temperature)
        key_similarity = (query * key).sum(-1).mean()
        negative_similarity = (query[:, :, None] * negatives).sum(-1).mean()
        terms = {"loss": loss, "key_similarity": key_similarity, "negative_similarity": negative_similarity}
        return Losses(loss, terms)

    def objectives(self) -> tuple[Objective, ...]:
        """Return no objectives: in the rl phase the row network is frozen."""
        return ()

    def phases(self, rl: Phase) -> tuple[Phase, ...]:
        """Return the phases of the negatives, the contrastive phase, and the rl phase with a table of embeddings."""
        contrast = Objective(
            name="contrastive",
            loss=self.loss,
            moves={"encoder.net": Optim(lr=self.config.lr)},
            draws=(self.query, self.key),
            noise=(self.negatives.noise(self.config.negative_count),),
        )
        contrastive = Phase(
            name="contrastive",
            steps=self.config.contrastive_steps,
            objectives=(contrast,),
            encodes=False,
            prepare=self.prepare_units,
        )
        (rl,) = super().phases(rl)
        return (*self.negatives.phases(), contrastive, attrs.evolve(rl, prepare=self.prepare))

    def prepare_units(self, store: TrainingRows, generator: Generator) -> dict[str, Tensor]:
        """Return the buffers of the negatives, and the units of the row network's inputs."""
        buffers = self.negatives.prepare(store, generator)
        if not self.config.standardise:
            return buffers
        centre, scale = standard_units(store, super().columns, self.fields)
        return {**buffers, "encoder.centre": centre, "encoder.scale": scale}

    @torch.no_grad()
    def prepare(self, store: TrainingRows, generator: Generator) -> dict[str, Tensor]:
        """Return the embeddings of every row of the training tasks.

        Raises:
            RunError: the embeddings have collapsed to a point.
        """
        tables, stored = [], []
        for task in range(len(store.tasks)):
            rows = read_task_rows(store, task, self.fields)
            tables.append(self.embed(rows)[0])
            stored.append(tables[-1][rows.row >= 0])
        if (spread := float(torch.cat(stored).var(0, correction=0).sum())) < self.config.min_spread:
            advice = "" if self.config.standardise else ", or bind encoders.corro.standardise = True"
            raise RunError(
                f"encoders.corro has collapsed: the variance of all training rows' embeddings is {spread:.2g}, but "
                f"min_spread is {self.config.min_spread:g}, so every task would have the same z; raise "
                f"encoders.corro.contrastive_steps ({self.config.contrastive_steps}) or encoders.corro.lr{advice}"
            )
        return {"encoder.cache": torch.cat(tables), "encoder.place": store.place}

    def encode(self, batch: Batch) -> Latent:
        """Pool each task's context, from the table if it is filled; rows after an episode's end do not count.

        Features are those of every set encoder: ``rows`` (task, context, latent), ``mean`` and ``spread``.
        """
        context = batch.draws["context"]
        if self.cache.numel():
            rows = self.cache[self.place[batch.tasks][:, None], context.row.clamp(min=0)]
        else:
            rows, _ = self.embed(context)
        belief = self.pooling.pool(rows, rows[..., :0], context.row >= 0)
        z = belief.z[:, None]
        return Latent(z, z, {"rows": rows, "mean": belief.z, "spread": belief.spread})
