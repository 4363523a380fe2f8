"""The task families, in NumPy, many worlds at once; importing this room registers them and their Gymnasium ids."""

from __future__ import annotations

from selectrl.envs.ids import register
from selectrl.envs.point_robot import PointRobotConfig
from selectrl.registry import FAMILIES

FAMILIES.add(
    "point_robot",
    PointRobotConfig,
    paper="Gao et al., NeurIPS 2023",
    summary="walk in the plane to a hidden goal on the half circle; 20 steps, reward varies",
)
register()
