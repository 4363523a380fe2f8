"""Walker-Rand-Params: two legs walk forwards with a body that they do not observe."""

from __future__ import annotations

from typing import Any

import numpy as np

from selectrl.arrays import Array
from selectrl.envs.configs import WalkerRandParamsConfig
from selectrl.envs.rand_params import RandParams, RandParamsWorlds, RobotSizes
from selectrl.envs.worlds import SingleWorld, vector_entry_point


class WalkerRandParamsWorlds(RandParamsWorlds):
    """Walker-Rand-Params worlds in lockstep, see :class:`WalkerRandParamsEnv` for a description of a world."""

    robot, sizes = "walker", RobotSizes(bodies=8, dofs=9, geoms=8)

    def _has_fallen(self) -> Array:
        height, angle = self.qpos[:, 1], self.qpos[:, 2]
        stands: Array = (height > 0.8) & (height < 2.0) & (np.abs(angle) < 1.0)
        return ~stands


class WalkerRandParams(RandParams):
    """The family: 40 walkers, each with its own masses, inertias, damping and friction.

    Args:
        config: the family's settings.
    """

    env_id, kind = "selectrl/WalkerRandParams-v0", WalkerRandParamsWorlds


class WalkerRandParamsEnv(SingleWorld):
    """One Walker-Rand-Params world, ``selectrl/WalkerRandParams-v0``.

    ## Description
    A torso on two legs, confined to a plane, has to walk forwards. The task is its body: masses, inertias, damping and
    friction, which the observation does not show. 0.016 s pass between actions: 4 simulation steps of 0.004 s
    (Runge-Kutta).

    ## Action Space
    `Box(-1, 1, (6,), float32)`; other actions are clipped to it.

    | Num | Action                            | Min | Max | Unit    |
    |-----|-----------------------------------|-----|-----|---------|
    | 0-2 | torques on right thigh, leg, foot | -1  | 1   | 100 N m |
    | 3-5 | torques on left thigh, leg, foot  | -1  | 1   | 100 N m |

    ## Observation Space
    `Box(-inf, inf, (17,), float32)`

    | Num   | Observation                                                      | Unit  |
    |-------|------------------------------------------------------------------|-------|
    | 0     | height of the torso                                              | m     |
    | 1     | pitch of the torso                                               | rad   |
    | 2-7   | angles of right thigh, leg, foot, left thigh, leg, foot          | rad   |
    | 8-9   | velocity of the torso along x and z, clipped to ±10              | m/s   |
    | 10-16 | angular velocity of the torso and the six joints, clipped to ±10 | rad/s |

    ## Rewards
    r = Δx / 0.016 s + 1 - 0.001 ‖a‖².

    ## Starting State
    Upright at rest with U(-0.005, 0.005) added to each coordinate and velocity.

    ## Episode End
    Terminated when the torso's height is outside (0.8 m, 2 m) or its pitch outside (-1, 1). Truncated
    by `gymnasium.make` after 200 steps or `max_episode_steps`.

    ## Arguments
    * `task`: from 0 to 39; see `selectrl.envs.rand_params.multipliers` for the factors of its body.
    * `render_mode`: `"rgb_array"` draws the robot, 256 × 256, without a screen.
    * the fields of `WalkerRandParamsConfig` but `horizon`: `capsules="modern"` takes the masses of today's MuJoCo
      (23.68 kg before factors, not 22.70), `derived="fresh"` computes the solver's scales for each body.

    ## Differs from the authors' code
    MuJoCo 4 replaces 1.3; the masses of capsules are those of 1.3. Trajectories are not bit-equal to the published
    ones. The simulation takes 4 steps of 0.004 s under an action, as that code does although it asks for 5. CORRO
    publishes another Walker, which varies only mass and friction.

    ## References
    Gao et al., "Context Shift Reduction for Offline Meta-Reinforcement Learning", NeurIPS 2023; Rakelly et al.,
    "Efficient Off-Policy Meta-Reinforcement Learning via Probabilistic Context Variables", ICML 2019.

    ## Version History
    * v0: initial version
    """

    def __init__(self, task: int = 0, render_mode: str | None = None, **settings: Any) -> None:
        super().__init__(WalkerRandParamsConfig, task, render_mode, **settings)


make_worlds = vector_entry_point(WalkerRandParamsConfig)
