"""Sources of CORRO's negatives: the outcomes of a query's (s, a) in other tasks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from selectrl.encoders.corro.configs import RewardNoiseConfig, TrueTaskConfig
from selectrl.errors import CompositionError
from selectrl.protocols import Noise, Phase, TrainingRows
from selectrl.registry import tag
from selectrl.structs import Batch, Rows, Spec

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.random import Generator


C = TypeVar("C")


class RewardNegatives(nn.Module, ABC, Generic[C]):
    """Negatives with the query's own next observation and another reward.

    Args:
        config: the source's settings.
        spec: shapes of the family.

    Raises:
        CompositionError: the dynamics vary.
    """

    def __init__(self, config: C, spec: Spec) -> None:
        super().__init__()
        if spec.dynamics_vary:
            raise CompositionError(
                f"encoders.corro cannot learn from {tag(config)} where the dynamics vary, because such negatives "
                "keep the query's own next observation; bind encoders.corro.negatives = @negatives.cvae()"
            )
        self.config = config

    def phases(self) -> tuple[Phase, ...]:
        """Return no phases: this source has no parameters."""
        return ()

    @abstractmethod
    def noise(self, count: int) -> Noise:
        """Return the noise ``negatives``, from which the negatives of each query are drawn."""

    def prepare(self, store: TrainingRows, generator: Generator) -> dict[str, Tensor]:
        """Return the buffers of the contrastive phase: none."""
        return {}

    @abstractmethod
    def replace(self, query: Rows, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the other rewards and the query's own s'."""


def read_task_rows(store: TrainingRows, place: int, fields: Collection[str]) -> Rows:
    """Return all stored rows of a task in the order of their numbers, (1, episode * time, …)."""
    episodes = torch.arange(store.episodes, device=store.device)[None]
    return store.whole(torch.full_like(episodes, place), episodes, fields)


def standard_units(
    store: TrainingRows, columns: Callable[[Rows], Tensor], fields: Collection[str]
) -> tuple[Tensor, Tensor]:
    """Return mean and deviation of columns over all stored rows, (width,) each; 1 for a constant column.

    Args:
        store: rows of the training tasks.
        columns: function from rows (…) to columns (…, width).
        fields: the fields of a row that it reads.
    """
    count, total, squares = 0, torch.zeros((), dtype=torch.float64), torch.zeros((), dtype=torch.float64)
    for task in range(len(store.tasks)):
        rows = read_task_rows(store, task, fields)
        values = columns(rows)[rows.row >= 0]
        exact = values.double()
        count, total, squares = count + len(exact), total + exact.sum(0), squares + exact.square().sum(0)
    mean = total / count
    deviation = (squares / count - mean.square()).clamp(min=0).sqrt()
    return mean.to(values), torch.where(deviation > 1e-6, deviation, 1).to(values)


def repeat_next_obs(query: Rows, like: Tensor) -> Tensor:
    """Return the query's own s' for each of its negatives, with the leading axes of like (task, query, negative)."""
    return query.next_obs[:, :, None].expand(*like.shape, -1)


class RewardNoiseNegatives(RewardNegatives[RewardNoiseConfig]):
    """The query's outcome with Gaussian noise on its reward.

    Args:
        config: the noise's deviation.
        spec: shapes of the family.

    Raises:
        CompositionError: the dynamics vary.
    """

    def noise(self, count: int) -> Noise:
        """Return a normal number per negative."""
        return Noise("negatives", "normal", ("task", "query", count))

    def replace(self, query: Rows, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the noisy rewards and the query's own s'."""
        reward = query.reward[..., None] + self.config.deviation * batch.noise["negatives"]
        return reward, repeat_next_obs(query, reward)


class TrueTaskNegatives(RewardNegatives[TrueTaskConfig]):
    """The reward of the query's transition in another training task, drawn for each negative.

    Args:
        config: no settings.
        spec: shapes of the family.

    Raises:
        CompositionError: the dynamics vary.
    """

    rewards: Tensor  # (task, donor, row)
    place: Tensor  # (task,), a task's place in that table, by its id

    def __init__(self, config: TrueTaskConfig, spec: Spec) -> None:
        super().__init__(config, spec)
        self.register_buffer("rewards", torch.zeros(0), persistent=False)
        self.register_buffer("place", torch.zeros(0, dtype=torch.int64), persistent=False)

    def noise(self, count: int) -> Noise:
        """Return a uniform number per negative, which selects the other task."""
        return Noise("negatives", "uniform", ("task", "query", count))

    def prepare(self, store: TrainingRows, generator: Generator) -> dict[str, Tensor]:
        """Return the reward of every stored row under every training task.

        Raises:
            CompositionError: the family does not have a reward function of transitions.
        """
        if store.reward_of is None:
            raise CompositionError(
                "negatives.true_task needs a reward function of transitions, which this family does not have; "
                "bind encoders.corro.negatives = @negatives.cvae()"
            )
        rewards = []
        for task in range(len(store.tasks)):
            rows = read_task_rows(store, task, ("obs", "action", "next_obs"))
            rewards.append(store.reward_of(store.parameters[:, None], rows.obs, rows.action, rows.next_obs))
        table = torch.stack(rewards).to(store.reward.dtype)
        return {"encoder.negatives.rewards": table, "encoder.negatives.place": store.place}

    def replace(self, query: Rows, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return other tasks' rewards and the query's own s'."""
        uniform, own = batch.noise["negatives"], self.place[batch.tasks][:, None, None]
        others = self.rewards.shape[0] - 1
        shift = (uniform * others).to(torch.int64).clamp(max=others - 1)  # a product just below others may round up
        other = (own + 1 + shift) % (others + 1)
        reward: Any = self.rewards[own, other, query.row[..., None]]
        return reward, repeat_next_obs(query, reward)
