"""The robots: the facts of their definitions, Gymnasium's own files, and the masses of capsules then and now."""

import re
import tomllib
from pathlib import Path

import gymnasium
import mujoco
import numpy as np
import pytest

from selectrl.envs.robots import ASSETS, compile_robot

ROOT = Path(__file__).parents[2]
THEIRS = Path(gymnasium.__file__).parent / "envs" / "mujoco" / "assets"
EULER, RK4 = int(mujoco.mjtIntegrator.mjINT_EULER), int(mujoco.mjtIntegrator.mjINT_RK4)
PGS, NEWTON = int(mujoco.mjtSolver.mjSOL_PGS), int(mujoco.mjtSolver.mjSOL_NEWTON)


@pytest.mark.parametrize(
    ("robot", "sizes", "timestep", "integrator", "solver"),
    [  # nq, nv, nu, bodies with the world, geoms with the floor
        ("half_cheetah", (9, 9, 6, 8, 9), 0.01, EULER, NEWTON),
        ("ant", (15, 14, 8, 14, 14), 0.01, RK4, NEWTON),
        ("humanoid", (24, 23, 17, 14, 18), 0.003, RK4, PGS),
        ("hopper", (6, 6, 3, 5, 5), 0.004, RK4, NEWTON),
        ("walker", (9, 9, 6, 8, 8), 0.004, RK4, NEWTON),
    ],
)
def test_facts(robot, sizes, timestep, integrator, solver):
    model = compile_robot(robot)
    assert (model.nq, model.nv, model.nu, model.nbody, model.ngeom) == sizes
    assert model.opt.timestep == timestep
    assert (model.opt.integrator, model.opt.solver) == (integrator, solver)
    assert model.opt.iterations == (50 if robot == "humanoid" else 100)


@pytest.mark.parametrize(
    ("robot", "gears"),
    [
        ("half_cheetah", [120, 90, 60, 120, 60, 30]),
        ("ant", [150] * 8),
        ("humanoid", [100] * 3 + [100, 100, 300, 200] * 2 + [25] * 6),
        ("hopper", [200] * 3),
        ("walker", [100] * 6),
    ],
)
def test_motors(robot, gears):
    model = compile_robot(robot)
    np.testing.assert_array_equal(model.actuator_gear[:, 0], gears)
    reach = 0.4 if robot == "humanoid" else 1.0
    np.testing.assert_array_equal(model.actuator_ctrlrange, [[-reach, reach]] * model.nu)


@pytest.mark.parametrize(
    ("robot", "capsules", "masses"),
    [  # the familiar ones of Gym, and today's
        ("hopper", "legacy", [3.53429, 3.92699, 2.71434, 5.08938]),
        ("hopper", "modern", [3.66519, 4.05789, 2.78136, 5.31557]),
        ("walker", "legacy", [3.53429, *[3.92699, 2.71434, 2.94053] * 2]),
        ("walker", "modern", [3.66519, *[4.05789, 2.78136, 3.16673] * 2]),
    ],
)
def test_masses(robot, capsules, masses):
    np.testing.assert_allclose(compile_robot(robot, capsules).body_mass[1:], masses, atol=1e-5)


@pytest.mark.parametrize("capsules", ["legacy", "modern"])
def test_the_cheetah_weighs_14_kg_in_either_case(capsules):
    assert compile_robot("half_cheetah", capsules).body_mass.sum() == pytest.approx(14, abs=1e-9)


def test_the_cheetah_lays_its_weight_by_the_legacy_law():
    model = compile_robot("half_cheetah")
    radius, half, _ = model.geom_size[1:].T
    volume = np.bincount(model.geom_bodyid[1:], radius**2 * (2 * half + radius))
    np.testing.assert_allclose(model.body_mass, 14 * volume / volume.sum(), atol=1e-9)
    assert abs(model.body_mass - compile_robot("half_cheetah", "modern").body_mass).max() > 0.01


def test_legacy_inertia_of_one_capsule():
    # torso: r = .05, ℓ = .4, m = 1000 π r² (ℓ + r) = 3.53429; across m (3 r² + (ℓ + r)²) / 12, along m r² / 2
    across, along = 3.53429 * (3 * 0.0025 + 0.2025) / 12, 3.53429 * 0.0025 / 2
    model = compile_robot("hopper")
    np.testing.assert_allclose(model.body_inertia[1], [across, across, along], rtol=1e-5)
    foot = 5.08938 * np.array([(3 * 0.0036 + 0.45**2) / 12] * 2 + [0.0036 / 2])  # r = .06, ℓ = .39
    np.testing.assert_allclose(model.body_inertia[4], foot, rtol=1e-5)


