"""The task families, in NumPy, many worlds at once; importing this room registers them and their Gymnasium ids."""

from __future__ import annotations

from selectrl.envs.ant_goal import AntGoalConfig
from selectrl.envs.half_cheetah_vel import HalfCheetahVelConfig
from selectrl.envs.hopper_rand_params import HopperRandParamsConfig
from selectrl.envs.humanoid_dir import HumanoidDirConfig
from selectrl.envs.ids import register
from selectrl.envs.point_robot import PointRobotConfig
from selectrl.envs.walker_rand_params import WalkerRandParamsConfig
from selectrl.registry import FAMILIES

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
register()
