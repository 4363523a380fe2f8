"""Encoders of unordered sets of transitions: the base of FOCAL, CSRO, SELECT, OffPEARL and CORRO."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Generic, TypeVar

import attrs
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from selectrl.encoders.sets.configs import SetConfig
from selectrl.nets.mlp import MLP
from selectrl.pieces import Aggregation
from selectrl.protocols import Draw, Noise, Objective, Optim, Phase
from selectrl.registry import AGGREGATIONS
from selectrl.structs import Batch, Belief, Latent, Rows, Spec

C = TypeVar("C", bound=SetConfig)


class RowEncoder(nn.Module, ABC, Generic[C]):
    """Embeds each transition by a network and aggregates the embeddings, in any order, to the task variable.

    A sampled aggregation (the product of Gaussians) draws z in training and gives its mean at meta-test.

    Args:
        config: widths, squashing and aggregation.
        spec: shapes of the family.
    """

    critic_params: Mapping[str, Optim] = {}

    def __init__(self, config: C, spec: Spec) -> None:
        super().__init__()
        next_obs = spec.dynamics_vary if config.next_obs is None else config.next_obs
        self.config = config
        self.latent_dim = config.latent_dim
        self.fields = ("obs", "action", "reward", "next_obs") if next_obs else ("obs", "action", "reward")
        self.context = Draw("context", "context", self.fields)
        self.pooling: Aggregation[tuple[Any, ...]] = AGGREGATIONS.build(config.aggregation, config.latent_dim)
        width = spec.obs + spec.action + 1 + spec.obs * next_obs
        self.net = MLP(width, 0, config.hidden, config.latent_dim + self.pooling.extra)
        self.noise = (Noise("latent", "normal", ("task", 1, config.latent_dim)),) if self.pooling.sampled else ()

    @property
    def optims(self) -> dict[str, Optim]:
        """Prefixes of all parameters of z, with their optimiser."""
        parts = ["net", "pooling"] if list(self.pooling.parameters()) else ["net"]
        return {f"encoder.{part}": Optim(lr=self.config.lr) for part in parts}

    def columns(self, rows: Rows) -> Tensor:
        """Return the inputs of the row network: rows (…) -> (…, width)."""
        columns = [rows.obs, rows.action, rows.reward[..., None]]
        return torch.cat([*columns, rows.next_obs] if "next_obs" in self.fields else columns, -1)

    def embed(self, rows: Rows) -> tuple[Tensor, Tensor]:
        """Embed each transition: rows (…) -> embeddings (…, latent) and inputs of the aggregation (…, extra)."""
        out = self.net(self.columns(rows))
        embedding, raw = out[..., : self.latent_dim], out[..., self.latent_dim :]
        if self.config.squash == "tanh":
            embedding = embedding.tanh()
        elif self.config.squash == "sphere":
            embedding = normalize(embedding, dim=-1)
        return embedding, raw

    def encode(self, batch: Batch) -> Latent:
        """Encode each task's context.

        Features are the row embeddings ``rows`` (task, context, latent), and ``mean`` and ``spread`` of the aggregation
        (task, latent).
        """
        rows, raw = self.embed(batch.draws["context"])
        belief = self.pooling.pool(rows, raw)
        z = belief.z[:, None]
        if self.pooling.sampled:
            z = z + belief.spread[:, None] * batch.noise["latent"]
        return Latent(z, z, {"rows": rows, "mean": belief.z, "spread": belief.spread})

    @abstractmethod
    def objectives(self) -> tuple[Objective, ...]:
        """Return the encoder's objectives in the rl phase, which come before those of critic and actor."""

    def phases(self, rl: Phase) -> tuple[Phase, ...]:
        """Return the rl phase with the encoder's objectives first."""
        return (
            attrs.evolve(
                rl,
                objectives=self.objectives() + rl.objectives,
                draws=(*rl.draws, self.context),
                noise=(*rl.noise, *self.noise),
            ),
        )


class SetEncoder(RowEncoder[C]):
    """A row encoder whose belief at meta-test is its aggregation of all rows so far."""

    def init(self, worlds: int) -> tuple[Any, ...]:
        """Return the initial state of worlds, before any transition."""
        return self.pooling.init(self.net.weights[0], worlds)

    def step(self, state: tuple[Any, ...], rows: Rows, live: Tensor) -> tuple[Any, ...]:
        """Add a transition (world, …) to each live world (world,)."""
        return self.pooling.step(state, *self.embed(rows), live)

    def read(self, state: tuple[Any, ...]) -> Belief:
        """Return the belief after the transitions so far."""
        return self.pooling.read(state)
