"""The task families, in NumPy, with many worlds in lockstep. Each family is registered here with its config."""

from __future__ import annotations

from typing import TYPE_CHECKING

from selectrl.envs.configs import (
    AntGoalConfig,
    HalfCheetahVelConfig,
    HopperRandParamsConfig,
    HumanoidDirConfig,
    PointRobotConfig,
    WalkerRandParamsConfig,
)
from selectrl.registry import FAMILIES, Deferred

if TYPE_CHECKING:
    from selectrl.envs.ant_goal import AntGoal
    from selectrl.envs.half_cheetah_vel import HalfCheetahVel
    from selectrl.envs.hopper_rand_params import HopperRandParams
    from selectrl.envs.humanoid_dir import HumanoidDir
    from selectrl.envs.point_robot import PointRobot
    from selectrl.envs.walker_rand_params import WalkerRandParams
else:
    AntGoal = Deferred("selectrl.envs.ant_goal:AntGoal")
    HalfCheetahVel = Deferred("selectrl.envs.half_cheetah_vel:HalfCheetahVel")
    HopperRandParams = Deferred("selectrl.envs.hopper_rand_params:HopperRandParams")
    HumanoidDir = Deferred("selectrl.envs.humanoid_dir:HumanoidDir")
    PointRobot = Deferred("selectrl.envs.point_robot:PointRobot")
    WalkerRandParams = Deferred("selectrl.envs.walker_rand_params:WalkerRandParams")

FAMILIES.add(
    "point_robot",
    PointRobotConfig,
    PointRobot,
    paper="Gao et al., NeurIPS 2023",
    summary="walk in the plane to a hidden goal on the half circle; 20 steps, reward varies",
)
FAMILIES.add(
    "half_cheetah_vel",
    HalfCheetahVelConfig,
    HalfCheetahVel,
    paper="Gao et al., NeurIPS 2023",
    summary="run in a plane at a hidden speed; 200 steps, reward varies",
)
FAMILIES.add(
    "ant_goal",
    AntGoalConfig,
    AntGoal,
    paper="Gao et al., NeurIPS 2023",
    summary="walk on four legs to a hidden goal on the circle; 200 steps, reward varies",
)
FAMILIES.add(
    "humanoid_dir",
    HumanoidDirConfig,
    HumanoidDir,
    paper="Gao et al., NeurIPS 2023",
    summary="run in a hidden direction without falling; 200 steps, reward varies",
)
FAMILIES.add(
    "hopper_rand_params",
    HopperRandParamsConfig,
    HopperRandParams,
    paper="Gao et al., NeurIPS 2023",
    summary="hop forwards on a hidden body (masses, damping, friction); 200 steps, dynamics vary",
)
FAMILIES.add(
    "walker_rand_params",
    WalkerRandParamsConfig,
    WalkerRandParams,
    paper="Gao et al., NeurIPS 2023",
    summary="walk forwards on a hidden body (masses, damping, friction); 200 steps, dynamics vary",
)
