"""Gymnasium's ids of the families: ``gymnasium.make("selectrl/PointRobot-v0", task=3)``.

Gymnasium recognises an id of another package after that package is imported. Both of these import it::

    import selectrl;  env = gymnasium.make("selectrl/PointRobot-v0", task=3)
    env = gymnasium.make("selectrl.envs:selectrl/PointRobot-v0", task=3)

Each id is registered with its family's horizon as the time limit. Gymnasium's ``make`` wraps a single environment in
``TimeLimit``, which truncates its episodes; ``make_vec`` passes the limit to the worlds, which count their own steps.
Both accept another limit, shorter or longer, as ``max_episode_steps``.
"""

from __future__ import annotations

#: The class of a single world by id, and its time limit in steps; the vector entry point is in the same module.
IDS = {
    "selectrl/PointRobot-v0": ("selectrl.envs.point_robot:PointRobotEnv", 20),
    "selectrl/HalfCheetahVel-v0": ("selectrl.envs.half_cheetah_vel:HalfCheetahVelEnv", 200),
    "selectrl/AntGoal-v0": ("selectrl.envs.ant_goal:AntGoalEnv", 200),
    "selectrl/HumanoidDir-v0": ("selectrl.envs.humanoid_dir:HumanoidDirEnv", 200),
    "selectrl/HopperRandParams-v0": ("selectrl.envs.hopper_rand_params:HopperRandParamsEnv", 200),
    "selectrl/WalkerRandParams-v0": ("selectrl.envs.walker_rand_params:WalkerRandParamsEnv", 200),
}


def register() -> None:
    """Register every id with Gymnasium; ids that are already registered stay as they are."""
    import gymnasium

    for env_id, (entry_point, limit) in IDS.items():
        if env_id not in gymnasium.registry:
            vector = f"{entry_point.partition(':')[0]}:make_worlds"
            gymnasium.register(env_id, entry_point=entry_point, vector_entry_point=vector, max_episode_steps=limit)
