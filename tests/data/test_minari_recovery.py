"""Minari's ``recover_environment()`` makes the environment of an exported dataset, with the dataset's task."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box
from gymnasium.wrappers import TransformObservation

from selectrl.data.minari_files import export_minari, import_minari
from selectrl.data.store import Episodes, OfflineDataset, write_manifest, write_task
from selectrl.envs.configs import AntGoalConfig, HopperRandParamsConfig, PointRobotConfig
from selectrl.registry import FAMILIES

CONFIGS = [
    PointRobotConfig(tasks=5, horizon=7, step_size=0.25),  # each field another than the default
    AntGoalConfig(tasks=3, horizon=3),
    HopperRandParamsConfig(tasks=3, horizon=3, capsules="modern"),
]


def write_data(
    folder: Path, config: Any, change: Callable[[Episodes], Episodes] = lambda e: e, **manifest: Any
) -> Path:
    """Write a dataset of two random episodes a task, the first reset with seed 3."""
    family, entry = FAMILIES.build(config), FAMILIES.find(type(config))
    assert entry is not None
    rng, entries = np.random.default_rng(0), []
    for task in range(config.tasks):
        worlds = family.worlds([task] * 2)
        obs = [worlds.reset(seed=[3, 4])[0]]
        action = rng.uniform(-1, 1, (2, config.horizon, family.spec.action)).astype("f4")
        reward, terminal = np.zeros((2, config.horizon), "f4"), np.zeros((2, config.horizon), np.bool_)
        for t in range(config.horizon):
            after, reward[:, t], *_ = worlds.step(action[:, t])
            obs.append(after)
        lengths, labels = np.full(2, config.horizon), np.zeros(2, np.int64)
        episodes: Episodes = Episodes(np.stack(obs, 1).astype("f4"), action, reward, terminal, lengths, labels)
        entries.append(write_task(folder, task, family.parameters[task], change(episodes)))
    write_manifest(
        folder,
        **{
            "env": entry.name,
            "env_id": family.env_id,
            "env_config": attrs.asdict(config),
            "spec": family.spec,
            "tasks": entries,
            "behaviour": {},
            "split": {"train": list(family.train_tasks), "test": list(family.test_tasks)},
            **manifest,
        },
    )
    return folder


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Export a dataset and open one of its tasks with Minari."""
    import minari

    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))

    def load(folder: Path, task: int = 1) -> Any:
        return minari.load_dataset(export_minari(OfflineDataset.open(folder), "mine").ids[task])

    return load


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: type(config).__name__)
def test_the_environment_is_that_of_the_data(config: Any, load: Callable[..., Any], tmp_path: Path) -> None:
    dataset = load(write_data(tmp_path / "data", config), task=2)
    for env in (dataset.recover_environment(), dataset.recover_environment(eval_env=True)):
        assert env.observation_space == dataset.observation_space
        assert env.action_space == dataset.action_space == Box(-1, 1, env.action_space.shape, np.float32)
        episode = dataset[0]
        obs, _ = env.reset(seed=3)
        assert np.array_equal(obs, episode.observations[0])
        for t, action in enumerate(episode.actions):
            obs, reward, terminated, truncated, _ = env.step(action)
            assert np.array_equal(obs, episode.observations[t + 1])
            assert np.float32(reward) == episode.rewards[t]
            assert truncated == (t == config.horizon - 1) or terminated
        assert env.spec.max_episode_steps == config.horizon
        env.close()
    assert all(dataset.observation_space.contains(row) for row in dataset[1].observations)
    settings = {"task": 2, **attrs.asdict(config)}
    assert settings.pop("horizon") == dataset.env_spec.max_episode_steps
    assert dataset.env_spec.kwargs == settings


def test_metadata(load: Callable[..., Any], tmp_path: Path) -> None:
    dataset = load(write_data(tmp_path / "data", CONFIGS[0], source="imported from a log"))
    assert (dataset.total_episodes, dataset.total_steps) == (2, 14)
    assert dataset.spec.env_spec.id == "selectrl/PointRobot-v0"
    metadata = dataset.storage.metadata
    assert metadata["requirements"][0] == "selectrl"
    assert any(requirement.startswith("gymnasium==") for requirement in metadata["requirements"])
    assert "imported from a log" in metadata["description"]


def test_unknown_simulators_are_no_requirement(load: Callable[..., Any], tmp_path: Path) -> None:
    folder = write_data(tmp_path / "data", CONFIGS[0], versions={"gymnasium": "unknown", "mujoco": "unknown"})
    assert load(folder).storage.metadata["requirements"] == ["selectrl"]


@pytest.mark.parametrize("reach", [0.1, 9.0])
def test_a_space_with_bounds(reach: float, load: Callable[..., Any], tmp_path: Path, monkeypatch: Any) -> None:
    """The environment's own space is written where the data lie in it, else one without bounds."""
    bounded, make = Box(-reach, reach, (2,), np.float32), gymnasium.make

    def make_bounded(*arguments: Any, **settings: Any) -> Any:
        return TransformObservation(make(*arguments, **settings), lambda obs: obs, bounded)

    monkeypatch.setattr("gymnasium.make", make_bounded)
    unbounded = Box(-np.inf, np.inf, (2,), np.float32)
    dataset = load(write_data(tmp_path / "data", CONFIGS[0]))
    assert dataset.observation_space == (bounded if reach == 9.0 else unbounded)


UNKNOWN: dict[str, tuple[dict[str, Any], str]] = {
    "family": ({"env": "elsewhere"}, "no envs part named 'elsewhere'"),
    "id": ({"env_id": "Ant-v5"}, "registered point_robot is selectrl/PointRobot-v0"),
    "module": ({"env_id": "evil:Env-v0"}, "registered point_robot is selectrl/PointRobot-v0"),
    "settings": ({"env_config": {"xml_file": "/etc/passwd"}}, "its settings do not fit the registered point_robot"),
    "value": ({"env_config": {"tasks": "5"}}, "tasks: expected int"),
    "tasks": (
        {"env_config": {"tasks": 6, "horizon": 7, "step_size": 0.25}},
        "task 1 differs from that of the registered point_robot",
    ),
    "fewer tasks": (
        {"env_config": {"tasks": 4, "horizon": 7}},
        "task 1 differs from that of the registered point_robot",
    ),
    "horizon": ({"env_config": {"tasks": 5, "horizon": 8}}, "registered point_robot is selectrl/PointRobot-v0, with"),
}


@pytest.mark.parametrize("case", UNKNOWN)
def test_an_environment_that_is_not_here(case: str, tmp_path: Path) -> None:
    """The data are exported all the same, without an environment; nothing that a manifest names is imported."""
    manifest, problem = UNKNOWN[case]
    dataset = OfflineDataset.open(write_data(tmp_path / "data", CONFIGS[0], **manifest))
    exported = export_minari(dataset, "mine", root=tmp_path / "minari")
    assert problem in exported.unrecoverable
    metadata = json.loads((tmp_path / "minari/mine/task001-v0/data/metadata.json").read_text())
    assert "env_spec" not in metadata
    assert metadata["requirements"] == []
    back = OfflineDataset.open(import_minari("mine", tmp_path, root=tmp_path / "minari"))
    assert back.manifest == dataset.manifest


def test_an_environment_that_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError("no such model")

    monkeypatch.setattr("gymnasium.make", refuse)
    dataset = OfflineDataset.open(write_data(tmp_path / "data", CONFIGS[0]))
    reason = export_minari(dataset, "mine", root=tmp_path / "minari").unrecoverable
    assert reason == "selectrl/PointRobot-v0 cannot be created (no such model)"
