"""Gymnasium's contracts: the vector interface, the single environment and the ids."""

import subprocess
import sys
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.error import InvalidAction, ResetNeeded
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers import TimeAwareObservation

import selectrl.envs.ids
from selectrl.envs.configs import PointRobotConfig
from selectrl.envs.ids import IDS
from selectrl.errors import InputError
from selectrl.registry import FAMILIES

ID = "selectrl/PointRobot-v0"
FAMILY = FAMILIES.build(PointRobotConfig())


@pytest.fixture
def worlds():
    built = FAMILY.worlds([0, 10, 20])
    built.reset(seed=1)
    return built


def test_spaces_and_metadata(worlds):
    assert worlds.metadata["autoreset_mode"] is AutoresetMode.DISABLED
    assert worlds.num_envs == 3
    assert worlds.observation_space.shape == worlds.action_space.shape == (3, 2)
    assert worlds.single_action_space == gymnasium.spaces.Box(-1, 1, (2,), np.float32)
    assert worlds.step(worlds.action_space.sample())[0] in worlds.observation_space


def test_corner_of_the_plane_lies_in_the_space(worlds):
    for _ in range(20):
        obs = worlds.step(np.ones((3, 2)))[0]
    assert obs in worlds.observation_space


def test_partial_reset(worlds):
    for _ in range(5):
        before = worlds.step(np.ones((3, 2)))[0]
    obs, _ = worlds.reset(options={"reset_mask": np.array([False, True, False])})
    np.testing.assert_array_equal(obs[1], [0, 0])
    np.testing.assert_array_equal(obs[[0, 2]], before[[0, 2]])
    for _ in range(15):
        truncated = worlds.step(np.ones((3, 2)))[3]
    np.testing.assert_array_equal(truncated, [True, False, True])
    with pytest.raises(ResetNeeded, match=r"\[0, 2\]"):
        worlds.step(np.ones((3, 2)))
    worlds.reset(options={"reset_mask": truncated})
    worlds.step(np.ones((3, 2)))


def test_refusals(worlds):
    with pytest.raises(ValueError, match="one seed per world"):
        worlds.reset(seed=[1, 2])
    with pytest.raises(ValueError, match="reset_mask"):
        worlds.reset(options={"reset_mask": np.array([1, 0, 1])})
    with pytest.raises(InvalidAction, match=r"\(3, 2\)"):
        worlds.step(np.ones(2))
    with pytest.raises(InvalidAction, match="NaN"):
        worlds.step(np.full((3, 2), np.nan))
    with pytest.raises(ResetNeeded):
        FAMILY.worlds([0]).step(np.ones((1, 2)))


