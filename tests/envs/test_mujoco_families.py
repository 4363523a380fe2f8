"""Each MuJoCo family against a plain loop over ``mj_step`` and its definition."""

import mujoco
import numpy as np
import pytest
import torch
from plain_mujoco import NAMES, Plain

from selectrl.errors import FieldError
from selectrl.registry import FAMILIES
from selectrl.structs import Spec

BUILT = {name: FAMILIES.build(FAMILIES[name].config()) for name in NAMES}


@pytest.mark.parametrize(
    ("name", "spec"),
    [
        ("half_cheetah_vel", Spec(20, 6, 200, False)),
        ("ant_goal", Spec(29, 8, 200, False)),
        ("humanoid_dir", Spec(376, 17, 200, False)),
        ("hopper_rand_params", Spec(11, 3, 200, True)),
        ("walker_rand_params", Spec(17, 6, 200, True)),
    ],
)
def test_spec_and_split(name, spec):
    family = BUILT[name]
    assert family.spec == spec
    assert family.test_tasks == (2, 6, 10, 14, 18, 22, 26, 30, 34, 38)
    assert len(family.train_tasks) == 30
    assert len(family.parameters) == 40
    assert family.parameters.dtype == np.float64


def test_task_grids():
    speeds = BUILT["half_cheetah_vel"].parameters
    np.testing.assert_allclose(speeds[[0, 13, 39], 0], [1, 5 / 3, 3])
    goals, ways = BUILT["ant_goal"].parameters, BUILT["humanoid_dir"].parameters
    np.testing.assert_allclose(goals[[0, 10, 20, 30]], [[2, 0], [0, 2], [-2, 0], [0, -2]], atol=1e-12)
    np.testing.assert_allclose(ways[5], [0.5**0.5, 0.5**0.5])
    assert len({tuple(goal.round(9)) for goal in goals}) == 40  # the circle is not closed twice


@pytest.mark.parametrize(("name", "dt"), list(zip(NAMES, (0.05, 0.05, 0.015, 0.016, 0.016), strict=True)))
def test_dt(name, dt):
    assert BUILT[name].worlds([0]).dt == pytest.approx(dt)


CALM = {"humanoid_dir": 0.3, "hopper_rand_params": 0.15, "walker_rand_params": 0.15}  # lest they fall at once


@pytest.mark.parametrize("name", NAMES)
def test_equals_a_plain_loop_and_the_definition(name):
    tasks, size = [5, 17, 38], CALM.get(name, 1.2)
    worlds = BUILT[name].worlds(tasks)
    first, _ = worlds.reset(seed=[7, 8, 9])
    plain = [
        Plain(name, worlds.model, task, worlds.qpos[world], worlds.qvel[world]) for world, task in enumerate(tasks)
    ]
    for world, reference in enumerate(plain):
        np.testing.assert_array_equal(first[world], reference.obs(reference.kept()))
    rng, steps, rewards = np.random.default_rng(0), 0, []
    while steps < 40:
        actions = rng.uniform(-size, size, (3, worlds.single_action_space.shape[0]))
        obs, reward, terminated, _, _ = worlds.step(actions)
        for world, reference in enumerate(plain):
            expected, paid, fell = reference.step(actions[world].clip(-1, 1))
            np.testing.assert_array_equal(worlds.qpos[world], reference.data.qpos)  # bit for bit
            np.testing.assert_array_equal(worlds.qvel[world], reference.data.qvel)
            np.testing.assert_array_equal(obs[world], expected)
            assert reward[world] == pytest.approx(paid, rel=1e-9, abs=1e-9)
            assert terminated[world] == fell
        rewards.append(reward)
        steps += 1
        if terminated.any():
            break
    assert steps >= 8
    assert np.ptp(rewards, axis=0).min() > 0.01


QUATERNION = {"ant_goal": range(3, 7), "humanoid_dir": range(3, 7)}  # its places in qpos
OBSERVED = {"ant_goal": slice(3, 7), "humanoid_dir": slice(1, 5)}  # and in the observation


