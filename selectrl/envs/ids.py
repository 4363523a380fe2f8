"""Gymnasium's ids of the families: ``gymnasium.make("selectrl/PointRobot-v0", task=3)``.

Gymnasium knows an outside id once the package that holds it is imported. Both of these do it::

    import selectrl;  env = gymnasium.make("selectrl/PointRobot-v0", task=3)
    env = gymnasium.make("selectrl.envs:selectrl/PointRobot-v0", task=3)

Episodes are cut by the worlds' own step counter, so no id carries ``max_episode_steps`` and no ``TimeLimit`` is added.
"""

from __future__ import annotations

#: The class of one world by id; the entry point of many stands beside it in its module.
IDS = {
    "selectrl/PointRobot-v0": "selectrl.envs.point_robot:PointRobotEnv",
    "selectrl/HalfCheetahVel-v0": "selectrl.envs.half_cheetah_vel:HalfCheetahVelEnv",
    "selectrl/AntGoal-v0": "selectrl.envs.ant_goal:AntGoalEnv",
    "selectrl/HumanoidDir-v0": "selectrl.envs.humanoid_dir:HumanoidDirEnv",
    "selectrl/HopperRandParams-v0": "selectrl.envs.hopper_rand_params:HopperRandParamsEnv",
    "selectrl/WalkerRandParams-v0": "selectrl.envs.walker_rand_params:WalkerRandParamsEnv",
}


def register() -> None:
    """Register every id with Gymnasium; ids that it knows already stay as they are."""
    import gymnasium

    for env_id, single in IDS.items():
        if env_id not in gymnasium.registry:
            many = f"{single.partition(':')[0]}:make_worlds"
            gymnasium.register(env_id, entry_point=single, vector_entry_point=many)