def test_returned_arrays_are_the_callers(worlds):
    first = worlds.step(np.ones((3, 2)))
    kept = [array.copy() for array in first[:4]]
    worlds.step(-np.ones((3, 2)))
    for array, copy in zip(first[:4], kept, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_single_equals_batch_bit_for_bit(worlds):
    rng = np.random.default_rng(3)
    singles = [gymnasium.make(ID, task=task) for task in (0, 10, 20)]
    for single in singles:
        single.reset(seed=5)
    for _ in range(20):
        action = rng.uniform(-1, 1, (3, 2)).astype(np.float32)
        batch = worlds.step(action)
        for world, single in enumerate(singles):
            alone = single.step(action[world])
            np.testing.assert_array_equal(batch[0][world], alone[0])
            assert tuple(part[world] for part in batch[1:4]) == alone[1:4]


@pytest.mark.parametrize("mode", [None, "rgb_array"])
def test_check_env(mode):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*Box observation space (min|max)imum value is -?infinity.*")
        check_env(gymnasium.make(ID, task=7, render_mode=mode).unwrapped)


def cut_after(env: gymnasium.Env) -> int:
    """Steps after which a standing agent's episode is truncated; it does not fall."""
    env.reset(seed=0)
    for steps in range(1, 1000):
        _, _, terminated, truncated, _ = env.step(np.zeros(env.action_space.shape, np.float32))
        assert not terminated
        if truncated:
            return steps
    raise AssertionError("never truncated")


STANDING = {"selectrl/PointRobot-v0": 20, "selectrl/HalfCheetahVel-v0": 200, "selectrl/AntGoal-v0": 200}


def test_every_id_is_registered_with_its_familys_horizon():
    horizons = {FAMILIES.build(entry.config()).env_id: entry.config().horizon for entry in FAMILIES}
    assert {env_id: gymnasium.spec(env_id).max_episode_steps for env_id in IDS}.items() <= horizons.items()


@pytest.mark.parametrize(("env_id", "horizon"), STANDING.items())
@pytest.mark.parametrize("limit", [None, 7, 230])
def test_the_time_limit_is_that_of_the_spec(env_id, horizon, limit):
    env = gymnasium.make(env_id, task=3, max_episode_steps=limit)
    assert env.spec.max_episode_steps == (limit or horizon)
    assert [cut_after(env) for _ in range(2)] == [limit or horizon] * 2
    aware = TimeAwareObservation(env, normalize_time=True)
    assert aware.max_timesteps == (limit or horizon)
    again = gymnasium.make(env.spec)  # as Minari rebuilds an environment
    assert again.spec.max_episode_steps == (limit or horizon)


@pytest.mark.parametrize(("env_id", "horizon"), STANDING.items())
def test_one_wrapper_alone_cuts_episodes(env_id, horizon):
    bare = gymnasium.make(env_id).unwrapped
    bare.reset(seed=0)
    assert not any(bare.step(np.zeros(bare.action_space.shape))[3] for _ in range(horizon + 5))


@pytest.mark.parametrize(("env_id", "horizon"), STANDING.items())
@pytest.mark.parametrize("limit", [None, 7, 230])
@pytest.mark.parametrize("mode", [None, "sync"])
def test_the_time_limit_of_many_worlds(env_id, horizon, limit, mode):
    options = {} if limit is None else {"max_episode_steps": limit}
    worlds = gymnasium.make_vec(env_id, num_envs=2, vectorization_mode=mode, **options)
    worlds.reset(seed=0)
    still = np.zeros(worlds.action_space.shape, np.float32)
    cut = [worlds.step(still)[3].tolist() for _ in range(limit or horizon)]
    assert cut == [[False, False]] * (len(cut) - 1) + [[True, True]]


@pytest.mark.parametrize("make", [gymnasium.make, gymnasium.make_vec])
def test_a_horizon_is_refused_for_the_time_limit(make):
    with pytest.raises(InputError, match=r"got horizon=50; give max_episode_steps=50 instead"):
        make("selectrl/AntGoal-v0", horizon=50)


def test_a_picture_of_a_longer_walk_shows_all_of_it():
    env = gymnasium.make(ID, render_mode="rgb_array", max_episode_steps=100)
    env.reset()
    for _ in range(90):
        obs, *_ = env.step(np.ones(2, np.float32))
    np.testing.assert_allclose(obs, [9, 9], rtol=1e-5)
    assert obs in env.observation_space
    rows, columns = np.nonzero((env.render() == (31, 78, 160)).all(-1))
    assert rows.min() < 8
    assert columns.max() > 247


def test_picture():
    env = gymnasium.make(ID, task=20, render_mode="rgb_array")
    env.reset()
    for _ in range(3):
        env.step(np.ones(2, np.float32))
    picture = env.render()
    assert (picture.shape, picture.dtype) == ((256, 256, 3), np.uint8)
    assert {(46, 160, 67), (31, 78, 160), (140, 160, 200)} <= {
        tuple(map(int, colour)) for colour in picture.reshape(-1, 3)
    }


def test_make_vec():
    worlds = gymnasium.make_vec(ID, num_envs=2, task=[3, 4])
    np.testing.assert_array_equal(worlds.goal, FAMILY.parameters[[3, 4]])
    assert gymnasium.make_vec(ID, num_envs=2, task=5).goal.shape == (2, 2)
    with pytest.raises(InputError, match="one per world"):
        gymnasium.make_vec(ID, num_envs=2, task=[3])


def test_registering_twice_is_harmless():
    selectrl.envs.ids.register()


@pytest.mark.parametrize(
    "code",
    [
        f"import gymnasium; gymnasium.make('selectrl.envs:{ID}', task=3).reset()",
        f"import gymnasium, selectrl; gymnasium.make('{ID}', task=3).reset()",
        f"import selectrl, gymnasium; gymnasium.make('{ID}', task=3).reset()",
        f"import selectrl; from gymnasium.envs.registration import make; make('{ID}', task=3).reset()",
    ],
    ids=["by module", "gymnasium first", "selectrl first", "a room of gymnasium's"],
)
def test_id_works_in_a_fresh_interpreter(code):
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
