"""Many numbers as one or two: principal components, and tasks as places on an axis."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from selectrl.arrays import DoubleArray
from selectrl.report.analysis.analyse import Analysis


class TaskAxis(NamedTuple):
    """Tasks in the order of their parameters.

    Attributes:
        values: place of each task, (task,).
        name: name of the axis.
        cyclic: whether the two ends of the axis are one place.
    """

    values: DoubleArray
    name: str
    cyclic: bool

    @property
    def positions(self) -> DoubleArray:
        """The places as shares of their range, (task,), for colours."""
        low, span = (0.0, 360.0) if self.cyclic else (self.values.min(), max(float(np.ptp(self.values)), 1e-12))
        shares: DoubleArray = (self.values - low) / span
        return shares


def principal(points: DoubleArray, count: int) -> tuple[DoubleArray, DoubleArray, DoubleArray]:
    """Return the leading principal axes of a cloud.

    Args:
        points: (point, dimension).
        count: how many.

    Returns:
        The centre, (dimension,), the axes (axis, dimension), each with its largest entry positive, and the share of
        variance along each, (axis,); with fewer dimensions than asked for, axes of zeros fill up.
    """
    centre = points.mean(axis=0)
    _, scales, axes = np.linalg.svd(points - centre, full_matrices=False)
    shares = scales**2 / max(float((scales**2).sum()), 1e-12)
    kept = min(count, len(axes))
    out, variance = np.zeros((count, points.shape[1])), np.zeros(count)
    signs = np.sign(axes[np.arange(kept), np.abs(axes[:kept]).argmax(axis=1)])
    out[:kept], variance[:kept] = axes[:kept] * signs[:, None], shares[:kept]
    return centre, out, variance


def task_axis(parameters: DoubleArray) -> TaskAxis:
    """Place tasks on one axis: a single parameter as it is, two as the angle of a goal, more by principal component.

    Args:
        parameters: (task, parameter).
    """
    width = parameters.shape[1]
    if width == 1:
        return TaskAxis(parameters[:, 0], "task parameter", cyclic=False)
    if width == 2:
        angle = np.degrees(np.arctan2(parameters[:, 1], parameters[:, 0])) % 360
        angle = np.where(angle > 359.99, 0.0, angle)
        return TaskAxis(angle, "direction of the goal, degrees", cyclic=bool(angle.max() > 181))
    centre, axes, _ = principal(parameters, 1)
    return TaskAxis((parameters - centre) @ axes[0], "first principal component of the task’s parameters", cyclic=False)


def axis_of(analysis: Analysis) -> TaskAxis | None:
    """Return the best method's test tasks in the order of their parameters, where an evaluation on them kept these."""
    tasks = analysis.methods[0].row.evaluation.tasks
    all_traces = (row.evaluation.traces for row in analysis.family.rows if row.evaluation.tasks == tasks)
    return next((task_axis(traces.parameters) for traces in all_traces if traces), None)
