"""The robots: MJCF files of this package, compiled with the capsule masses of an old or of today's MuJoCo."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

from selectrl.errors import RunError

Model: TypeAlias = Any  # an MjModel; only functions import MuJoCo, so that a list of the families is fast

ASSETS = Path(__file__).parent / "assets"
FIXED_WEIGHT = ("half_cheetah",)


@cache
def compile_robot(robot: str, capsules: str = "legacy", contact_forces: str = "zeros") -> Model:
    """Compile the model of a robot, or return the cached one; do not write to it.

    Args:
        robot: the name of a file in ``assets``.
        capsules: ``modern`` leaves mass and inertia to MuJoCo. ``legacy`` is the law before MuJoCo 2.1.2, to which the
            published environments were built: a capsule of radius r and length ℓ has the mass of the solid cylinder of
            radius r and length ℓ + r, ρπr²(ℓ + r) and not ρπr²(ℓ + 4r/3). A robot whose file fixes its total mass
            keeps it.
        contact_forces: ``sensed`` adds a sensor, without which MuJoCo does not compute ``cfrc_ext``.

    Raises:
        RunError: MuJoCo is not installed, or is older than its batch stepper.
    """
    try:
        import mujoco
        import mujoco.batch  # new in 3.17
    except ImportError as error:
        raise RunError(
            f"this environment needs MuJoCo 3.17 or later: pip install 'mujoco>=3.17,<5' ({error})"
        ) from error
    spec = mujoco.MjSpec.from_file(str(ASSETS / f"{robot}.xml"))
    if capsules == "legacy":
        _make_legacy(spec)
    if contact_forces == "sensed":
        site = spec.worldbody.first_body().add_site()
        site.name = "touch"
        sensor = spec.add_sensor()
        sensor.type, sensor.objtype, sensor.objname = mujoco.mjtSensor.mjSENS_FORCE, mujoco.mjtObj.mjOBJ_SITE, site.name
    return spec.compile()


def _make_legacy(spec: Any) -> None:
    """Set each body's mass, centre and inertia as if its capsules were cylinders, longer by half a radius."""
    import mujoco

    model, cylinders = spec.compile(), spec.copy()
    for geom in cylinders.geoms:
        if geom.type == mujoco.mjtGeom.mjGEOM_CAPSULE:
            radius, half, _ = model.geom_size[geom.id]
            geom.type, geom.size = mujoco.mjtGeom.mjGEOM_CYLINDER, (radius, half + radius / 2, 0)
            geom.fromto[:] = float("nan")
            geom.pos, geom.quat, geom.alt.type = model.geom_pos[geom.id], model.geom_quat[geom.id], 0
    solid = cylinders.compile()
    keeps_weight = spec.modelname in FIXED_WEIGHT
    scale = model.body_mass.sum() / solid.body_mass.sum() if keeps_weight else 1.0
    for body in spec.bodies[1:]:
        body.explicitinertial = True
        body.mass, body.inertia = scale * solid.body_mass[body.id], scale * solid.body_inertia[body.id]
        body.ipos, body.iquat = solid.body_ipos[body.id], solid.body_iquat[body.id]
