"""Gymnasium's ids of the families: ``gymnasium.make("selectrl/PointRobot-v0", task=3)``.

Gymnasium 1.x knows an outside id once the package that holds it is imported. Both of these do it::

    import selectrl.envs;  env = gymnasium.make("selectrl/PointRobot-v0", task=3)
    env = gymnasium.make("selectrl.envs:selectrl/PointRobot-v0", task=3)

Episodes are cut by the worlds' own step counter, so no id carries ``max_episode_steps`` and no ``TimeLimit`` is added.
"""

from __future__ import annotations

import gymnasium

IDS = {"selectrl/PointRobot-v0": ("selectrl.envs.point_robot:PointRobotEnv", "selectrl.envs.point_robot:make_worlds")}


def register() -> None:
    """Register every id with Gymnasium; ids that it knows already stay as they are."""
    for env_id, (single, many) in IDS.items():
        if env_id not in gymnasium.registry:
            gymnasium.register(env_id, entry_point=single, vector_entry_point=many)
