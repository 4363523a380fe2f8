"""The batch stepper: worlds do not depend on each other, on their number or on threads; and what stands around it."""

import subprocess
import sys
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from plain_mujoco import NAMES

from selectrl.envs.camera import Camera
from selectrl.envs.ids import IDS
from selectrl.envs.robots import compile_robot
from selectrl.errors import InputError, RunError
from selectrl.registry import FAMILIES

BUILT = {name: FAMILIES.build(FAMILIES[name].config()) for name in NAMES}
ID = {name: BUILT[name].env_id for name in NAMES}


def trace(name, tasks, seeds, steps=60, watch=lambda worlds: None, threads=1):
    """All that worlds show, (time, world, …), with a reset wherever an episode ends; actions go by seed."""
    worlds = BUILT[name].worlds(tasks, threads=threads)
    rng = [np.random.default_rng(seed) for seed in seeds]
    records = [(worlds.reset(seed=seeds)[0], np.zeros(len(tasks)), np.zeros(len(tasks)))]
    for _ in range(steps):
        actions = np.stack([generator.uniform(-0.8, 0.8, worlds.model.nu) for generator in rng])
        obs, reward, terminated, truncated, _ = worlds.step(actions)
        if (ended := terminated | truncated).any():
            obs, _ = worlds.reset(options={"reset_mask": ended})
        records.append((obs, reward, terminated))
        watch(worlds)
    worlds.close()
    return [np.stack(parts) for parts in zip(*records, strict=True)]


def assert_equal(first, second):
    for mine, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(mine, other)


@pytest.mark.parametrize("name", NAMES)
def test_threads_change_nothing(name):
    seeds, tasks = [3, 4, 5, 6, 7, 8], [0, 11, 22, 33, 38, 39]
    assert [BUILT[name].worlds([0, 1], threads=threads).batch.nthread for threads in (1, 2)] == [1, 2]
    assert_equal(trace(name, tasks, seeds), trace(name, tasks, seeds, threads=2))


@pytest.mark.parametrize("name", NAMES)
def test_a_world_alone_is_a_world_among_others(name):
    among = trace(name, [8, 2, 30], [3, 4, 5])
    for world, (task, seed) in enumerate([(8, 3), (2, 4), (30, 5)]):
        assert_equal([part[:, [world]] for part in among], trace(name, [task], [seed]))


@pytest.mark.parametrize("name", NAMES)
def test_the_single_environment_is_a_batch_of_one(name):
    env, worlds = gymnasium.make(ID[name], task=6), BUILT[name].worlds([6])
    np.testing.assert_array_equal(env.reset(seed=1)[0], worlds.reset(seed=[1])[0][0])
    for _ in range(30):
        action = worlds.action_space.sample()
        single, many = env.step(action[0]), worlds.step(action)
        np.testing.assert_array_equal(single[0], many[0][0])
        assert single[1:4] == tuple(part[0] for part in many[1:4])
        if single[2]:
            break


@pytest.mark.parametrize("name", NAMES)
def test_seeds(name):
    worlds = BUILT[name].worlds([0, 0])
    first = worlds.reset(seed=[1, 1])[0]
    np.testing.assert_array_equal(first[0], first[1])
    second = worlds.reset()[0]  # goes on with the worlds' own numbers
    np.testing.assert_array_equal(second[0], second[1])
    assert (second[0] != first[0]).any()
    other = worlds.reset(seed=[2, 1])[0]
    assert (other[0] != first[0]).any()
    np.testing.assert_array_equal(other[1], first[1])
    np.testing.assert_array_equal(BUILT[name].worlds([0]).reset(seed=[1])[0][0], first[0])
    fresh = BUILT[name].worlds([0, 0]).reset()[0]
    assert (fresh[0] != fresh[1]).any()


@pytest.mark.parametrize("name", NAMES)
def test_partial_reset_touches_the_masked_worlds_alone(name):
    worlds = BUILT[name].worlds([1, 2, 3])
    worlds.reset(seed=0)
    for _ in range(5):
        before, *_ = worlds.step(np.full((3, worlds.model.nu), 0.3))
    state = worlds.batch.state.copy()
    after, _ = worlds.reset(options={"reset_mask": np.array([False, True, False])})
    np.testing.assert_array_equal(after[[0, 2]], before[[0, 2]])
    np.testing.assert_array_equal(worlds.batch.state[[0, 2]], state[[0, 2]])
    assert (worlds.qpos[1] != state[1][1 : 1 + worlds.model.nq]).any()
    assert worlds.elapsed.tolist() == [5, 0, 5]
    untouched, _ = worlds.reset(options={"reset_mask": np.zeros(3, np.bool_)})
    np.testing.assert_array_equal(untouched, after)
    twin = BUILT[name].worlds([1, 2, 3])  # the others go on as if nothing had happened
    twin.reset(seed=0)
    for _ in range(5):
        twin.step(np.full((3, worlds.model.nu), 0.3))
    actions = np.full((3, worlds.model.nu), -0.2)
    np.testing.assert_array_equal(worlds.step(actions)[0][[0, 2]], twin.step(actions)[0][[0, 2]])


@pytest.mark.parametrize("name", NAMES)
def test_time_outs(name):
    worlds = FAMILIES.build(FAMILIES[name].config(horizon=4)).worlds([0, 1])
    worlds.reset(seed=0)
    cut = [worlds.step(np.zeros((2, worlds.model.nu)))[2:4] for _ in range(4)]
    assert [bool(truncated.all()) for _, truncated in cut] == [False, False, False, True]
    assert not any(terminated.any() for terminated, _ in cut)


