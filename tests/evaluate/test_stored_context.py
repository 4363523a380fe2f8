"""Offline context: the one collector that opens the data of test tasks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fakes
import numpy as np
import pytest
import torch
from fake_worlds import HORIZON, SHIPPED, FallingFamily, meta_test
from torch import Tensor

from selectrl.collectors.configs import OfflineConfig, OnlineConfig, ProximalConfig
from selectrl.data.episodes import Episodes
from selectrl.data.rows import RowStore
from selectrl.envs.configs import PointRobotConfig
from selectrl.errors import InputError
from selectrl.evaluate.config import TestConfig
from selectrl.evaluate.stored import centroid
from selectrl.experiment.execution import Execution
from selectrl.experiment.run import Run
from selectrl.protocols import ROW_FIELDS
from selectrl.registry import FAMILIES


def manifest(spec: Any, tasks: Sequence[int]) -> Any:
    return SimpleNamespace(spec=spec, tasks=[SimpleNamespace(task=task, parameter=(float(task),)) for task in tasks])


def stored(tasks: Sequence[int]) -> RowStore:
    """Test-task data whose rewards tell the task, and whose observations tell the row."""

    def task(number: int) -> Episodes[Tensor]:
        obs = torch.arange(18.0).reshape(3, 6, 1).expand(3, 6, 3).clone()
        reward = torch.full((3, 5), float(number))
        zeros = torch.zeros(3, 5, dtype=torch.bool)
        return Episodes(obs, torch.zeros(3, 5, 2), reward, zeros, torch.full((3,), 5), torch.zeros(3))

    dataset: Any = SimpleNamespace(task=task, manifest=manifest(FallingFamily.spec, tasks))
    return RowStore(dataset, tasks)


BOTH = pytest.mark.parametrize("draw", ["episodes", "rows"])


@BOTH
def test_offline_context_is_a_block_of_the_worlds_own_stored_rows_at_a_time(draw: str) -> None:
    family = FallingFamily()
    result, encoder = meta_test(
        OfflineConfig(draw=draw), family=family, tasks=(4, 7), stored=stored((1, 7, 4)), blocks=3
    )
    assert [len(state.seen) for state in encoder.reads] == [0, 5, 10, 15]
    state = encoder.reads[-1]
    np.testing.assert_array_equal(state.field("reward"), np.array([[4.0], [4], [7], [7]]) * np.ones((1, 15)))
    obs = state.field("obs")[:, :, 0]
    np.testing.assert_array_equal(state.field("next_obs")[:, :, 0], obs + 1)
    assert len({tuple(row) for row in obs}) == 4  # each task and repeat draws its own
    assert not np.array_equal(obs[:, :5], obs[:, 5:10])
    in_order = (np.diff(obs.reshape(4, 3, 5)) == 1).all()
    assert in_order == (draw == "episodes")
    assert all(live.all() for _, live in state.seen)
    assert len([entry for entry in family.log if entry[0] == "step"]) == 4 * HORIZON  # scores alone step the worlds
    assert result.explored.size == 0
    reference, _ = meta_test(OnlineConfig(), tasks=(4, 7))
    np.testing.assert_allclose(result.returns, reference.returns)  # the belief counts rows alike


@BOTH
def test_offline_rows_do_not_depend_on_other_worlds_or_blocks_to_come(draw: str) -> None:
    full, part = (
        meta_test(OfflineConfig(draw=draw), tasks=tasks, stored=stored((1, 4, 7)), blocks=blocks, repeats=repeats)[
            1
        ].reads[-1]
        for tasks, blocks, repeats in (((4, 7), 3, 2), ((7,), 2, 1))
    )
    np.testing.assert_array_equal(part.field("obs")[0], full.field("obs")[2, :10])


@BOTH
def test_offline_rows_are_uniform_over_the_stored_ones(draw: str) -> None:
    _, encoder = meta_test(OfflineConfig(draw=draw), tasks=(4,), stored=stored((4,)), blocks=40, repeats=20)
    drawn, counts = np.unique(encoder.reads[-1].field("obs")[:, :, 0], return_counts=True)
    assert drawn.tolist() == [0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 12, 13, 14, 15, 16]  # states that a row leaves
    expected = 40 * 5 * 20 / 15
    wide = 5 if draw == "rows" else 5 * 5**0.5  # an episode's rows come together
    assert (np.abs(counts - expected) < wide * expected**0.5).all()


def test_a_stored_episode_that_ends_early_gives_fewer_rows() -> None:
    data = stored((4,))
    data.length[:] = 2
    _, encoder = meta_test(OfflineConfig(), tasks=(4,), stored=data, blocks=2)
    live = np.stack([live.numpy() for _, live in encoder.reads[-1].seen], 1)
    np.testing.assert_array_equal(live, [[True, True, False, False, False] * 2] * 2)


def test_the_centroid_is_the_mean_belief_of_the_stored_tasks() -> None:
    agent, _, _ = fakes.method("csro")
    fakes.scramble(agent)
    data = stored_point_robot((0, 1))
    data.obs += torch.linspace(-1, 1, data.obs.shape[1])[:, None]
    data.action[1] += 0.5
    z = centroid(agent.encoder, data, TestConfig(budget=400))
    with torch.no_grad():  # whichever episodes were drawn, the mean lies between theirs
        rows = data.gather(torch.tensor([0, 1]), torch.arange(40).repeat(2, 1), ROW_FIELDS)
        episodes = agent.encoder.embed(rows)[0].unflatten(1, (2, 20)).mean(2)  # (task, episode, latent)
    low, high = episodes.amin(1).mean(0), episodes.amax(1).mean(0)
    assert ((z >= low - 1e-5) & (z <= high + 1e-5)).all()
    assert not torch.allclose(low, high)


def test_offline_context_without_data_is_refused() -> None:
    with pytest.raises(InputError, match="stored data"):
        meta_test(OfflineConfig())


def test_only_the_offline_collector_opens_data_of_test_tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(tmp_path, fakes.experiment("csro"), 0, Execution(data=tmp_path))
    agent, _, _ = fakes.method("csro")
    opened = []
    monkeypatch.setattr(Run, "store", lambda self, tasks: opened.append(tasks) or stored_point_robot(tasks))
    for collector in SHIPPED:
        run.meta_test(agent, collector, TestConfig(budget=20, repeats=1))
    assert opened == []
    run.meta_test(agent, ProximalConfig(), TestConfig(budget=20, repeats=1, prior="centroid"))
    assert opened == [run.family.train_tasks]
    run.meta_test(agent, OfflineConfig(), TestConfig(budget=20, repeats=1))
    assert opened[1:] == [run.family.test_tasks]


def stored_point_robot(tasks: Sequence[int]) -> RowStore:
    def task(number: int) -> Episodes[Tensor]:
        zeros = torch.zeros(2, 20)
        length, label = torch.full((2,), 20), torch.zeros(2)
        return Episodes(torch.zeros(2, 21, 2), torch.zeros(2, 20, 2), zeros, zeros.bool(), length, label)

    dataset: Any = SimpleNamespace(task=task, manifest=manifest(FAMILIES.build(PointRobotConfig()).spec, tasks))
    return RowStore(dataset, tasks)
