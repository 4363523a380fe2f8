"""Configs of the task families; they do not import Gymnasium or MuJoCo, so that a list of them is fast."""

from __future__ import annotations

import attrs

from selectrl.fields import MOST, MOST_TASKS, choice, integer, number

CAPSULES = ("legacy", "modern")
CONTACT_FORCES = ("zeros", "sensed")


@attrs.frozen(kw_only=True)
class MujocoConfig:
    """The settings that all families on MuJoCo share.

    Attributes:
        tasks: number of tasks; at least 3, so that there is a test task.
        horizon: steps of an episode.
        capsules: masses of capsules, as before MuJoCo 2.1.2 (``legacy``, as published) or as today (``modern``).
    """

    tasks: int = attrs.field(default=40, validator=integer(3, MOST_TASKS))
    horizon: int = attrs.field(default=200, validator=integer(1, MOST))
    capsules: str = attrs.field(default="legacy", validator=choice(*CAPSULES))


@attrs.frozen(kw_only=True)
class ContactConfig(MujocoConfig):
    """The settings of families in which contact forces have a cost or are observed.

    Attributes:
        tasks: number of tasks; at least 3, so that there is a test task.
        horizon: steps of an episode.
        capsules: masses of capsules, as before MuJoCo 2.1.2 (``legacy``, as published) or as today (``modern``).
        contact_forces: ``zeros``, as in the published code under MuJoCo 2, or ``sensed`` for the real ones.
    """

    contact_forces: str = attrs.field(default="zeros", validator=choice(*CONTACT_FORCES))


@attrs.frozen(kw_only=True)
class RandParamsConfig(MujocoConfig):
    """The settings that families of bodies share.

    Attributes:
        tasks: number of bodies; at least 3, so that there is a test task.
        horizon: steps of an episode.
        capsules: masses of capsules, as before MuJoCo 2.1.2 (``legacy``, as published) or as today (``modern``).
        derived: quantities that MuJoCo precomputes from masses and inertias: ``stale`` keeps those of the unchanged
            robot, as published; ``fresh`` computes them for each task.
    """

    derived: str = attrs.field(default="stale", validator=choice("stale", "fresh"))


@attrs.frozen(kw_only=True)
class PointRobotConfig:
    """A family of goals on the upper half of the unit circle.

    Attributes:
        tasks: number of goals; at least 3, so that there is a test task.
        horizon: steps of an episode.
        step_size: distance along each axis that the robot moves under an action of 1.
    """

    tasks: int = attrs.field(default=40, validator=integer(3, MOST_TASKS))
    horizon: int = attrs.field(default=20, validator=integer(1, MOST))
    step_size: float = attrs.field(default=0.1, validator=number(0, above=True))


@attrs.frozen(kw_only=True)
class HalfCheetahVelConfig(MujocoConfig):
    """A family of speeds.

    Attributes:
        tasks: number of speeds; at least 3, so that there is a test task.
        horizon: steps of an episode.
        capsules: masses of capsules, as before MuJoCo 2.1.2 (``legacy``, as published) or as today (``modern``).
    """


@attrs.frozen(kw_only=True)
class AntGoalConfig(ContactConfig):
    """A family of goals on a circle.

    Attributes:
        tasks: number of goals; at least 3, so that there is a test task.
        horizon: steps of an episode.
        capsules: masses of capsules, as before MuJoCo 2.1.2 (``legacy``, as published) or as today (``modern``).
        contact_forces: ``zeros``, as in the published code under MuJoCo 2, or ``sensed`` for the real ones.
        torso: the torso's position in the reward: ``late`` is that at the integrator's last stage, as published;
            ``current`` is that after the step, as observed, which makes the reward a function of transitions. They
            differ by 0.2 mm on average and by up to 8 mm in hard landings.
    """

    torso: str = attrs.field(default="late", validator=choice("late", "current"))


@attrs.frozen(kw_only=True)
class HumanoidDirConfig(ContactConfig):
    """A family of directions.

    Attributes:
        tasks: number of directions; at least 3, so that there is a test task.
        horizon: steps of an episode.
        capsules: masses of capsules, as before MuJoCo 2.1.2 (``legacy``, as published) or as today (``modern``).
        contact_forces: ``zeros``, as in the published code under MuJoCo 2, or ``sensed`` for the real ones.
    """


@attrs.frozen(kw_only=True)
class HopperRandParamsConfig(RandParamsConfig):
    """A family of hoppers.

    Attributes:
        tasks: number of bodies; at least 3, so that there is a test task.
        horizon: steps of an episode.
        capsules: masses of capsules, as before MuJoCo 2.1.2 (``legacy``, as published) or as today (``modern``).
        derived: quantities that MuJoCo precomputes from masses and inertias: ``stale`` keeps those of the unchanged
            robot, as published; ``fresh`` computes them for each task.
    """


@attrs.frozen(kw_only=True)
class WalkerRandParamsConfig(RandParamsConfig):
    """A family of walkers.

    Attributes:
        tasks: number of bodies; at least 3, so that there is a test task.
        horizon: steps of an episode.
        capsules: masses of capsules, as before MuJoCo 2.1.2 (``legacy``, as published) or as today (``modern``).
        derived: quantities that MuJoCo precomputes from masses and inertias: ``stale`` keeps those of the unchanged
            robot, as published; ``fresh`` computes them for each task.
    """
