"""Families whose tasks are bodies: masses, inertias, damping and friction are drawn for each task."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import numpy as np

from selectrl.arrays import Array
from selectrl.envs.configs import RandParamsConfig
from selectrl.envs.mujoco_worlds import MujocoFamily, MujocoWorlds
from selectrl.structs import Spec

TASK_SEED = 1234
LOG_SCALE = 3.0


class RobotSizes(NamedTuple):
    """The numbers of bodies (with the world), degrees of freedom and geoms (with the floor) of a robot's model."""

    bodies: int
    dofs: int
    geoms: int

    @property
    def fields(self) -> dict[str, tuple[tuple[int, ...], float]]:
        """The randomised fields, in the order of the draws: shape, and the base of the factor."""
        return {
            "body_mass": ((self.bodies, 1), 1.5),
            "body_inertia": ((self.bodies, 3), 1.5),
            "dof_damping": ((self.dofs,), 1.3),
            "geom_friction": ((self.geoms, 3), 1.5),
        }


def multipliers(sizes: RobotSizes, tasks: int) -> Array:
    """Draw the factors of each task's physics.

    Each factor is base^u with u ~ U(-3, 3), from NumPy's legacy generator seeded with 1234, task by task in the order
    mass, inertia, damping, friction. Each body, axis, degree of freedom and geom has its own factor. With more tasks
    the first ones stay the same.

    Args:
        sizes: sizes of the robot's model.
        tasks: number of tasks.

    Returns:
        (task, parameter) float64; a row holds the fields of a task in this order.
    """
    random = np.random.RandomState(TASK_SEED)
    draws = [
        [base ** random.uniform(-LOG_SCALE, LOG_SCALE, shape).ravel() for shape, base in sizes.fields.values()]
        for _ in range(tasks)
    ]
    return np.stack([np.concatenate(task) for task in draws])


class RandParamsWorlds(MujocoWorlds):
    """Worlds of one robot, each with its own body; a subclass defines when the robot has fallen."""

    frame_skip = 4
    sizes: ClassVar[RobotSizes]

    def __init__(
        self, family: RandParams, tasks: Sequence[int], render_mode: str | None = None, threads: int = 1
    ) -> None:
        super().__init__(family, tasks, render_mode, threads)
        fields = self.sizes.fields
        ends = np.cumsum([np.prod(shape) for shape, _ in fields.values()])[:-1]
        for name, factors in zip(fields, np.split(self.parameters, ends, axis=1), strict=True):
            field = self.batch.expand(name)
            field *= factors.reshape(field.shape)
        if family.config.derived == "fresh":
            self.batch.set_const()

    def _jolt(self, generator: np.random.Generator) -> tuple[Array, Array]:
        return generator.uniform(-0.005, 0.005, self.model.nq), generator.uniform(-0.005, 0.005, self.model.nv)

    def _outcome(self, moved: Array, actions: Array) -> tuple[Array, Array]:
        return moved / self.dt + 1.0 - 1e-3 * np.square(actions).sum(-1), self._has_fallen()

    @abstractmethod
    def _has_fallen(self) -> Array:
        """Return the worlds that end now, (world,) bool."""

    def _observe(self) -> Array:
        return np.concatenate((self.qpos[:, 1:], self.qvel.clip(-10, 10)), -1, dtype=np.float32)


class RandParams(MujocoFamily[RandParamsConfig]):
    """A family of bodies; see :func:`multipliers` for their law.

    Args:
        config: the family's settings.
    """

    kind: type[RandParamsWorlds]

    def __init__(self, config: RandParamsConfig) -> None:
        sizes = self.kind.sizes
        actions = sizes.dofs - 3  # the three degrees of freedom of the root do not have a motor
        spec = Spec(obs=2 * sizes.dofs - 1, action=actions, horizon=config.horizon, dynamics_vary=True)
        super().__init__(config, spec, multipliers(sizes, config.tasks))
