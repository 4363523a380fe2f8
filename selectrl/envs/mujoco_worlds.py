"""Worlds on MuJoCo's native batch stepper, and the base of the families that use it."""

from __future__ import annotations

import copy
import logging
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
from gymnasium import spaces

from selectrl.arrays import Array
from selectrl.envs.camera import Camera
from selectrl.envs.configs import ContactConfig, MujocoConfig
from selectrl.envs.robots import compile_robot
from selectrl.envs.split import interleave_tasks
from selectrl.envs.worlds import Worlds, validate_tasks
from selectrl.protocols import Reward
from selectrl.structs import Arena, ReferenceReturns, Spec

log = logging.getLogger(__name__)

#: Attributes that a copy of worlds keeps, in addition to their constructor arguments and the physics.
KEPT = ("elapsed", "ended", "generators", "horizon", "spec", "closed", "_np_random", "_np_random_seed")


def circle(tasks: int) -> Array:
    """Return a point for each task on the unit circle, evenly spaced from (1, 0), (task, 2)."""
    angle = np.linspace(0.0, 2 * np.pi, tasks + 1)[:-1]
    return np.stack((np.cos(angle), np.sin(angle)), -1)


C = TypeVar("C", bound=MujocoConfig)


class MujocoFamily(Generic[C]):
    """A family of tasks of one robot.

    Args:
        config: the family's settings.
        spec: its shapes.
        parameters: the parameters of each task, (task, parameter).
    """

    env_id: str
    kind: type[MujocoWorlds]  #: its worlds

    def __init__(self, config: C, spec: Spec, parameters: Array) -> None:
        self.config, self.spec, self.parameters = config, spec, parameters
        self.train_tasks, self.test_tasks = interleave_tasks(config.tasks)

    @property
    def reward(self) -> Reward | None:
        """The reward as a function of parameters and transition; None where they do not determine it."""
        return None

    @property
    def arena(self) -> Arena | None:
        """None: the path of a robot's torso shows little of its behaviour."""
        return None

    def reference_returns(self, tasks: Sequence[int]) -> ReferenceReturns | None:
        """Return None: the optimum of a robot is not known."""
        return None

    def model(self) -> Any:
        """Return the robot's model, which all tasks share; do not write to it."""
        return compile_robot(self.kind.robot, self.config.capsules)

    def worlds(self, tasks: Sequence[int], render_mode: str | None = None, *, threads: int = 1) -> MujocoWorlds:
        """Return one world per entry of tasks, simulated by this number of threads.

        Raises:
            InputError: a task id is out of range, or tasks is empty.
            RunError: MuJoCo is missing or too old.
        """
        return self.kind(self, tasks, render_mode, threads)


