"""The picture of paths, for worlds that move in a plane: goals, exploration, and the effect of context."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import numpy as np
from matplotlib.axes import Axes

from selectrl.arrays import DoubleArray, FloatArray
from selectrl.errors import InputError
from selectrl.report.analysis.analyse import Analysis, Summary
from selectrl.report.analysis.families import task_family
from selectrl.report.analysis.formats import digits_for, number
from selectrl.report.analysis.group import arguments
from selectrl.report.analysis.metrics import CONTEXT_FREE
from selectrl.report.figures.drawing import Drawing, Panel
from selectrl.report.figures.style import LIGHT, hue
from selectrl.report.records import Omission
from selectrl.runs.arrays import Traces, read_arrays, usable
from selectrl.runs.layout import EVALUATIONS
from selectrl.structs import Arena

KINDS = ("before", "explored", "after")
WIDTH = 2.75
"""Inches of a panel."""

SHOWN_TASKS = 4
"""Test tasks whose exploration is drawn; more would hide each other."""

Paths = list[tuple[int, int, FloatArray]]
"""(row of the task, block, (time, 2)) of each path, free of padding."""


@attrs.frozen(kw_only=True, eq=False)
class Story:
    """The paths of one method under one collector, of its first seed and repeat.

    Attributes:
        summary: the row's numbers.
        arena: the plane that its worlds move in.
        goals: true goals of the test tasks, (task, 2).
        paths: by kind: before any context, explored, after all context.
    """

    summary: Summary
    arena: Arena
    goals: DoubleArray
    paths: Mapping[str, Paths]


def stories(analysis: Analysis) -> tuple[list[Story], list[Omission]]:
    """Read the paths of every row whose worlds move in a plane."""
    drawn, omissions = [], []
    place = {summary.row.method: i for i, summary in enumerate(analysis.methods)}
    ordered = sorted(analysis.summaries, key=lambda value: (not value.row.own, place[value.row.method]))
    for summary in ordered:
        family, traces = task_family(summary.row), summary.row.evaluation.traces
        arena = family.arena if family else None
        if arena is None or traces is None:
            continue
        try:
            drawn.append(_story(traces, summary, arena))
        except InputError as error:
            where = summary.row.runs[0].path / EVALUATIONS / traces.file.name
            reason = str(error).replace(str(traces.file), str(where))
            omissions.append(Omission(where, f"{reason}; its numbers are kept"))
    return drawn, omissions


def _story(traces: Traces, summary: Summary, arena: Arena) -> Story:
    arrays = read_arrays(traces.file, ("scored", "explored"))
    goals, scored = traces.parameters, arrays.get("scored", np.zeros(0))
    tasks = len(summary.row.evaluation.tasks)
    explored = arrays.get("explored", np.zeros((tasks, 0, 1, 1 + max(arena.coordinates)), np.float32))
    true_goals = arena.goals[list(summary.row.evaluation.tasks)]
    same = goals.shape == true_goals.shape and np.allclose(goals, true_goals, atol=1e-3)
    fits = same and all(a.ndim == 4 and len(a) == tasks for a in (scored, explored))
    wide = fits and all(a.shape[3] > max(arena.coordinates) for a in (scored, explored) if a.shape[1])
    if not wide or min(scored.shape[1:]) < 1:
        raise InputError(f"corrupt: paths of {scored.shape} and goals of {goals.shape} do not fit {tasks} tasks")
    chosen = np.unique(np.linspace(0, tasks - 1, min(SHOWN_TASKS, tasks)).round().astype(int))
    return Story(
        summary=summary,
        arena=arena,
        goals=goals,
        paths={
            "before": [(task, 0, _clean(scored[task, 0], arena)) for task in range(tasks)],
            "explored": [(t, b, _clean(path, arena)) for t in chosen.tolist() for b, path in enumerate(explored[t])],
            "after": [(task, 0, _clean(scored[task, -1], arena)) for task in range(tasks)],
        },
    )


def _clean(path: FloatArray, arena: Arena) -> FloatArray:
    """Return (time, 2) without the padding after an early end."""
    return path[usable(path).all(axis=1)][:, list(arena.coordinates)]


def picture(analysis: Analysis) -> tuple[Drawing | None, list[Omission]]:
    """Draw all rows, three panels each: before any context, exploration, after all context.

    Returns:
        The figure, None without paths, and the files that could not be used.
    """
    drawn, omissions = stories(analysis)
    if not drawn:
        return None, omissions
    low, high = limits(drawn)
    digits = digits_for(story.summary.mean for story in drawn)
    drawing = Drawing(
        name=f"{analysis.family.name}_picture",
        title="How each method finds the goal",
        caption=f"{drawn[0].arena.words} {MARKS}",
        panels=[_panel(story, kind, low, high, digits) for story in drawn for kind in KINDS],
        columns=("method", "collector", "seed", "task", "goal_x", "goal_y", "kind", "block", "time", "x", "y"),
        data=[row for story in drawn for row in _data(story)],
        size=(WIDTH, WIDTH * float((high[1] - low[1]) / (high[0] - low[0]))),
    )
    return drawing, omissions


def _panel(story: Story, kind: str, low: DoubleArray, high: DoubleArray, digits: int) -> Panel:
    row = story.summary.row
    words = heading(story, kind, digits)
    bound = arguments(row.evaluation.collector)
    return Panel(
        heading=words,
        alt=f"{row.name}, paths of the robot. {words}.",
        draw=(lambda ax: draw(ax, story, kind, low, high)) if story.paths[kind] else None,
        group=row.name,
        note=f"{row.label} ({bound})" if bound else row.label,
        kind=kind,
    )


MARKS = (
    "(ring, in its colour); grey dots are the goals of training tasks. Before: one scored episode "
    "per test task, a single plain line where they all coincide. Collecting: the episodes that become context, for "
    "some of the tasks, the earlier the paler. After: one scored episode per test task; a method that has found its "
    "task ends in the ring of its colour. Paths are of the first seed and repeat, returns are means over all "
    "seeds and repeats."
)


def heading(story: Story, kind: str, digits: int) -> str:
    """Return the heading of a panel, with the return of scored episodes."""
    steps = story.summary.row.evaluation.context_steps[-1]
    if kind == "before":
        return f"Before any context: {number(story.summary[CONTEXT_FREE].value, digits)}"
    if kind == "after":
        return f"After {steps:,} steps of context: {number(story.summary.mean, digits)}"
    return "Collecting context" if story.paths["explored"] else "Context is read from data"


def limits(stories: Sequence[Story]) -> tuple[DoubleArray, DoubleArray]:
    """Return the lower left and upper right corner that hold every goal and all but the farthest strays."""
    paths = [path for story in stories for kind in KINDS for _, _, path in story.paths[kind]]
    points = np.concatenate([path for path in paths if len(path)] + [story.goals for story in stories])
    low, high = np.quantile(points, [0.01, 0.99], axis=0)
    inner, outer = stories[0].arena.inner, stories[0].arena.outer
    low, high = np.clip(low, outer[0], inner[0]), np.clip(high, inner[1], outer[1])
    reach = max(-float(low[0]), float(high[0]))
    return np.array([-reach, float(low[1]) - 0.06]), np.array([reach, float(high[1]) + 0.06])


def draw(ax: Axes, story: Story, kind: str, low: DoubleArray, high: DoubleArray) -> None:
    """Draw one kind of path over the goals and their outline."""
    ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), aspect="equal")
    ax.set_axis_off()
    ax.plot(*story.arena.outline.T, color=LIGHT["rule"], linewidth=1)
    train = _train_goals(story)
    if len(train):
        ax.plot(train[:, 0], train[:, 1], "o", color=LIGHT["muted"], alpha=0.6, markersize=2.2, markeredgewidth=0)
    hues = [hue(float(story.arena.places[task])) for task in story.summary.row.evaluation.tasks]
    blocks = 1 + max(block for _, block, _ in story.paths[kind])
    shown = {task for task, _, _ in story.paths[kind]}
    for task, (goal, colour) in enumerate(zip(story.goals, hues, strict=True)):
        ax.plot(*goal, "o", color="none", markeredgecolor=colour, markersize=9, alpha=1.0 if task in shown else 0.45)
    alike = kind == "before" and all(np.array_equal(path, story.paths[kind][0][2]) for _, _, path in story.paths[kind])
    for task, block, path in story.paths[kind]:
        colour = LIGHT["ink"] if alike else hues[task]
        late = (block + 1) / blocks
        style: dict[str, Any] = {"color": colour, "solid_joinstyle": "round", "solid_capstyle": "round"}
        if kind == "explored":
            ax.plot(path[:, 0], path[:, 1], linewidth=1.0, alpha=0.15 + 0.6 * late**1.5, **style)
        elif len(path):
            ax.plot(path[:, 0], path[:, 1], linewidth=1.7, **style)
            ax.plot(*path[-1], "o", color=colour, markersize=4.2)
        if alike:
            break
    ax.plot(*story.arena.start, "o", color=LIGHT["ink"], markersize=4)


def _train_goals(story: Story) -> DoubleArray:
    """Return the goals that are not tested, (task, 2)."""
    goals: DoubleArray = np.delete(story.arena.goals, list(story.summary.row.evaluation.tasks), axis=0)
    return goals


def _data(story: Story) -> list[tuple[Any, ...]]:
    row = story.summary.row
    return [
        (row.method, row.label, row.seeds[0], row.evaluation.tasks[task], *goal, kind, block, time, *map(float, point))
        for kind in KINDS
        for task, block, path in story.paths[kind]
        for goal in [story.goals[task].tolist()]
        for time, point in enumerate(path)
    ]
