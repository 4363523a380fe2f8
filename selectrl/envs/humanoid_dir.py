"""Humanoid-Dir: a humanoid runs in a direction that it does not observe, without falling."""

from __future__ import annotations

from typing import Any

import numpy as np

from selectrl.arrays import Array
from selectrl.envs.configs import HumanoidDirConfig
from selectrl.envs.mujoco_worlds import ContactFamily, ContactWorlds, circle
from selectrl.envs.worlds import SingleWorld, vector_entry_point
from selectrl.structs import Spec

ALIVE = 5.0


class HumanoidDirWorlds(ContactWorlds):
    """Humanoid-Dir worlds in lockstep, see :class:`HumanoidDirEnv` for a description of a world."""

    robot, frame_skip = "humanoid", 5

    def _bind(self) -> None:
        super()._bind()
        names = ("xipos", "cinert", "cvel", "qfrc_actuator")
        self.xipos, self.cinert, self.cvel, self.torque = (self._derive(name) for name in names)
        self.share = self.model.body_mass / self.model.body_mass.sum()  # (body,)

    def _place(self) -> Array:
        """Return the centre of mass in the plane, (world, 2), at the integrator's last stage."""
        centre: Array = np.einsum("b,wbi->wi", self.share, self.xipos[..., :2])
        return centre

    def _jolt(self, generator: np.random.Generator) -> tuple[Array, Array]:
        return generator.uniform(-0.01, 0.01, self.model.nq), generator.uniform(-0.01, 0.01, self.model.nv)

    def _outcome(self, moved: Array, actions: Array) -> tuple[Array, Array]:
        velocity = (moved * self.parameters).sum(-1) / self.dt
        effort = 0.1 * np.square(self.ctrl).sum(-1)
        impact = np.minimum(5e-7 * np.square(self.forces).sum((1, 2)), 10)
        height = self.qpos[:, 2]
        return 1.25 * velocity - effort - impact + ALIVE, (height < 1.0) | (height > 2.0)

    def _observe(self) -> Array:
        parts = (self.qpos[:, 2:], self.qvel, self.cinert, self.cvel, self.torque, self.forces)
        return np.concatenate([part.reshape(self.num_envs, -1) for part in parts], -1, dtype=np.float32)


class HumanoidDir(ContactFamily[HumanoidDirConfig]):
    """The family: directions u = (cos θ, sin θ) for evenly spaced θ on the whole circle.

    Args:
        config: the family's settings.
    """

    env_id, kind = "selectrl/HumanoidDir-v0", HumanoidDirWorlds

    def __init__(self, config: HumanoidDirConfig) -> None:
        spec = Spec(obs=376, action=17, horizon=config.horizon, dynamics_vary=False)
        super().__init__(config, spec, circle(config.tasks))


class HumanoidDirEnv(SingleWorld):
    """One Humanoid-Dir world, ``selectrl/HumanoidDir-v0``.

    ## Description
    A humanoid has to run in a direction u. The direction is the task, and the observation does not show it. 0.015 s
    pass between actions: 5 simulation steps of 0.003 s (Runge-Kutta, PGS solver).

    ## Action Space
    `Box(-1, 1, (17,), float32)`; other actions are clipped to it. The motors receive 0.4 times the action.

    | Num   | Action                                           | Min | Max | Unit              |
    |-------|--------------------------------------------------|-----|-----|-------------------|
    | 0-2   | torques on the abdomen about y, z, x             | -1  | 1   | 40 N m            |
    | 3-6   | torques on the right hip about x, z, y, and knee | -1  | 1   | 40, 40, 120, 80 N m |
    | 7-10  | torques on the left hip about x, z, y, and knee  | -1  | 1   | 40, 40, 120, 80 N m |
    | 11-13 | torques on the right shoulder (two) and elbow    | -1  | 1   | 10 N m            |
    | 14-16 | torques on the left shoulder (two) and elbow     | -1  | 1   | 10 N m            |

    ## Observation Space
    `Box(-inf, inf, (376,), float32)`

    | Num     | Observation                                                        | Unit                |
    |---------|--------------------------------------------------------------------|---------------------|
    | 0       | height of the torso                                                | m                   |
    | 1-4     | orientation of the torso, a quaternion                             |                     |
    | 5-21    | angles of the joints                                               | rad                 |
    | 22-44   | velocities of the torso (3 linear, 3 angular) and of the joints    | m/s, rad/s          |
    | 45-184  | inertia about the centre of mass and mass of 14 bodies, 10 each    | kg m², kg m, kg     |
    | 185-268 | angular and linear velocity of 14 bodies about the centre of mass  | rad/s, m/s          |
    | 269-291 | torques of the motors on the degrees of freedom                    | N m                 |
    | 292-375 | contact torques and forces on 14 bodies; 0 unless sensed           | N m, N              |

    The first of the 14 bodies is the world, whose entries are 0. All entries except 0-44 are of a moment within the
    last simulation step.

    ## Rewards
    r = 1.25 v·u - 0.1 ‖c‖² - min(5e-7 ‖f‖², 10) + 5 with v the velocity of the centre of mass over the step, c = 0.4 a
    the commands of the motors and f the contact forces, which are 0 unless `contact_forces="sensed"`. The
    observation does not contain v, so the family does not have a reward function of transitions.

    ## Starting State
    Upright at rest with U(-0.01, 0.01) added to each coordinate and velocity. The orientation is then scaled to
    length 1.

    ## Episode End
    Terminated when the torso is lower than 1 m or higher than 2 m. Truncated by `gymnasium.make` after 200
    steps or `max_episode_steps`.

    ## Arguments
    * `task`: from 0 to 39; u = (cos θ, sin θ) with θ = 2π · task / 40.
    * `render_mode`: `"rgb_array"` draws the robot, 256 × 256, without a screen.
    * the fields of `HumanoidDirConfig` but `horizon`, among them `contact_forces` and `capsules`.

    ## Differs from the authors' code
    MuJoCo 4 replaces 2.0; the masses of capsules are those of 2.0. Sensed contact forces are those at the beginning of
    the last simulation step. PEARL and FOCAL draw new directions in every process. Here the reset scales the
    orientation to length 1; in the authors' code MuJoCo 2 does so in the first forward pass.

    ## References
    Gao et al., "Context Shift Reduction for Offline Meta-Reinforcement Learning", NeurIPS 2023.

    ## Version History
    * v0: initial version
    """

    def __init__(self, task: int = 0, render_mode: str | None = None, **settings: Any) -> None:
        super().__init__(HumanoidDirConfig, task, render_mode, **settings)


make_worlds = vector_entry_point(HumanoidDirConfig)
