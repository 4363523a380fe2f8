"""Point-Robot against the figures and formulas of its definition."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from selectrl.envs.configs import PointRobotConfig
from selectrl.envs.point_robot import point_robot_reward
from selectrl.envs.split import interleave_tasks
from selectrl.errors import FieldError, InputError
from selectrl.registry import FAMILIES
from selectrl.structs import Spec

FAMILY = FAMILIES.build(PointRobotConfig())


def returns(act, tasks):
    """Mean return over tasks of ``act(position, goal, time)``."""
    worlds = FAMILY.worlds(tasks)
    worlds.reset(seed=0)
    total = np.zeros(len(tasks))
    for time in range(20):
        _, rewards, terminated, truncated, _ = worlds.step(act(worlds.position, worlds.goal, time))
        total += rewards
        assert not terminated.any()
        assert truncated.all() == (time == 19)
    return total.mean()


def test_oracle_return():
    # in each axis the nearest reachable point at every step is optimal: the axes do not compete
    oracle = returns(lambda position, goal, _: ((goal - position) / 0.1).clip(-1, 1), FAMILY.test_tasks)
    assert oracle == pytest.approx(-3.855, abs=1e-3)
    assert FAMILY.reference_returns(FAMILY.test_tasks).optimum == pytest.approx(oracle, abs=1e-3)


def test_standing_still_returns_minus_twenty():
    assert returns(lambda position, *_: np.zeros_like(position), FAMILY.test_tasks) == pytest.approx(-20.0)


def test_uniform_random_return():
    rng = np.random.default_rng(0)
    tasks = [task for task in FAMILY.test_tasks for _ in range(1000)]
    random = returns(lambda position, *_: rng.uniform(-1, 1, position.shape), tasks)
    assert random == pytest.approx(-20.35, abs=0.1)
    assert FAMILY.reference_returns(FAMILY.test_tasks).random == pytest.approx(random, abs=0.15)


def test_reference_returns_are_those_of_the_default_family_on_its_test_tasks():
    assert FAMILY.reference_returns(FAMILY.train_tasks) is None
    for other in (PointRobotConfig(step_size=0.2), PointRobotConfig(horizon=30), PointRobotConfig(tasks=41)):
        family = FAMILIES.build(other)
        assert family.reference_returns(family.test_tasks) is None


def test_the_arena_shows_every_goal_on_its_outline():
    arena = FAMILY.arena
    angle = np.pi * arena.places
    np.testing.assert_allclose(arena.goals, np.stack((np.cos(angle), np.sin(angle)), -1), atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(arena.outline, axis=1), 1.0)
    assert (arena.goals > arena.inner[0]).all()
    assert (arena.goals < arena.inner[1]).all()
    assert (arena.outer[0] < arena.inner[0]).all()
    assert (arena.outer[1] > arena.inner[1]).all()


def test_spec_goals_and_split():
    assert FAMILY.spec == Spec(obs=2, action=2, horizon=20, dynamics_vary=False)
    assert FAMILY.test_tasks == (2, 6, 10, 14, 18, 22, 26, 30, 34, 38)
    assert len(FAMILY.train_tasks) == 30
    assert FAMILY.parameters.dtype == np.float64
    np.testing.assert_allclose(FAMILY.parameters[[0, 39]], [[1, 0], [-1, 0]], atol=1e-15)
    np.testing.assert_allclose(FAMILY.parameters[13], [0.5, 0.75**0.5], atol=1e-12)  # θ = π/3


@given(st.integers(3, 200))
def test_split_is_interpolation(tasks):
    train, test = interleave_tasks(tasks)
    assert sorted(train + test) == list(range(tasks))
    assert test
    assert all(task - 1 in train and (task + 1 in train or task + 1 == tasks) for task in test)


def test_golden_step():
    worlds = FAMILY.worlds([0])  # goal (1, 0)
    obs, info = worlds.reset()
    np.testing.assert_array_equal(obs, [[0, 0]])
    assert info == {}
    obs, rewards, _, _, _ = worlds.step(np.array([[-1.0, 3.0]]))  # the second axis is clipped to 1
    np.testing.assert_allclose(obs, [[-0.1, 0.1]], atol=1e-7)
    assert rewards[0] == pytest.approx(-((1.1**2 + 0.1**2) ** 0.5))  # after the step, not before
    assert (obs.dtype, rewards.dtype) == (np.float32, np.float64)


points = st.lists(st.floats(-2, 2), min_size=6, max_size=6)


@given(points, points)
def test_reward_is_never_positive_and_takes_torch(goal, obs):
    goal, obs = np.reshape(goal, (3, 2)), np.reshape(obs, (3, 2))
    ours = point_robot_reward(goal, obs)
    assert (ours <= 0).all()
    np.testing.assert_allclose(ours, -np.hypot(*(goal - obs).T), atol=1e-12)
    np.testing.assert_allclose(point_robot_reward(torch.tensor(goal), torch.tensor(obs)).numpy(), ours)


@settings(max_examples=20)
@given(st.permutations(range(8)), st.integers(0, 2**31))
def test_worlds_do_not_see_each_other(order, seed):
    rng, worlds = np.random.default_rng(seed), FAMILY.worlds(range(8))
    shuffled = FAMILY.worlds(order)
    worlds.reset()
    shuffled.reset()
    for _ in range(20):
        action = rng.uniform(-1.5, 1.5, (8, 2))
        first, second = worlds.step(action), shuffled.step(action[list(order)])
        for left, right in zip(first[:4], second[:4], strict=True):
            np.testing.assert_array_equal(left[list(order)], right)


@pytest.mark.parametrize("field", [{"tasks": 2}, {"horizon": 0}, {"step_size": 0.0}, {"tasks": 4.0}])
def test_config_refuses(field):
    with pytest.raises(FieldError, match=next(iter(field))):
        PointRobotConfig(**field)


@pytest.mark.parametrize("tasks", [[], [40], [-1, 0]])
def test_tasks_out_of_range(tasks):
    with pytest.raises(InputError, match="from 0 to 39"):
        FAMILY.worlds(tasks)


def test_registered():
    assert FAMILIES["point_robot"].config is PointRobotConfig


def test_workers_stay_free_of_torch():
    code = "import sys, selectrl.envs; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
