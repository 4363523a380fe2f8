"""The protocols of the pieces of parts: weights, values, aggregations and negatives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Protocol

from selectrl.protocols import Agent, Noise, Phase, State, TrainingRows
from selectrl.structs import Batch, Belief, Rows

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, nn


class Weight(Protocol):
    """A weight of the behaviour-cloning term, as a function of the advantage."""

    def weigh(self, advantage: Tensor) -> Tensor:
        """Return weights shaped as the advantage (task, batch), without gradient."""
        ...


class Value(Protocol):
    """An estimator of the constraint's V."""

    members: int  #: V networks side by side

    def target(self, agent: Agent, batch: Batch, td_target: Tensor, target_q: Callable[[Tensor], Tensor]) -> Tensor:
        """Return the regression target of V, (task, batch).

        Args:
            agent: where the parts meet.
            batch: the step's.
            td_target: the critic's own y, (task, batch).
            target_q: action (task, batch, action) at the step's rows -> the smaller of both target Q, (task, batch).
        """
        ...

    def loss(self, v: Tensor, target: Tensor) -> Tensor:
        """Return the regression loss, a scalar that moves v (member, task, batch) alone and adds the members up."""
        ...

    def combine(self, v: Tensor) -> Tensor:
        """Return one value of the members', (member, task, batch) -> (task, batch)."""
        ...


class Aggregation(Protocol[State]):
    """A set encoder's map from many row embeddings to one task variable; a module, ``encoder.pooling`` in the agent."""

    latent_dim: int
    extra: int  #: outputs per row that the row network gives beside the embedding
    sampled: bool  #: whether z is drawn from (z, spread) in training

    def parameters(self) -> Iterator[nn.Parameter]:
        """Return the module's parameters."""
        ...

    def pool(self, rows: Tensor, raw: Tensor, live: Tensor | None = None) -> Belief:
        """Aggregate sets, rows (…, row, latent) and raw (…, row, extra), to (…, latent); only live rows count."""
        ...

    def init(self, like: Tensor, worlds: int) -> State:
        """Return the state of a number of worlds before any transition, of the dtype and device of ``like``."""
        ...

    def step(self, state: State, rows: Tensor, raw: Tensor, live: Tensor) -> State:
        """Take in one embedding per world, (world, latent), where live (world,) is true."""
        ...

    def read(self, state: State) -> Belief:
        """Return the belief, (world, latent)."""
        ...


class Negatives(Protocol):
    """The source of CORRO's negatives; a module, ``encoder.negatives`` in the agent.

    The contrastive phase asks for :meth:`noise`, calls :meth:`prepare` on entering and :meth:`replace` in its loss.
    """

    def phases(self) -> tuple[Phase, ...]:
        """Return the phases that train the source itself, before the contrastive phase."""
        ...

    def noise(self, count: int) -> Noise:
        """Return the noise from which ``count`` negatives of each query are drawn, named ``negatives``."""
        ...

    def prepare(self, store: TrainingRows, generator: np.random.Generator) -> dict[str, Tensor]:
        """Return the source's buffers in the contrastive phase."""
        ...

    def replace(self, query: Rows, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the outcomes that take the place of the query's own.

        Args:
            query: rows (task, query, …).
            batch: the step's, with the tasks and the noise that :meth:`noise` declares.

        Returns:
            Reward (task, query, negative) and next observation (task, query, negative, obs).
        """
        ...
