"""Pictures of MuJoCo worlds, without a screen."""

from __future__ import annotations

import os
import sys
from typing import Any

import numpy as np

from selectrl.arrays import Array
from selectrl.errors import RunError

SIZE = 256  # pixels
GREEN = (0.18, 0.63, 0.26, 1)
REMEDY = "pictures need OpenGL: on Debian install libegl1 and libgl1-mesa-dri, or libosmesa6 and set MUJOCO_GL=osmesa"


def _context() -> Any:
    """Return an OpenGL context: EGL on Linux without ``MUJOCO_GL``, otherwise MuJoCo's choice."""
    if sys.platform == "linux" and not os.environ.get("MUJOCO_GL"):
        from mujoco.egl import GLContext
    else:
        from mujoco.gl_context import GLContext
    return GLContext(SIZE, SIZE)


class Camera:
    """The camera ``track`` of a robot's file.

    Args:
        model: any model of the robot.

    Raises:
        RunError: OpenGL is not available.
    """

    def __init__(self, model: Any) -> None:
        import mujoco

        try:
            self.context = _context()
            self.context.make_current()
            self.drawing = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100.value)
        except (ImportError, AttributeError, RuntimeError, mujoco.FatalError) as error:
            raise RunError(f"{REMEDY} ({error})") from error
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, self.drawing)
        self.scene, self.frame = mujoco.MjvScene(model, 100), mujoco.MjrRect(0, 0, SIZE, SIZE)
        self.view, self.options = mujoco.MjvCamera(), mujoco.MjvOption()
        self.view.type, self.view.fixedcamid = mujoco.mjtCamera.mjCAMERA_FIXED, model.camera("track").id

    def shoot(self, model: Any, data: Any, goal: Array | None = None) -> Array:
        """Return a picture, (256, 256, 3) uint8, with a green ball at the goal (3,) if there is one.

        MuJoCo computes the derived quantities of data first.
        """
        import mujoco

        mujoco.mj_forward(model, data)
        every = mujoco.mjtCatBit.mjCAT_ALL.value
        mujoco.mjv_updateScene(model, data, self.options, None, self.view, every, self.scene)
        if goal is not None:
            ball = self.scene.geoms[self.scene.ngeom]
            form = (mujoco.mjtGeom.mjGEOM_SPHERE, np.full(3, 0.15), goal, np.eye(3).ravel(), np.array(GREEN))
            mujoco.mjv_initGeom(ball, *form)
            self.scene.ngeom += 1
        self.context.make_current()
        mujoco.mjr_render(self.frame, self.scene, self.drawing)
        picture = np.zeros((SIZE, SIZE, 3), np.uint8)
        mujoco.mjr_readPixels(picture, None, self.frame, self.drawing)
        return picture[::-1].copy()  # OpenGL counts rows from below

    def close(self) -> None:
        """Free the context."""
        self.context.make_current()
        self.drawing.free()
        self.context.free()
