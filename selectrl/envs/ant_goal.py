"""Ant-Goal: a four-legged robot walks towards a goal that it does not observe."""

from __future__ import annotations

from typing import Any

import numpy as np

from selectrl.arrays import Array
from selectrl.envs.configs import AntGoalConfig
from selectrl.envs.mujoco_worlds import ContactFamily, ContactWorlds, circle
from selectrl.envs.worlds import SingleWorld, vector_entry_point
from selectrl.protocols import Reward
from selectrl.structs import Spec

RADIUS = 2.0  # m


def _reward(goal: Any, position: Any, actions: Any) -> Any:
    return -abs(position - goal).sum(-1) - 0.1 * (actions * actions).sum(-1)


def ant_goal_reward(parameters: Any, obs: Any, action: Any, next_obs: Any) -> Any:
    """Return the reward of transitions under ``torso="current"``, to the accuracy of float32 positions.

    Args:
        parameters: g, (…, 2), NumPy or torch.
        obs: (…, 29) of the same library.
        action: in [-1, 1], (…, 8).
        next_obs: (…, 29).

    Returns:
        (…).
    """
    return _reward(parameters, next_obs[..., :2], action)


class AntGoalWorlds(ContactWorlds):
    """Ant-Goal worlds in lockstep, see :class:`AntGoalEnv` for a description of a world."""

    robot, frame_skip = "ant", 5

    def _bind(self) -> None:
        super()._bind()
        late = self.family.config.torso == "late"
        self.torso = self._derive("xpos")[:, 1, :2] if late else self.qpos[:, :2]  # (world, 2), a view

    def _jolt(self, generator: np.random.Generator) -> tuple[Array, Array]:
        return generator.uniform(-0.1, 0.1, self.model.nq), 0.1 * generator.standard_normal(self.model.nv)

    def _outcome(self, moved: Array, actions: Array) -> tuple[Array, Array]:
        contact = 5e-4 * np.square(self.forces.clip(-1, 1)).sum((1, 2))
        reward = _reward(self.parameters, self.torso, actions) - contact
        return reward, np.zeros(self.num_envs, np.bool_)

    def _goal(self, world: int) -> Array:
        return np.append(self.parameters[world], 0.15)

    def _observe(self) -> Array:
        return np.concatenate((self.qpos, self.qvel), -1, dtype=np.float32)


class AntGoal(ContactFamily[AntGoalConfig]):
    """The family: goals g = 2 (cos θ, sin θ) for evenly spaced θ on the whole circle.

    Args:
        config: the family's settings.
    """

    env_id, kind = "selectrl/AntGoal-v0", AntGoalWorlds

    def __init__(self, config: AntGoalConfig) -> None:
        spec = Spec(obs=29, action=8, horizon=config.horizon, dynamics_vary=False)
        super().__init__(config, spec, RADIUS * circle(config.tasks))

    @property
    def reward(self) -> Reward | None:
        """The reward as a function of parameters and transition; None unless ``torso="current"`` and forces are 0."""
        observed = self.config.torso == "current" and self.config.contact_forces == "zeros"
        return ant_goal_reward if observed else None


class AntGoalEnv(SingleWorld):
    """One Ant-Goal world, ``selectrl/AntGoal-v0``.

    ## Description
    A torso on four legs walks towards a goal 2 m from the origin. The goal is the task, and the observation does not
    show it. 0.05 s pass between actions: 5 simulation steps of 0.01 s (Runge-Kutta).

    ## Action Space
    `Box(-1, 1, (8,), float32)`; other actions are clipped to it.

    | Num  | Action                                                | Min | Max | Unit    |
    |------|-------------------------------------------------------|-----|-----|---------|
    | 0, 1 | torques on hip and ankle of leg 4, at (+, -) of (x, y) | -1  | 1   | 150 N m |
    | 2, 3 | torques on hip and ankle of leg 1, at (+, +)           | -1  | 1   | 150 N m |
    | 4, 5 | torques on hip and ankle of leg 2, at (-, +)           | -1  | 1   | 150 N m |
    | 6, 7 | torques on hip and ankle of leg 3, at (-, -)           | -1  | 1   | 150 N m |

    ## Observation Space
    `Box(-inf, inf, (29,), float32)`

    | Num   | Observation                                  | Unit  |
    |-------|----------------------------------------------|-------|
    | 0-2   | position x, y, z of the torso                | m     |
    | 3-6   | orientation of the torso, a quaternion       |       |
    | 7-14  | angles of hip and ankle of legs 1, 2, 3, 4   | rad   |
    | 15-17 | velocity of the torso                        | m/s   |
    | 18-20 | angular velocity of the torso                | rad/s |
    | 21-28 | angular velocities of the joints             | rad/s |

    ## Rewards
    r = -‖p - g‖₁ - 0.1 ‖a‖² - 0.0005 Σ clip(f, -1, 1)². The norm is L1. p is the position of the torso in the plane, at
    the integrator's last stage unless `torso="current"`. f are the contact forces on all bodies, which are 0 unless
    `contact_forces="sensed"`.

    ## Starting State
    At rest at the origin, 0.75 m high, with U(-0.1, 0.1) added to each coordinate and 0.1 · N(0, 1) to each velocity.
    The orientation is then scaled to length 1.

    ## Episode End
    Truncated by `gymnasium.make` after 200 steps or `max_episode_steps`, never terminated, not even when the robot lies
    on its back.

    ## Arguments
    * `task`: from 0 to 39; the goal is 2 (cos θ, sin θ) with θ = 2π · task / 40.
    * `render_mode`: `"rgb_array"` draws the robot and the goal, 256 × 256, without a screen.
    * the fields of `AntGoalConfig` but `horizon`, among them `contact_forces`, `torso` and `capsules`.

    ## Differs from the authors' code
    MuJoCo 4 replaces 2.0; the masses of capsules are those of 2.0. Sensed contact forces are those at the beginning of
    the last simulation step; PEARL and CORRO, under MuJoCo 1.5, observe them too. PEARL draws goals in a disc of radius
    3. Here the reset scales the orientation to length 1; in the authors' code MuJoCo 2 does so in the first forward
    pass.

    ## References
    Gao et al., "Context Shift Reduction for Offline Meta-Reinforcement Learning", NeurIPS 2023.

    ## Version History
    * v0: initial version
    """

    def __init__(self, task: int = 0, render_mode: str | None = None, **settings: Any) -> None:
        super().__init__(AntGoalConfig, task, render_mode, **settings)


make_worlds = vector_entry_point(AntGoalConfig)
