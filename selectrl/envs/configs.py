"""Configs of the task families, and their registration; free of Gymnasium and MuJoCo, so that listing them is fast."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from selectrl.fields import MOST, MOST_TASKS, choice, integer, number
from selectrl.registry import FAMILIES

if TYPE_CHECKING:
    from selectrl.envs.ant_goal import AntGoal
    from selectrl.envs.half_cheetah_vel import HalfCheetahVel
    from selectrl.envs.hopper_rand_params import HopperRandParams
    from selectrl.envs.humanoid_dir import HumanoidDir
    from selectrl.envs.point_robot import PointRobot
    from selectrl.envs.walker_rand_params import WalkerRandParams

CAPSULES = ("legacy", "modern")
CONTACT_FORCES = ("zeros", "sensed")


@attrs.frozen(kw_only=True)
class MujocoConfig:
    """What every family on MuJoCo lets one choose.

    Attributes:
        tasks: how many; at least 3, so that one is a test task.
        horizon: steps of an episode.
        capsules: masses of capsules as before MuJoCo 2.1.2 (``legacy``, as published) or as now (``modern``).
    """

    tasks: int = attrs.field(default=40, validator=integer(3, MOST_TASKS))
    horizon: int = attrs.field(default=200, validator=integer(1, MOST))
    capsules: str = attrs.field(default="legacy", validator=choice(*CAPSULES))


@attrs.frozen(kw_only=True)
class ContactConfig(MujocoConfig):
    """The same where contact forces are paid for or observed.

    Attributes:
        tasks: how many; at least 3, so that one is a test task.
        horizon: steps of an episode.
        capsules: masses of capsules as before MuJoCo 2.1.2 (``legacy``, as published) or as now (``modern``).
        contact_forces: ``zeros``, as in the published code under MuJoCo 2, or ``sensed`` for the real ones.
    """

    contact_forces: str = attrs.field(default="zeros", validator=choice(*CONTACT_FORCES))


@attrs.frozen(kw_only=True)
class RandParamsConfig(MujocoConfig):
    """What families of bodies let one choose.

    Attributes:
        tasks: number of bodies; at least 3, so that one is a test task.
        horizon: steps of an episode.
        capsules: masses of capsules as before MuJoCo 2.1.2 (``legacy``, as published) or as now (``modern``).
        derived: what MuJoCo precomputes from masses and inertias: ``stale`` keeps it as for the unchanged robot, as
            published, ``fresh`` works it out for each task.
    """

    derived: str = attrs.field(default="stale", validator=choice("stale", "fresh"))


@attrs.frozen(kw_only=True)
class PointRobotConfig:
    """A family of goals on the upper half of the unit circle.

    Attributes:
        tasks: number of goals; at least 3, so that one is a test task.
        horizon: steps of an episode.
        step_size: length in each axis that an action of 1 moves the robot.
    """

    tasks: int = attrs.field(default=40, validator=integer(3, MOST_TASKS))
    horizon: int = attrs.field(default=20, validator=integer(1, MOST))
    step_size: float = attrs.field(default=0.1, validator=number(0, above=True))

    def build(self) -> PointRobot:
        """Build the family."""
        from selectrl.envs.point_robot import PointRobot

        return PointRobot(self)


@attrs.frozen(kw_only=True)
class HalfCheetahVelConfig(MujocoConfig):
    """A family of speeds.

    Attributes:
        tasks: number of speeds; at least 3, so that one is a test task.
        horizon: steps of an episode.
        capsules: masses of capsules as before MuJoCo 2.1.2 (``legacy``, as published) or as now (``modern``).
    """

    def build(self) -> HalfCheetahVel:
        """Build the family."""
        from selectrl.envs.half_cheetah_vel import HalfCheetahVel

        return HalfCheetahVel(self)


@attrs.frozen(kw_only=True)
class AntGoalConfig(ContactConfig):
    """A family of goals on a circle.

    Attributes:
        tasks: number of goals; at least 3, so that one is a test task.
        horizon: steps of an episode.
        capsules: masses of capsules as before MuJoCo 2.1.2 (``legacy``, as published) or as now (``modern``).
        contact_forces: ``zeros``, as in the published code under MuJoCo 2, or ``sensed`` for the real ones.
        torso: where the reward looks for the torso: ``late`` is where the integrator's last stage had it, as published;
            ``current`` is where it is after the step, as observed, which makes the reward a function of transitions.
            The two are 0.2 mm apart on average and up to 8 mm in hard landings.
    """

    torso: str = attrs.field(default="late", validator=choice("late", "current"))

    def build(self) -> AntGoal:
        """Build the family."""
        from selectrl.envs.ant_goal import AntGoal

        return AntGoal(self)


@attrs.frozen(kw_only=True)
class HumanoidDirConfig(ContactConfig):
    """A family of directions.

    Attributes:
        tasks: number of directions; at least 3, so that one is a test task.
        horizon: steps of an episode.
        capsules: masses of capsules as before MuJoCo 2.1.2 (``legacy``, as published) or as now (``modern``).
        contact_forces: ``zeros``, as in the published code under MuJoCo 2, or ``sensed`` for the real ones.
    """

    def build(self) -> HumanoidDir:
        """Build the family."""
        from selectrl.envs.humanoid_dir import HumanoidDir

        return HumanoidDir(self)


@attrs.frozen(kw_only=True)
class HopperRandParamsConfig(RandParamsConfig):
    """A family of hoppers.

    Attributes:
        tasks: number of bodies; at least 3, so that one is a test task.
        horizon: steps of an episode.
        capsules: masses of capsules as before MuJoCo 2.1.2 (``legacy``, as published) or as now (``modern``).
        derived: what MuJoCo precomputes from masses and inertias: ``stale`` keeps it as for the unchanged robot, as
            published, ``fresh`` works it out for each task.
    """

    def build(self) -> HopperRandParams:
        """Build the family."""
        from selectrl.envs.hopper_rand_params import HopperRandParams

        return HopperRandParams(self)


@attrs.frozen(kw_only=True)
class WalkerRandParamsConfig(RandParamsConfig):
    """A family of walkers.

    Attributes:
        tasks: number of bodies; at least 3, so that one is a test task.
        horizon: steps of an episode.
        capsules: masses of capsules as before MuJoCo 2.1.2 (``legacy``, as published) or as now (``modern``).
        derived: what MuJoCo precomputes from masses and inertias: ``stale`` keeps it as for the unchanged robot, as
            published, ``fresh`` works it out for each task.
    """

    def build(self) -> WalkerRandParams:
        """Build the family."""
        from selectrl.envs.walker_rand_params import WalkerRandParams

        return WalkerRandParams(self)


FAMILIES.add(
    "point_robot",
    PointRobotConfig,
    paper="Gao et al., NeurIPS 2023",
    summary="walk in the plane to a hidden goal on the half circle; 20 steps, reward varies",
)
FAMILIES.add(
    "half_cheetah_vel",
    HalfCheetahVelConfig,
    paper="Gao et al., NeurIPS 2023",
    summary="run in a plane at a hidden speed; 200 steps, reward varies",
)
FAMILIES.add(
    "ant_goal",
    AntGoalConfig,
    paper="Gao et al., NeurIPS 2023",
    summary="walk on four legs to a hidden goal on the circle; 200 steps, reward varies",
)
FAMILIES.add(
    "humanoid_dir",
    HumanoidDirConfig,
    paper="Gao et al., NeurIPS 2023",
    summary="run in a hidden direction without falling; 200 steps, reward varies",
)
FAMILIES.add(
    "hopper_rand_params",
    HopperRandParamsConfig,
    paper="Gao et al., NeurIPS 2023",
    summary="hop forwards on a hidden body (masses, damping, friction); 200 steps, dynamics vary",
)
FAMILIES.add(
    "walker_rand_params",
    WalkerRandParamsConfig,
    paper="Gao et al., NeurIPS 2023",
    summary="walk forwards on a hidden body (masses, damping, friction); 200 steps, dynamics vary",
)
