"""Pictures of worlds in the plane, drawn with NumPy."""

from __future__ import annotations

import numpy as np

from selectrl.arrays import Array

SIZE = 256  # pixels
PAPER, FAINT, PATH, GOAL, ROBOT = (255, 255, 255), (210, 214, 220), (140, 160, 200), (46, 160, 67), (31, 78, 160)


def _paint_discs(image: Array, points: Array, radius: float, colour: tuple[int, int, int]) -> None:
    """Paint discs; points (n, 2) and radius in pixels."""
    rows, columns = np.mgrid[:SIZE, :SIZE]
    for x, y in points:
        image[(columns - x) ** 2 + (rows - y) ** 2 <= radius**2] = colour


def draw_path(goals: Array, goal: Array, path: Array, reach: float) -> Array:
    """Draw a robot on its way to a goal.

    Args:
        goals: goals of the whole family, (task, 2), drawn faintly.
        goal: this task's goal, (2,).
        path: positions since the start, (time, 2); the last is the robot's position.
        reach: half the width of the picture, which shows [-reach, reach]² with y upwards.

    Returns:
        An RGB picture, (256, 256, 3) uint8.
    """

    def pixels(points: Array) -> Array:
        return (np.atleast_2d(points) * (1, -1) / reach + 1) / 2 * (SIZE - 1)

    image = np.full((SIZE, SIZE, 3), PAPER, np.uint8)
    stops = np.linspace(0, len(path) - 1, 4 * len(path) - 3)
    line = np.stack([np.interp(stops, np.arange(len(path)), axis) for axis in path.T], -1)
    _paint_discs(image, pixels(goals), 1.5, FAINT)
    _paint_discs(image, pixels(line), 1.0, PATH)
    _paint_discs(image, pixels(goal), 6.0, GOAL)
    _paint_discs(image, pixels(path[-1]), 4.0, ROBOT)
    return image
