from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from selectrl.data.store import Episodes, OfflineDataset, write_manifest, write_task
from selectrl.structs import Spec

SPEC = Spec(obs=3, action=2, horizon=5, dynamics_vary=False)

MakeEpisodes = Callable[..., Episodes]


@pytest.fixture(scope="session")
def spec() -> Spec:
    return SPEC


@pytest.fixture(scope="session")
def make_episodes() -> MakeEpisodes:
    """Episodes whose values name their own (task, episode, time), with lengths full or given."""

    def make(
        task: int = 0, lengths: tuple[int, ...] = (5, 5, 5, 5), time: int = 5, terminates: bool = False
    ) -> Episodes:
        length = np.array(lengths, dtype=np.int64)
        count = len(lengths)
        state = np.broadcast_to(np.arange(time + 1), (count, time + 1))
        who = np.broadcast_to(np.arange(count)[:, None], state.shape)
        obs = np.stack([np.full(state.shape, task), who, state], -1) + 1.0
        obs *= (state <= length[:, None])[..., None]
        live = np.arange(time) < length[:, None]
        action = (np.stack([who[:, :-1], state[:, :-1]], -1) + 1.0) / 100 * live[..., None]
        reward = (100.0 * task + 10 * who[:, :-1] + state[:, :-1]) * live
        terminal = np.zeros((count, time), dtype=np.bool_)
        if terminates:
            short = np.flatnonzero(length < time)
            terminal[short, length[short] - 1] = True
        label = np.arange(count, dtype=np.int64) // 2 * 1000
        return Episodes(obs.astype("f4"), action.astype("f4"), reward.astype("f4"), terminal, length, label)

    return make


@pytest.fixture(scope="session")
def make_dataset(make_episodes: MakeEpisodes) -> Callable[..., Path]:
    """Write a dataset of so many tasks; lengths by task are full unless given."""

    def make(folder: Path, tasks: int = 4, lengths: dict[int, tuple[int, ...]] | None = None) -> Path:
        entries = []
        for task in range(tasks):
            given = {"lengths": lengths[task], "terminates": True} if lengths and task in lengths else {}
            entries.append(write_task(folder, task, [float(task)], make_episodes(task, **given)))
        train = list(range(tasks - 1))
        write_manifest(
            folder,
            env="point_robot",
            env_id="selectrl/PointRobot-v0",
            env_config={"horizon": 5},
            spec=SPEC,
            tasks=entries,
            behaviour={"steps": 1000, "keep_warmup": 2},
            split={"train": train, "test": [tasks - 1]},
            source="elsewhere" if lengths else "collected",  # collected data hold every checkpoint of every task
        )
        return folder

    return make


@pytest.fixture
def folder(make_dataset: Callable[..., Path], tmp_path: Path) -> Path:
    return make_dataset(tmp_path / "data")


@pytest.fixture
def ragged(make_dataset: Callable[..., Path], tmp_path: Path) -> OfflineDataset:
    """Tasks of different numbers of episodes, some of which end early."""
    lengths = {0: (5, 1, 3), 2: (2, 2), 3: (1,)}
    return OfflineDataset.open(make_dataset(tmp_path / "ragged", lengths=lengths))