@pytest.mark.parametrize("name", NAMES)
def test_a_world_that_diverges_ends_and_harms_no_other(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    worlds, twin = BUILT[name].worlds([1, 2]), BUILT[name].worlds([1, 2])
    worlds.reset(seed=0)
    twin.reset(seed=0)
    worlds.qvel[1] = 1e12
    actions = np.full((2, worlds.model.nu), 0.1)
    obs, reward, terminated, _, _ = worlds.step(actions)
    fine, paid, *_ = twin.step(actions)
    assert terminated.tolist() == [False, True]
    assert reward[1] == 0
    assert np.isfinite(obs).all()
    np.testing.assert_array_equal(obs[0], fine[0])
    assert reward[0] == paid[0]
    worlds.reset(seed=[0, 1], options={"reset_mask": terminated})
    assert not worlds.step(actions)[2].any()
    assert list(tmp_path.iterdir()) == []  # no MUJOCO_LOG.TXT


@pytest.mark.parametrize("name", NAMES)
def test_tasks_out_of_range(name):
    with pytest.raises(InputError, match="from 0 to 39"):
        BUILT[name].worlds([40])


def test_settings_pass_through_gymnasium():
    env = gymnasium.make("selectrl/HopperRandParams-v0", task=2, capsules="modern")
    assert env.unwrapped.worlds.model.body_mass.sum() == pytest.approx(15.820, abs=1e-3)
    assert env.metadata["render_fps"] == 62  # 1 / 0.016 s
    worlds = gymnasium.make_vec("selectrl/AntGoal-v0", num_envs=2, task=[0, 20], contact_forces="sensed")
    np.testing.assert_allclose(worlds.parameters, [[2, 0], [-2, 0]], atol=1e-12)
    assert worlds.metadata["render_fps"] == 20


def test_every_id_has_its_family():
    assert set(IDS) <= {FAMILIES.build(entry.config()).env_id for entry in FAMILIES}


@pytest.mark.parametrize("name", NAMES)
def test_check_env(name):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*Box observation space (min|max)imum value is -?infinity.*")
        check_env(gymnasium.make(ID[name], task=7).unwrapped, skip_render_check=True)


@pytest.fixture(scope="module")
def gl():
    try:
        Camera(compile_robot("hopper")).close()
    except RunError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("name", NAMES)
def test_pictures(name, gl):
    env = gymnasium.make(ID[name], task=7, render_mode="rgb_array")
    env.reset(seed=0)
    env.step(np.zeros(env.action_space.shape, np.float32))
    picture = env.render()
    env.close()
    assert (picture.shape, picture.dtype) == ((256, 256, 3), np.uint8)
    red, green, blue = picture.astype(int).transpose(2, 0, 1)
    body = (red > green + 25) & (green > blue + 15)  # orange, as all robots are
    assert 200 < body.sum() < 10000
    rows, columns = np.nonzero(body)
    assert 20 < rows.mean() < 236
    assert 20 < columns.mean() < 236
    assert picture[:40].mean() > picture[-40:].mean()  # the sky is above


def test_pictures_leave_the_simulation_alone(gl):
    seeds, name = [1, 2], "ant_goal"
    seen = []
    watched = trace(name, [0, 1], seeds, steps=4, watch=lambda worlds: seen.append(worlds.render()))
    assert_equal(watched, trace(name, [0, 1], seeds, steps=4))
    assert (seen[0][0] != seen[-1][0]).any()
    assert (seen[0][0] != seen[0][1]).any()


def test_the_ants_goal_is_in_the_picture(gl):
    worlds = FAMILIES.build(FAMILIES["ant_goal"].config()).worlds([37])
    worlds.reset(seed=0)
    red, green, blue = np.moveaxis(np.stack(worlds.render()).astype(int), -1, 0)
    worlds.close()
    ball = (green > red + 60) & (green > blue + 40)
    assert 50 < ball[0].sum() < 2000


def test_check_env_with_pictures(gl):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*Box observation space (min|max)imum value is -?infinity.*")
        check_env(gymnasium.make(ID["half_cheetah_vel"], render_mode="rgb_array").unwrapped)


def run_python(code: str) -> None:
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_mujoco_is_imported_with_the_first_worlds():
    run_python(
        "import sys, selectrl.envs\n"
        "from selectrl.registry import FAMILIES\n"
        "configs = [entry.config() for entry in FAMILIES]\n"
        "assert 'gymnasium' not in sys.modules\n"
        "built = [FAMILIES.build(config) for config in configs]\n"
        "assert 'mujoco' not in sys.modules and 'torch' not in sys.modules\n"
        "built[1].worlds([0]).reset()\n"
        "assert 'mujoco' in sys.modules and 'torch' not in sys.modules"
    )


def test_without_mujoco_the_error_says_what_to_install():
    run_python(
        "import sys; sys.modules['mujoco'] = None\n"
        "import selectrl.envs\n"
        "from selectrl.registry import FAMILIES\n"
        "from selectrl.errors import RunError\n"
        "try: FAMILIES.build(FAMILIES['ant_goal'].config()).worlds([0])\n"
        "except RunError as error: assert 'pip install' in str(error)\n"
        "else: raise SystemExit(1)"
    )
