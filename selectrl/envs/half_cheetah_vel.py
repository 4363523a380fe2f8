"""Half-Cheetah-Vel: a runner in a plane keeps a speed that it does not observe."""

from __future__ import annotations

from typing import Any

import numpy as np

from selectrl.arrays import Array
from selectrl.envs.configs import HalfCheetahVelConfig
from selectrl.envs.mujoco_worlds import MujocoFamily, MujocoWorlds
from selectrl.envs.worlds import SingleWorld, vector_entry_point
from selectrl.protocols import Reward
from selectrl.structs import Spec

DT = 0.05  # seconds between actions
SUBSTEP = 0.01  # seconds of a simulation step
HEIGHT = 0.7  # of the torso where the second coordinate is 0
RISE, V_X, V_Z, TORSO_X, TORSO_Z = 0, 8, 9, 17, 19  # places in an observation


def _reward(velocity: Any, moved: Any, actions: Any) -> Any:
    return -abs(moved / DT - velocity) - 0.05 * (actions * actions).sum(-1)


def _x(obs: Any) -> Any:
    """Return the robot's position x, from its observation.

    The observed position of the torso is one simulation step old, except after a reset. In a step Euler's integrator
    moves x by V_X · SUBSTEP. The height is also observed without delay, and the two heights agree only after a reset.
    """
    risen = obs[..., RISE] - (obs[..., TORSO_Z] - HEIGHT)
    late = abs(risen - SUBSTEP * obs[..., V_Z]) < abs(risen) + 1e-6  # float32's error; nearly always late
    return obs[..., TORSO_X] + late * SUBSTEP * obs[..., V_X]


def half_cheetah_vel_reward(parameters: Any, obs: Any, action: Any, next_obs: Any) -> Any:
    """Return the reward of transitions, to the accuracy of float32 positions.

    Args:
        parameters: v*, (…, 1), NumPy or torch.
        obs: (…, 20) of the same library.
        action: in [-1, 1], (…, 6).
        next_obs: (…, 20).

    Returns:
        (…).
    """
    return _reward(parameters[..., 0], _x(next_obs) - _x(obs), action)


class HalfCheetahVelWorlds(MujocoWorlds):
    """Half-Cheetah-Vel worlds in lockstep, see :class:`HalfCheetahVelEnv` for a description of a world."""

    robot, frame_skip = "half_cheetah", 5

    def _bind(self) -> None:
        self.xpos = self._derive("xpos")  # (world, body, 3), at the beginning of the last simulation step

    def _jolt(self, generator: np.random.Generator) -> tuple[Array, Array]:
        return generator.uniform(-0.1, 0.1, self.model.nq), 0.1 * generator.standard_normal(self.model.nv)

    def _outcome(self, moved: Array, actions: Array) -> tuple[Array, Array]:
        return _reward(self.parameters[:, 0], moved, actions), np.zeros(self.num_envs, np.bool_)

    def _observe(self) -> Array:
        return np.concatenate((self.qpos[:, 1:], self.qvel, self.xpos[:, 1]), -1, dtype=np.float32)


class HalfCheetahVel(MujocoFamily[HalfCheetahVelConfig]):
    """The family: speeds v* evenly spaced from 1 to 3 m/s, both included.

    Args:
        config: the family's settings.
    """

    env_id, kind = "selectrl/HalfCheetahVel-v0", HalfCheetahVelWorlds

    def __init__(self, config: HalfCheetahVelConfig) -> None:
        spec = Spec(obs=20, action=6, horizon=config.horizon, dynamics_vary=False)
        super().__init__(config, spec, np.linspace(1.0, 3.0, config.tasks)[:, None])

    @property
    def reward(self) -> Reward:
        """The reward as a function of parameters and transition."""
        return half_cheetah_vel_reward


class HalfCheetahVelEnv(SingleWorld):
    """One Half-Cheetah-Vel world, ``selectrl/HalfCheetahVel-v0``.

    ## Description
    A runner with a front and a back leg, confined to a plane, has to run forwards at a speed v*. The speed is the task,
    and the observation does not show it. 0.05 s pass between actions: 5 simulation steps of 0.01 s (Euler).

    ## Action Space
    `Box(-1, 1, (6,), float32)`; other actions are clipped to it.

    | Num | Action                    | Min | Max | Unit    |
    |-----|---------------------------|-----|-----|---------|
    | 0   | torque on the back thigh  | -1  | 1   | 120 N m |
    | 1   | torque on the back shin   | -1  | 1   | 90 N m  |
    | 2   | torque on the back foot   | -1  | 1   | 60 N m  |
    | 3   | torque on the front thigh | -1  | 1   | 120 N m |
    | 4   | torque on the front shin  | -1  | 1   | 60 N m  |
    | 5   | torque on the front foot  | -1  | 1   | 30 N m  |

    ## Observation Space
    `Box(-inf, inf, (20,), float32)`

    | Num   | Observation                                                    | Unit  |
    |-------|----------------------------------------------------------------|-------|
    | 0     | height above that at rest                                      | m     |
    | 1     | pitch of the torso                                             | rad   |
    | 2-7   | angles of back thigh, shin, foot, front thigh, shin, foot      | rad   |
    | 8-9   | velocity of the torso along x and z                            | m/s   |
    | 10-16 | angular velocity of the torso and of the six joints            | rad/s |
    | 17-19 | position x, y, z of the torso, 0.01 s ago (now, after a reset) | m     |

    ## Rewards
    r = -|v - v*| - 0.05 ‖a‖² with v = Δx / 0.05 s.

    ## Starting State
    At rest with U(-0.1, 0.1) added to each coordinate and 0.1 · N(0, 1) to each velocity.

    ## Episode End
    Truncated by `gymnasium.make` after 200 steps or `max_episode_steps`, never terminated, unless
    the simulation diverges (see `MujocoWorlds`).

    ## Arguments
    * `task`: from 0 to 39; v* = 1 + 2 · task / 39.
    * `render_mode`: `"rgb_array"` draws the robot, 256 × 256, without a screen.
    * the fields of `HalfCheetahVelConfig` but `horizon`: `capsules="modern"` takes the masses of today's MuJoCo.

    ## Differs from the authors' code
    MuJoCo 4 replaces 2.0; the masses of capsules are those of 2.0, and the total is 14 kg in both. PEARL and FOCAL
    publish other speeds, v* ~ U(0, 3).

    ## References
    Gao et al., "Context Shift Reduction for Offline Meta-Reinforcement Learning", NeurIPS 2023.

    ## Version History
    * v0: initial version
    """

    def __init__(self, task: int = 0, render_mode: str | None = None, **settings: Any) -> None:
        super().__init__(HalfCheetahVelConfig, task, render_mode, **settings)


make_worlds = vector_entry_point(HalfCheetahVelConfig)
