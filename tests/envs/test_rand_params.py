"""Bodies: the published draws, and that each drawn field changes how the robot moves."""

import numpy as np
import pytest

from selectrl.envs.robots import compile_robot
from selectrl.registry import FAMILIES

FIELDS = ("body_mass", "body_inertia", "dof_damping", "geom_friction")
NAMES = {"hopper_rand_params": "hopper", "walker_rand_params": "walker"}
BUILT = {name: FAMILIES.build(FAMILIES[name].config()) for name in NAMES}

#: Factors of task 0: masses, inertia of body 1, damping, friction of geom 0.
GOLDEN = {
    "hopper_rand_params": (
        [0.472145, 1.345903, 0.859422, 2.002142, 1.976095],
        [3.048218, 2.49569, 0.707583],
        [0.808403, 1.1992, 0.512513, 0.81343, 1.977519, 1.269086],
        [0.778735, 2.018632, 0.64044],
    ),
    "walker_rand_params": (
        [0.472145, 1.345903, 0.859422, 2.002142, 1.976095, 0.575087, 0.580529, 2.084214],
        [1.002424, 1.562562, 1.67776],
        [1.609038, 0.570765, 1.379257, 1.379952, 0.642317, 1.951934, 0.912944, 1.904728, 0.500103],
        [0.463911, 0.332475, 1.530277],
    ),
}


@pytest.mark.parametrize(("name", "width"), [("hopper_rand_params", 41), ("walker_rand_params", 65)])
def test_golden_factors(name, width):
    factors = BUILT[name].parameters
    assert factors.shape == (40, width)
    mass, inertia, damping, friction = GOLDEN[name]
    bodies, dofs = len(mass), len(damping)
    task = factors[0]
    np.testing.assert_allclose(task[:bodies], mass, atol=1e-6)
    np.testing.assert_allclose(task[bodies + 3 : bodies + 6], inertia, atol=1e-6)
    np.testing.assert_allclose(task[4 * bodies : 4 * bodies + dofs], damping, atol=1e-6)
    np.testing.assert_allclose(task[4 * bodies + dofs :][:3], friction, atol=1e-6)
    assert 1.5**-3 <= factors.min() < 0.31  # .296
    assert 3.3 < factors.max() <= 1.5**3


def test_draws_leave_numpys_global_state_alone():
    np.random.seed(0)
    first = np.random.rand()
    np.random.seed(0)
    FAMILIES.build(FAMILIES["hopper_rand_params"].config())
    assert np.random.rand() == first


def test_more_tasks_keep_the_first():
    few = FAMILIES.build(FAMILIES["hopper_rand_params"].config(tasks=5)).parameters
    np.testing.assert_array_equal(few, BUILT["hopper_rand_params"].parameters[:5])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("capsules", ["legacy", "modern"])
def test_factors_reach_the_worlds_own_models(name, capsules):
    family = FAMILIES.build(FAMILIES[name].config(capsules=capsules))
    base, worlds = compile_robot(NAMES[name], capsules), family.worlds([4, 9, 4])
    ends = np.cumsum([getattr(base, field).size for field in FIELDS])
    for world, task in enumerate([4, 9, 4]):
        model = worlds.batch.get_model(world)
        for field, factors in zip(FIELDS, np.split(family.parameters[task], ends[:-1]), strict=True):
            rest = getattr(base, field)
            np.testing.assert_allclose(getattr(model, field), rest * factors.reshape(rest.shape), rtol=1e-12)
        assert model.body_mass[0] == 0  # the world weighs nothing, whatever its factor
        assert not model.dof_damping[:3].any()


def run(family, change):
    """Positions of two worlds of one task after 25 steps, one of which got ``change`` as its parameters."""
    parameters = np.ones_like(family.parameters)
    parameters[1] = change
    worlds = type(family)(family.config)
    worlds.parameters = parameters
    worlds = worlds.worlds([0, 1])
    rng = np.random.default_rng(0)
    worlds.reset(seed=[5, 5])
    for _ in range(25):
        worlds.ended[:] = False  # fallen robots may go on here
        action = rng.uniform(-1, 1, worlds.model.nu)
        worlds.step(np.stack((action, action)))
    return worlds.qpos.copy()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("field", range(4))
def test_each_field_changes_the_motion(name, field):
    family, base = BUILT[name], compile_robot(NAMES[name])
    sizes = [getattr(base, field).size for field in FIELDS]
    same = run(family, np.ones(sum(sizes)))
    np.testing.assert_array_equal(same[0], same[1])
    factors = np.ones(sum(sizes))
    factors[sum(sizes[:field]) : sum(sizes[: field + 1])] = 1.5
    changed = run(family, factors)
    np.testing.assert_array_equal(changed[0], same[0])  # the neighbour is as before
    assert abs(changed[1] - changed[0]).max() > 1e-4


@pytest.mark.parametrize("name", NAMES)
def test_derived_constants(name):
    base = compile_robot(NAMES[name])
    stale, fresh = (FAMILIES.build(FAMILIES[name].config(derived=kind)).worlds([3]) for kind in ("stale", "fresh"))
    for field in ("body_invweight0", "dof_M0", "body_subtreemass"):
        rest = getattr(base, field)
        np.testing.assert_array_equal(getattr(stale.batch.get_model(0), field), rest)
        assert abs(getattr(fresh.batch.get_model(0), field) - rest).max() > 1e-3
    assert fresh.batch.get_model(0).body_subtreemass[0] == pytest.approx(stale.batch.get_model(0).body_mass.sum())