@pytest.mark.parametrize(("name", "size"), [("ant_goal", 0.1), ("humanoid_dir", 0.01)])
def test_the_orientation_has_length_one_from_the_first_observation_on(name, size):
    """Golden: the first draw of a world's generator is the jolt of its coordinates."""
    worlds, seeds = BUILT[name].worlds([0, 1, 2]), [7, 8, 9]
    first, _ = worlds.reset(seed=seeds)
    for world, seed in enumerate(seeds):
        jolted = worlds.model.qpos0 + np.random.default_rng(seed).uniform(-size, size, worlds.model.nq)
        quaternion = jolted[3:7] / np.sqrt(np.sum(jolted[3:7] ** 2))
        assert abs(np.linalg.norm(jolted[3:7]) - 1) > 1e-4
        np.testing.assert_allclose(worlds.qpos[world, 3:7], quaternion, atol=1e-15)
        np.testing.assert_array_equal(first[world, OBSERVED[name]], worlds.qpos[world, 3:7].astype(np.float32))
        np.testing.assert_array_equal(worlds.qpos[world, :3], jolted[:3])  # nothing else is touched
        np.testing.assert_array_equal(worlds.qpos[world, 7:], jolted[7:])
    second, _ = worlds.reset(options={"reset_mask": np.array([False, True, False])})
    np.testing.assert_allclose(np.linalg.norm(second[:, OBSERVED[name]], axis=-1), 1, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_a_family_with_quaternions_is_among_those_whose_orientation_is_tested(name):
    model = BUILT[name].model()
    joints = (mujoco.mjtJoint.mjJNT_FREE, mujoco.mjtJoint.mjJNT_BALL)
    assert bool(np.isin(model.jnt_type, [int(joint) for joint in joints]).any()) == (name in QUATERNION)


@pytest.mark.parametrize(
    ("name", "qpos", "qvel"),
    [
        ("half_cheetah_vel", ("uniform", 0.1), ("normal", 0.1)),
        ("ant_goal", ("uniform", 0.1), ("normal", 0.1)),
        ("humanoid_dir", ("uniform", 0.01), ("uniform", 0.01)),
        ("hopper_rand_params", ("uniform", 0.005), ("uniform", 0.005)),
        ("walker_rand_params", ("uniform", 0.005), ("uniform", 0.005)),
    ],
)
def test_starts(name, qpos, qvel):
    worlds = BUILT[name].worlds([0] * 200)
    worlds.reset(seed=0)
    free = np.ones(worlds.model.nq, np.bool_)
    free[list(QUATERNION.get(name, ()))] = False
    for values, rest, (law, size) in ((worlds.qpos, worlds.model.qpos0, qpos), (worlds.qvel, 0, qvel)):
        noise = (values - rest) / size
        noise = noise[:, free] if noise.shape[1] == len(free) else noise
        spread = 1.0 if law == "normal" else 3**-0.5
        np.testing.assert_allclose(noise.std(0), spread, rtol=0.25)
        np.testing.assert_allclose(noise.mean(0), 0, atol=0.3 * spread)
        assert (abs(noise).max() > 2.5) == (law == "normal")


ENDS = {  # coordinates to set, and whether that is an end
    "humanoid_dir": [({2: 1.01}, False), ({2: 0.99}, True), ({2: 1.99}, False), ({2: 2.01}, True)],
    "hopper_rand_params": [
        *[({1: 0.71}, False), ({1: 0.69}, True), ({2: 0.19}, False), ({2: 0.21}, True), ({2: -0.21}, True)],
        *[({5: 99}, False), ({5: -101}, True), ({3: np.nan}, True), ({0: np.inf}, True), ({0: 1e6}, False)],
    ],
    "walker_rand_params": [
        *[({1: 0.81}, False), ({1: 0.79}, True), ({1: 1.99}, False), ({1: 2.01}, True)],
        *[({2: 0.99}, False), ({2: 1.01}, True), ({2: -1.01}, True), ({1: np.nan}, True)],
    ],
    "half_cheetah_vel": [({1: -9.0, 2: 3.0}, False)],
    "ant_goal": [({2: 0.1, 3: -1.0}, False)],
}


@pytest.mark.parametrize(("name", "coordinates", "ends"), [(k, *end) for k, some in ENDS.items() for end in some])
def test_ends(name, coordinates, ends):
    worlds = BUILT[name].worlds([0, 1])
    worlds.reset(seed=0)
    for place, value in coordinates.items():
        worlds.qpos[1, place] = value
    _, terminated = worlds._outcome(np.zeros_like(worlds._place()), np.zeros((2, worlds.model.nu)))
    np.testing.assert_array_equal(terminated, [False, ends])


def test_a_fast_hopper_has_fallen_too():
    worlds = BUILT["hopper_rand_params"].worlds([0])
    worlds.reset(seed=0)
    worlds.qvel[0, 5] = 101.0
    assert worlds._has_fallen()[0]
    assert worlds._observe()[0, -1] == 10  # clipped in the observation alone


@pytest.mark.parametrize(
    ("name", "fields"), [("half_cheetah_vel", {}), ("ant_goal", {"torso": "current"})], ids=lambda value: str(value)
)
def test_reward_of_stored_transitions(name, fields):
    family = FAMILIES.build(FAMILIES[name].config(**fields))
    tasks, rng = list(range(40)), np.random.default_rng(1)
    worlds = family.worlds(tasks)
    obs, _ = worlds.reset(seed=3)
    parameters = family.parameters.astype(np.float32)
    for step in range(60):
        action = rng.uniform(-1, 1, (40, family.spec.action)).astype(np.float32)
        after, reward, *_ = worlds.step(action)
        computed = family.reward(parameters, obs, action, after)
        np.testing.assert_allclose(computed, reward, atol=3e-5)
        tensors = family.reward(*map(torch.tensor, (parameters, obs, action, after)))
        np.testing.assert_allclose(tensors.numpy(), computed, atol=3e-5)
        obs = after
        if step % 20 == 19:  # right after a reset the torso is observed on time
            obs, _ = worlds.reset(seed=step)
    assert family.reward(parameters[:, None], obs[:, None], action[:, None], after[:, None]).shape == (40, 1)


def test_the_ants_published_reward_is_near_that_of_where_it_is():
    rng = np.random.default_rng(0)
    late, current = (
        FAMILIES.build(FAMILIES["ant_goal"].config(torso=torso)).worlds(range(8)) for torso in ("late", "current")
    )
    late.reset(seed=0)
    current.reset(seed=0)
    apart = []
    for _ in range(100):
        action = rng.uniform(-1, 1, (8, 8))
        apart.append(abs(late.step(action)[1] - current.step(action)[1]))
    assert 0 < np.mean(apart) < 1e-3
    assert np.max(apart) < 0.03


@pytest.mark.parametrize("name", NAMES)
def test_no_reward_function_where_transitions_do_not_tell_it(name):
    assert (BUILT[name].reward is not None) == (name == "half_cheetah_vel")
    if name == "ant_goal":
        assert FAMILIES.build(FAMILIES[name].config(torso="current", contact_forces="sensed")).reward is None


@pytest.mark.parametrize("name", ["ant_goal", "humanoid_dir"])
def test_contact_forces(name):
    config = FAMILIES[name].config
    zeros, sensed = (FAMILIES.build(config(contact_forces=kind)).worlds([3] * 4) for kind in ("zeros", "sensed"))
    zeros.reset(seed=0)
    sensed.reset(seed=0)
    rng, felt = np.random.default_rng(0), []
    for _ in range(30):
        action = rng.uniform(-0.3, 0.3, (4, zeros.model.nu))
        (obs, reward, ended, *_), (obs_too, reward_too, *_) = zeros.step(action), sensed.step(action)
        np.testing.assert_array_equal(zeros.qpos, sensed.qpos)
        force = sensed.batch.bind("cfrc_ext")
        felt.append(force.copy())
        if name == "ant_goal":
            np.testing.assert_allclose(reward_too, reward - 5e-4 * (force.clip(-1, 1) ** 2).sum((1, 2)), atol=1e-9)
        else:
            assert not obs[:, 292:].any()
            np.testing.assert_array_equal(obs_too[:, 292:], force.reshape(4, 84).astype(np.float32))
            impact = (5e-7 * (force**2).sum((1, 2))).clip(max=10)
            np.testing.assert_allclose(reward_too, reward - impact, atol=1e-9)
        if ended.any():
            break
    assert np.abs(felt).max() > 1


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("ant_goal", {"contact_forces": "zero"}),
        ("ant_goal", {"torso": "now"}),
        ("half_cheetah_vel", {"tasks": 2}),
        ("hopper_rand_params", {"derived": "old"}),
        ("walker_rand_params", {"capsules": "new"}),
        ("humanoid_dir", {"horizon": 0}),
    ],
)
def test_configs_refuse(name, field):
    with pytest.raises(FieldError, match=next(iter(field))):
        FAMILIES[name].config(**field)
