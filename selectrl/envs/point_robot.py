"""Point-Robot: a point walks in the plane towards a goal that it does not observe."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium import spaces

from selectrl.arrays import Array
from selectrl.envs.configs import PointRobotConfig
from selectrl.envs.drawing import draw_path
from selectrl.envs.split import interleave_tasks
from selectrl.envs.worlds import SingleWorld, Worlds, validate_tasks, vector_entry_point
from selectrl.structs import Arena, ReferenceReturns, Spec

REFERENCES = ReferenceReturns(optimum=-3.855, random=-20.4, margin=0.83)
"""Mean returns on the ten test tasks of the default family: straight to the goal, and uniformly random actions.

The margin is 5% of their difference."""


def point_robot_reward(goal: Any, next_obs: Any) -> Any:
    """Return r = -‖p' - g‖₂, in units of length.

    Args:
        goal: g, (…, 2), NumPy or torch.
        next_obs: p', the position after the step, (…, 2) of the same library.

    Returns:
        (…).
    """
    offset = next_obs - goal
    return -((offset * offset).sum(-1) ** 0.5)


class PointRobot:
    """The family: goals (cos θ, sin θ) for evenly spaced θ in [0, π], both ends included.

    Args:
        config: the family's sizes.
    """

    env_id = "selectrl/PointRobot-v0"

    def __init__(self, config: PointRobotConfig) -> None:
        self.config = config
        self.spec = Spec(obs=2, action=2, horizon=config.horizon, dynamics_vary=False)
        angle = np.linspace(0.0, np.pi, config.tasks)
        self.parameters: Array = np.stack((np.cos(angle), np.sin(angle)), -1)  # (task, 2)
        self.train_tasks, self.test_tasks = interleave_tasks(config.tasks)

    @property
    def arena(self) -> Arena:
        """The plane of the half circle of goals."""
        angle = np.linspace(0.0, np.pi, 91)
        return Arena(
            coordinates=(0, 1),
            start=np.zeros(2),
            goals=self.parameters,
            places=np.linspace(0.0, 1.0, len(self.parameters)),
            outline=np.stack((np.cos(angle), np.sin(angle)), -1),
            inner=np.array([[-1.12, -0.12], [1.12, 1.12]]),
            outer=np.array([[-1.6, -0.35], [1.6, 1.6]]),
            words="The robot starts at the dot and earns minus its distance to a goal that it does not observe. Every "
            "test task is a goal on the half circle",
        )

    def reference_returns(self, tasks: Sequence[int]) -> ReferenceReturns | None:
        """Return the optimum and the return of random actions on the default family's test tasks; otherwise None."""
        usual = self.config == PointRobotConfig() and tuple(tasks) == self.test_tasks
        return REFERENCES if usual else None

    def reward(self, parameters: Any, obs: Any, action: Any, next_obs: Any) -> Any:
        """Return the reward of transitions under goals (…, 2), NumPy or torch, (…)."""
        return point_robot_reward(parameters, next_obs)

    def worlds(self, tasks: Sequence[int], render_mode: str | None = None, *, threads: int = 1) -> PointRobotWorlds:
        """Return one world per entry of tasks; NumPy always steps them on one thread.

        Raises:
            InputError: a task id is out of range, or tasks is empty.
        """
        return PointRobotWorlds(self, tasks, render_mode)


class PointRobotWorlds(Worlds):
    """Point-Robot worlds in lockstep, see :class:`PointRobotEnv` for a description of a world.

    Args:
        family: the family.
        tasks: the task of each world.
        render_mode: ``"rgb_array"`` or None.
    """

    def __init__(self, family: PointRobot, tasks: Sequence[int], render_mode: str | None = None) -> None:
        tasks = validate_tasks(tasks, len(family.parameters))
        obs_space = spaces.Box(-np.inf, np.inf, (2,), np.float32)
        super().__init__(len(tasks), family.config.horizon, obs_space, 2, render_mode)
        self.family = family
        self.reach = max(family.config.step_size * (family.config.horizon + 1), 1.1)  # the smallest extent of pictures
        self.goal = family.parameters[tasks]  # (world, 2)
        self.position = np.zeros((len(tasks), 2))
        self.path = np.zeros((self.horizon + 1, len(tasks), 2))  # for pictures

    def _start(self, mask: Array, seeds: Sequence[int | None]) -> None:
        del seeds  # the start is always the origin
        self.position[mask] = 0.0

    def _advance(self, actions: Array) -> tuple[Array, Array]:
        self.position += self.family.config.step_size * actions
        if self.elapsed.max() + 1 == len(self.path):  # the time limit of a single environment is not known here
            self.path = np.concatenate((self.path, np.zeros_like(self.path)))
        self.path[self.elapsed + 1, np.arange(self.num_envs)] = self.position
        return point_robot_reward(self.goal, self.position), np.zeros(self.num_envs, np.bool_)

    def _observe(self) -> Array:
        return self.position.astype(np.float32)

    def picture(self, world: int) -> Array:
        """Return a picture of one world, (256, 256, 3) uint8: the goal green, the robot and its path blue."""
        path = self.path[: self.elapsed[world] + 1, world]
        return draw_path(self.family.parameters, self.goal[world], path, max(self.reach, float(np.abs(path).max())))


class PointRobotEnv(SingleWorld):
    """One Point-Robot world, ``selectrl/PointRobot-v0``.

    ## Description
    A point robot walks from the origin towards a goal. The goal is the task, and the observation does not show it.

    ## Action Space
    `Box(-1, 1, (2,), float32)`; other actions are clipped to it.

    | Num | Action          | Min | Max | Unit             |
    |-----|-----------------|-----|-----|------------------|
    | 0   | move along x    | -1  | 1   | 0.1 length units |
    | 1   | move along y    | -1  | 1   | 0.1 length units |

    ## Observation Space
    `Box(-inf, inf, (2,), float32)`; an episode of 20 steps stays within ±2.

    | Num | Observation | Unit         |
    |-----|-------------|--------------|
    | 0   | x position  | length units |
    | 1   | y position  | length units |

    ## Rewards
    r = -‖p' - g‖₂ with p' the position after the step. The mean return over the test tasks is -3.855 for the straight
    way to the goal, -20 at rest and -20.35 for uniformly random actions.

    ## Starting State
    The origin, exactly.

    ## Episode End
    Truncated by `gymnasium.make` after 20 steps or `max_episode_steps`, never terminated.

    ## Arguments
    * `task`: from 0 to 39; the goal is (cos θ, sin θ) with θ = π · task / 39.
    * the fields of `PointRobotConfig` but `horizon`; by default 40 tasks and 0.1 as the length of a step.
    * `render_mode`: `"rgb_array"` draws the goal, the path and the robot, 256 × 256.

    ## Differs from the authors' code
    The position is always float64 (CSRO's first observation is an integer array), and the global random state is not
    used. PEARL and FOCAL publish other Point-Robots, with random starts and with goals anywhere in a square.

    ## References
    Gao et al., "Context Shift Reduction for Offline Meta-Reinforcement Learning", NeurIPS 2023.

    ## Version History
    * v0: initial version
    """

    def __init__(self, task: int = 0, render_mode: str | None = None, **settings: Any) -> None:
        super().__init__(PointRobotConfig, task, render_mode, **settings)


make_worlds = vector_entry_point(PointRobotConfig)