def test_legacy_inertia_of_capsules_and_a_ball():
    model = compile_robot("humanoid")
    parts = np.flatnonzero(model.geom_bodyid == 1)
    assert len(parts) == 3
    mass, centre, inertia = [], [], []
    for part in parts:
        radius, half, _ = model.geom_size[part]
        if model.geom_type[part] == mujoco.mjtGeom.mjGEOM_SPHERE:
            mass.append(1000 * np.pi * 4 / 3 * radius**3)
            own = np.eye(3) * mass[-1] * radius**2 * 2 / 5
        else:  # lies along y
            length = 2 * half + radius
            mass.append(1000 * np.pi * radius**2 * length)
            across = (3 * radius**2 + length**2) / 12
            own = mass[-1] * np.diag([across, radius**2 / 2, across])
        centre.append(model.geom_pos[part])
        inertia.append(own)
    middle = np.average(centre, axis=0, weights=mass)
    offset = np.array(centre) - middle
    whole = sum(own + m * (d @ d * np.eye(3) - np.outer(d, d)) for own, m, d in zip(inertia, mass, offset, strict=True))
    assert model.body_mass[1] == pytest.approx(sum(mass), rel=1e-9)
    np.testing.assert_allclose(model.body_ipos[1], middle, atol=1e-9)
    np.testing.assert_allclose(np.sort(model.body_inertia[1]), np.linalg.eigvalsh(whole), rtol=1e-9)


def test_what_mujoco_derives_follows_the_legacy_masses():
    model = compile_robot("ant")
    assert model.body_subtreemass[1] == pytest.approx(model.body_mass.sum())
    assert (model.body_invweight0[1:] > compile_robot("ant", "modern").body_invweight0[1:]).all()  # lighter


@pytest.mark.parametrize(
    ("robot", "file"),
    [*((robot, robot) for robot in ("half_cheetah", "ant", "humanoid", "hopper")), ("walker", "walker2d_v5")],
)
def test_gymnasiums_robot_is_ours_with_modern_capsules(robot, file):
    mujoco.set_mju_user_warning(lambda text: None)  # settotalmass is deprecated there
    ours, theirs = compile_robot(robot, "modern"), mujoco.MjModel.from_xml_path(str(THEIRS / f"{file}.xml"))
    fields = "body_mass body_inertia jnt_type jnt_range jnt_limited jnt_stiffness jnt_axis dof_damping dof_armature"
    fields += " qpos0 geom_type geom_size geom_friction geom_solref geom_solimp geom_margin geom_condim geom_contype"
    fields += " geom_conaffinity actuator_gear actuator_trnid jnt_solref jnt_solimp jnt_margin body_parentid"
    for field in fields.split():
        mine, other = getattr(ours, field).copy(), getattr(theirs, field).copy()
        if (robot, field) == ("humanoid", "jnt_range"):
            joint = ours.joint("left_hip_y").id
            assert mine[joint, 0] == pytest.approx(np.radians(-120))  # Gym's v2; later files have -110
            other[joint] = mine[joint]
        if field == "geom_size":
            other[0] = mine[0]  # of the floor, which is endless whatever is drawn
        if (robot, field) == ("walker", "geom_friction"):
            foot = ours.geom("foot").id
            assert mine[foot, 0] == 0.9  # Gym's v2; v5 has 1.9 on both feet
            other[foot] = mine[foot]
        np.testing.assert_allclose(mine, other, rtol=1e-9, atol=1e-12, err_msg=field)
    seen = []
    for model in (ours, theirs):  # frames may lie elsewhere, but not the parts and the hinges
        data = mujoco.MjData(model)
        data.qpos[7 if robot in ("ant", "humanoid") else 2 :] += 0.1
        mujoco.mj_forward(model, data)
        seen.append((data.geom_xpos, data.xipos, data.xanchor[3:], data.xaxis))
    for mine, other in zip(*seen, strict=True):
        np.testing.assert_allclose(mine, other, atol=1e-9)


def test_files_are_of_our_time():
    for path in ASSETS.glob("*.xml"):
        text = path.read_text()
        assert not re.search(r"settotalmass|coordinate=|inertiafromgeom|nuser|nstack", text), path
        assert not re.search(r'="[^"]*\d/\d', text), f"{path}: arithmetic"


def test_the_wheel_carries_the_files():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"] == ["selectrl"]  # all files below it
    assert ASSETS.is_relative_to(ROOT / "selectrl")
    names = ["ant", "half_cheetah", "hopper", "humanoid", "scene", "walker"]
    assert sorted(path.stem for path in ASSETS.glob("*.xml")) == names


def test_sensed_forces_leave_physics_alone():
    plain, sensed = compile_robot("ant"), compile_robot("ant", contact_forces="sensed")
    assert (plain.nsensor, sensed.nsensor) == (0, 1)
    np.testing.assert_array_equal(plain.body_inertia, sensed.body_inertia)
