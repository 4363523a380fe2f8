"""Copies of worlds and of environments, in memory and through pickle: they continue exactly as the original does."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from typing import Any

import gymnasium
import numpy as np
import pytest

from selectrl.registry import FAMILIES

NAMES = [entry.name for entry in FAMILIES]
SETTINGS = [
    *[(name, {}) for name in NAMES],
    ("ant_goal", {"contact_forces": "sensed", "torso": "current"}),
    ("humanoid_dir", {"contact_forces": "sensed"}),
    ("walker_rand_params", {"derived": "fresh", "capsules": "modern"}),
]
WAYS = {
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
    "pickle": lambda value: pickle.loads(pickle.dumps(value)),
}


def advance(worlds: Any, rng: np.random.Generator, steps: int) -> list[Any]:
    """Everything that worlds show in so many steps; ended ones start again with their own random numbers."""
    shown = []
    for _ in range(steps):
        result = worlds.step(rng.uniform(-0.8, 0.8, worlds.action_space.shape))
        shown += [*result[:4], worlds.elapsed.copy()]
        if (ended := result[2] | result[3]).any():
            shown.append(worlds.reset(options={"reset_mask": ended})[0])
    return [*shown, worlds.reset()[0]]


def assert_same(first: list[Any], second: list[Any]) -> None:
    assert len(first) == len(second)
    for mine, theirs in zip(first, second, strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize(
    ("name", "settings", "way"),
    [(*each, way) for each in SETTINGS for way in WAYS if (each[0], way) != ("point_robot", "copy")],  # shares arrays
    ids=str,
)
def test_a_copy_of_worlds_continues_as_the_original_does(name: str, settings: dict[str, Any], way: str) -> None:
    worlds = FAMILIES.build(FAMILIES[name].config(**settings)).worlds([3, 7, 11])
    worlds.reset(seed=5)
    for _ in range(7):
        worlds.step(np.random.default_rng(1).uniform(-0.3, 0.3, worlds.action_space.shape))
    twin = WAYS[way](worlds)
    np.testing.assert_array_equal(twin._observe(), worlds._observe())  # derived quantities too, which are a step late
    expected = advance(worlds, np.random.default_rng(2), 40)
    assert_same(advance(twin, np.random.default_rng(2), 40), expected)  # the original's steps did not move the copy


@pytest.mark.parametrize("name", NAMES)
def test_worlds_that_were_never_reset_can_be_copied(name: str) -> None:
    worlds = FAMILIES.build(FAMILIES[name].config()).worlds([0, 1])
    twin = copy.deepcopy(worlds)
    assert_same([twin.reset(seed=3)[0]], [worlds.reset(seed=3)[0]])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("way", ["deepcopy", "pickle"])  # a shallow copy of Gymnasium's wrappers shares the environment
def test_a_copy_of_a_made_environment_continues_as_the_original_does(name: str, way: str) -> None:
    env = gymnasium.make(FAMILIES.build(FAMILIES[name].config()).env_id, task=6)
    env.reset(seed=4)
    rng = np.random.default_rng(0)
    action = rng.uniform(-0.3, 0.3, env.action_space.shape).astype(np.float32)
    env.step(action)
    twin = WAYS[way](env)
    assert twin.spec == env.spec
    for _ in range(5):
        for mine, theirs in zip(twin.step(action)[:4], env.step(action)[:4], strict=True):
            np.testing.assert_array_equal(mine, theirs)
    np.testing.assert_array_equal(twin.reset()[0], env.reset()[0])  # the next start is drawn from equal numbers
    assert twin.unwrapped.np_random.random() == env.unwrapped.np_random.random()


def test_worlds_of_make_vec_keep_their_spec() -> None:
    worlds = gymnasium.make_vec("selectrl/AntGoal-v0", num_envs=2, task=[0, 20])
    assert pickle.loads(pickle.dumps(worlds)).spec == worlds.spec


def test_a_pickle_is_read_in_another_process(tmp_path: Any) -> None:
    worlds = FAMILIES.build(FAMILIES["half_cheetah_vel"].config()).worlds([1, 2])
    worlds.reset(seed=0)
    worlds.step(np.full((2, 6), 0.3))
    (tmp_path / "worlds").write_bytes(pickle.dumps(worlds))
    code = (
        "import pickle, sys, numpy as np\n"
        "worlds = pickle.load(open(sys.argv[1], 'rb'))\n"
        "np.save(sys.argv[2], worlds.step(np.full((2, 6), 0.3))[0])"
    )
    arguments = [str(tmp_path / name) for name in ("worlds", "obs.npy")]
    subprocess.run([sys.executable, "-c", code, *arguments], check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "obs.npy"), worlds.step(np.full((2, 6), 0.3))[0])