class MujocoWorlds(Worlds):
    """Worlds of one robot in lockstep on a ``mujoco.batch.Batch``.

    Each world has its own state, model fields and random numbers. Its episodes are bit-equal whatever the other worlds,
    their number and the number of threads are.

    The constructor turns MuJoCo's own warnings into debug messages of this module's logger, for the whole process. When
    a simulation diverges, MuJoCo resets its state to the start; the episode of this world then ends with a reward of 0.

    A deep or a pickled copy continues exactly as the original does: it has the same physics, random numbers and step
    counters. It opens its own camera.

    Args:
        family: the family.
        tasks: the task of each world.
        render_mode: ``"rgb_array"`` or None.
        threads: number of threads of the simulation.
    """

    robot: ClassVar[str]  #: name of the robot's file
    frame_skip: ClassVar[int]  #: simulation steps under one action

    def __init__(
        self, family: MujocoFamily[Any], tasks: Sequence[int], render_mode: str | None = None, threads: int = 1
    ) -> None:
        self.tasks = validate_tasks(tasks, len(family.parameters))
        self.model = family.model()
        import mujoco
        from mujoco.batch import Batch

        mujoco.set_mju_user_warning(lambda text: log.debug("MuJoCo: %s", text))  # and write no MUJOCO_LOG.TXT
        obs_space = spaces.Box(-np.inf, np.inf, (family.spec.obs,), np.float32)
        super().__init__(len(self.tasks), family.config.horizon, obs_space, family.spec.action, render_mode)
        self.family = family
        self.parameters = family.parameters[self.tasks]  # (world, parameter)
        self.dt = self.frame_skip * self.model.opt.timestep  # seconds between actions
        self.metadata = {**self.metadata, "render_fps": round(1 / self.dt)}
        self.batch = Batch(self.model, self.num_envs, nthread=threads)
        self.qpos, self.qvel, self.ctrl = (self.batch.bind(name) for name in ("qpos", "qvel", "ctrl"))
        self.low, self.high = self.model.actuator_ctrlrange.T
        self.derived: dict[str, Array] = {}
        self.generators: list[np.random.Generator | None] = [None] * self.num_envs
        self._divergence_warnings = [
            int(getattr(mujoco.mjtWarning, f"mjWARN_BAD{name}")) for name in ("QPOS", "QVEL", "QACC")
        ]
        self._none = int(mujoco.mjtStage.mjSTAGE_NONE)
        self._normalise = mujoco.mj_normalizeQuat
        self._camera: Camera | None = None
        self._bind()

    def _bind(self) -> None:
        """Bind the other arrays of MuJoCo's data that the family reads, by :meth:`_derive`."""

    def _derive(self, name: str) -> Array:
        """Return a live, read-only array of a quantity that MuJoCo computes in a step, (world, …)."""
        self.derived[name] = self.batch.bind(name)
        return self.derived[name]

    def __reduce__(self) -> tuple[Any, ...]:
        """Return the recipe of a copy for :mod:`pickle` and :mod:`copy`: the constructor, then :meth:`__setstate__`."""
        kept = {name: value for name, value in vars(self).items() if name in KEPT}
        arguments = (self.family, self.tasks, self.render_mode, self.batch.nthread)
        physics = (self.batch.state, self.batch.warning, self.derived)
        return type(self), arguments, copy.deepcopy((kept, *physics))

    def __setstate__(self, state: tuple[dict[str, Any], Array, Array, dict[str, Array]]) -> None:
        """Take over the counters and the physics of the original worlds."""
        kept, self.batch.state[:], self.batch.warning[:], derived = state
        vars(self).update(kept)
        for name, values in derived.items():  # older than the state, so they cannot be computed from it
            live = self.derived[name]
            live.flags.writeable = True
            live[:] = values
            live.flags.writeable = False

    def _start(self, mask: Array, seeds: Sequence[int | None]) -> None:
        worlds = np.flatnonzero(mask)
        if len(worlds) == 0:
            return
        self.batch.reset(worlds, stage=self._none)
        for world in worlds.tolist():
            previous, seed = self.generators[world], seeds[world]
            generator = previous if seed is None and previous is not None else np.random.default_rng(seed)
            self.generators[world] = generator
            qpos, qvel = self._jolt(generator)
            self.qpos[world] += qpos
            self.qvel[world] += qvel
            self._normalise(self.model, self.qpos[world])  # MuJoCo 2 did so itself, MuJoCo 4 does only after a step
        self.batch.forward(worlds)

    def _advance(self, actions: Array) -> tuple[Array, Array]:
        self.ctrl[:] = (self.low + (actions + 1) / 2 * (self.high - self.low)).clip(self.low, self.high)
        place, divergences = self._place(), self._count_divergences()
        self.batch.step(nstep=self.frame_skip)
        reward, terminated = self._outcome(self._place() - place, actions)
        diverged = self._count_divergences() != divergences
        return np.where(diverged, 0.0, reward), terminated | diverged

    def _count_divergences(self) -> Array:
        """Return the number of divergences of each world so far, (world,)."""
        count: Array = self.batch.warning[:, self._divergence_warnings, 1].sum(-1)
        return count

    def _place(self) -> Array:
        """Return a new array of places, (world, …), whose change in a step the reward reads; by default x."""
        place: Array = self.qpos[:, 0].copy()
        return place

    @abstractmethod
    def _jolt(self, generator: np.random.Generator) -> tuple[Array, Array]:
        """Draw the noise that a start adds to the robot's rest state: positions (nq,) and velocities (nv,)."""

    @abstractmethod
    def _outcome(self, moved: Array, actions: Array) -> tuple[Array, Array]:
        """Return rewards and terminations, (world,), of a step under actions in [-1, 1]; moved: change of place."""

    def picture(self, world: int) -> Array:
        """Return a picture of one world, (256, 256, 3) uint8.

        Raises:
            RunError: OpenGL is not available.
        """
        if self._camera is None:
            self._camera = Camera(self.model)
        return self._camera.shoot(self.batch.get_model(world), self.batch.get_data(world), self._goal(world))

    def _goal(self, world: int) -> Array | None:
        """Return the goal that pictures show, (3,), or None."""
        return None

    def close_extras(self, **kwargs: Any) -> None:
        """Close the camera."""
        if self._camera is not None:
            self._camera.close()
            self._camera = None


class ContactWorlds(MujocoWorlds):
    """Worlds in which contact forces have a cost or are observed."""

    def _bind(self) -> None:
        #: contact torques and forces on each body, (world, body, 6); live if they are sensed
        self.forces: Array = np.zeros((self.num_envs, self.model.nbody, 6))
        if self.family.config.contact_forces == "sensed":
            self.forces = self._derive("cfrc_ext")


F = TypeVar("F", bound=ContactConfig)


class ContactFamily(MujocoFamily[F]):
    """A family in which contact forces have a cost or are observed."""

    def model(self) -> Any:
        """Return the robot's model, which all tasks share; do not write to it."""
        return compile_robot(self.kind.robot, self.config.capsules, self.config.contact_forces)
