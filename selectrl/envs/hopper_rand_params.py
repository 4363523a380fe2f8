"""Hopper-Rand-Params: a leg hops forwards with a body that it does not observe."""

from __future__ import annotations

from typing import Any

import numpy as np

from selectrl.arrays import Array
from selectrl.envs.configs import HopperRandParamsConfig
from selectrl.envs.rand_params import RandParams, RandParamsWorlds, RobotSizes
from selectrl.envs.worlds import SingleWorld, vector_entry_point


class HopperRandParamsWorlds(RandParamsWorlds):
    """Hopper-Rand-Params worlds in lockstep, see :class:`HopperRandParamsEnv` for a description of a world."""

    robot, sizes = "hopper", RobotSizes(bodies=5, dofs=6, geoms=5)

    def _has_fallen(self) -> Array:
        height, angle = self.qpos[:, 1], self.qpos[:, 2]
        state = np.concatenate((self.qpos, self.qvel), -1)
        sound = np.isfinite(state).all(-1) & (np.abs(state[:, 2:]) < 100).all(-1)
        stands: Array = sound & (height > 0.7) & (np.abs(angle) < 0.2)
        return ~stands


class HopperRandParams(RandParams):
    """The family: 40 hoppers, each with its own masses, inertias, damping and friction.

    Args:
        config: the family's settings.
    """

    env_id, kind = "selectrl/HopperRandParams-v0", HopperRandParamsWorlds


class HopperRandParamsEnv(SingleWorld):
    """One Hopper-Rand-Params world, ``selectrl/HopperRandParams-v0``.

    ## Description
    A leg of three joints, confined to a plane, has to hop forwards. The task is its body: masses, inertias, damping and
    friction, which the observation does not show. 0.016 s pass between actions: 4 simulation steps of 0.004 s
    (Runge-Kutta).

    ## Action Space
    `Box(-1, 1, (3,), float32)`; other actions are clipped to it.

    | Num | Action              | Min | Max | Unit    |
    |-----|---------------------|-----|-----|---------|
    | 0   | torque on the thigh | -1  | 1   | 200 N m |
    | 1   | torque on the leg   | -1  | 1   | 200 N m |
    | 2   | torque on the foot  | -1  | 1   | 200 N m |

    ## Observation Space
    `Box(-inf, inf, (11,), float32)`

    | Num  | Observation                                                       | Unit  |
    |------|-------------------------------------------------------------------|-------|
    | 0    | height of the torso                                               | m     |
    | 1    | pitch of the torso                                                | rad   |
    | 2-4  | angles of thigh, leg and foot                                     | rad   |
    | 5-6  | velocity of the torso along x and z, clipped to ±10               | m/s   |
    | 7-10 | angular velocity of torso, thigh, leg and foot, clipped to ±10 | rad/s |

    ## Rewards
    r = Δx / 0.016 s + 1 - 0.001 ‖a‖².

    ## Starting State
    Upright at rest with U(-0.005, 0.005) added to each coordinate and velocity.

    ## Episode End
    Terminated when the torso is not higher than 0.7 m, its pitch is 0.2 rad or more, or any coordinate or velocity
    except x and the height reaches 100 or is not finite. Truncated by `gymnasium.make` after 200 steps or
    `max_episode_steps`.

    ## Arguments
    * `task`: from 0 to 39; see `selectrl.envs.rand_params.multipliers` for the factors of its body.
    * `render_mode`: `"rgb_array"` draws the robot, 256 × 256, without a screen.
    * the fields of `HopperRandParamsConfig` but `horizon`: `capsules="modern"` takes the masses of today's MuJoCo
      (15.82 kg before factors, not 15.26), `derived="fresh"` computes the solver's scales for each body.

    ## Differs from the authors' code
    MuJoCo 4 replaces 1.3; the masses of capsules are those of 1.3. Trajectories are not bit-equal to the published
    ones. The simulation takes 4 steps of 0.004 s under an action, as that code does in spite of its arguments. CORRO
    publishes another Hopper, without termination and alive bonus.

    ## References
    Gao et al., "Context Shift Reduction for Offline Meta-Reinforcement Learning", NeurIPS 2023; Rakelly et al.,
    "Efficient Off-Policy Meta-Reinforcement Learning via Probabilistic Context Variables", ICML 2019.

    ## Version History
    * v0: initial version
    """

    def __init__(self, task: int = 0, render_mode: str | None = None, **settings: Any) -> None:
        super().__init__(HopperRandParamsConfig, task, render_mode, **settings)


make_worlds = vector_entry_point(HopperRandParamsConfig)
