"""The map of task variables: does exploration in an unseen task land where its data do?"""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
from matplotlib.axes import Axes

from selectrl.arrays import DoubleArray
from selectrl.report.analysis.analyse import Analysis
from selectrl.report.analysis.projection import TaskAxis, principal, task_axis
from selectrl.report.figures.drawing import SEVERAL, Drawing, Panel
from selectrl.report.figures.style import hue
from selectrl.report.records import LoadedRun, Row


@attrs.frozen(kw_only=True, eq=False)
class Map:
    """Latents of one seed of a row.

    Attributes:
        row: the row.
        seed: the seed.
        train: those of training tasks by stored data, (task, draw, latent).
        given: those of test tasks by stored data, (task, draw, latent).
        explored: those of test tasks after collection, (task, repeat, latent).
        axis: training and then test tasks, in the order of their parameters.
    """

    row: Row
    seed: int
    train: DoubleArray
    given: DoubleArray
    explored: DoubleArray
    axis: TaskAxis

    @property
    def own(self) -> float:
        """The share of explored beliefs whose nearest centre of stored beliefs is that of the true task, in [0, 1]."""
        centres = self.given.mean(axis=1)
        distance = np.linalg.norm(self.explored[:, :, None] - centres, axis=-1)  # (task, repeat, centre)
        return float((distance.argmin(axis=-1) == np.arange(len(centres))[:, None]).mean())


def maps(analysis: Analysis) -> list[list[Map]]:
    """Return the maps of every row's seeds, of rows that collect their context and kept both kinds of latents."""
    place = {summary.row.method: i for i, summary in enumerate(analysis.methods)}
    ordered = sorted(analysis.family.rows, key=lambda row: (place[row.method], not row.own, row.label))
    collecting = [row for row in ordered if not row.evaluation.offline]
    groups = [[item for run in row.runs for item in [_map(row, run)] if item] for row in collecting]
    return [seeds for seeds in groups if seeds]


def _map(row: Row, run: LoadedRun) -> Map | None:
    traces, kept = run.evaluations[row.label].traces, run.diagnostics
    if traces is None or traces.latents is None or kept is None or not kept.arrays:
        return None
    train, given = kept.arrays["train_latents"], kept.arrays["test_latents"]
    explored = traces.latents
    parameters = [kept.arrays[f"{part}_parameters"] for part in ("train", "test")]
    widths = {a.shape[-1] for a in (train, given, explored)}
    if len(widths) > 1 or len(given) != len(explored) or parameters[0].shape[1:] != parameters[1].shape[1:]:
        return None
    axis = task_axis(np.concatenate(parameters).astype(np.float64))
    sets = [a.astype(np.float64) for a in (train, given, explored)]
    return Map(row=row, seed=run.seed, train=sets[0], given=sets[1], explored=sets[2], axis=axis)


def latent_map(analysis: Analysis) -> Drawing | None:
    """Draw every map, one panel a method and collector; nothing where no latents were kept."""
    groups = maps(analysis)
    if not groups:
        return None
    panels, data = [], []
    for seeds in groups:
        panel, rows = _panel(seeds)
        panels.append(panel)
        data += rows
    first = groups[0][0]
    return Drawing(
        name=f"{analysis.family.name}_latents",
        title="Where exploration lands",
        caption="Task variables on their two leading principal components, coloured by "
        f"{first.axis.name}. Small dots: training tasks, by their data. Rings: test tasks, by their data. Discs: "
        "test tasks, by the context that was collected; a line leads to the ring of the same task. Discs that lie "
        "off the dots were inferred from context unlike any in training. The percentage says how often the nearest "
        f"of the rings is the true task’s, in the whole latent space; chance is {100 / len(first.given):.0f}%. "
        "Drawn is the first seed; the percentage is the mean over seeds.",
        panels=panels,
        columns=("method", "collector", "seed", "what", "task", "draw", "axis_1", "axis_2"),
        data=data,
        size=(SEVERAL[0], SEVERAL[0] * 0.86),
    )


def _panel(seeds: list[Map]) -> tuple[Panel, list[tuple[Any, ...]]]:
    """Return the map of the first seed, and its numbers."""
    first = seeds[0]
    cloud = np.concatenate([a.reshape(-1, a.shape[-1]) for a in (first.train, first.given)])
    centre, axes, variance = principal(cloud, 2)
    train, given, explored = ((a - centre) @ axes.T for a in (first.train, first.given, first.explored))
    hues = [hue(position, cyclic=first.axis.cyclic) for position in first.axis.positions]
    of_train, of_test = hues[: len(train)], hues[len(train) :]

    def draw(ax: Axes) -> None:
        for points, colour in zip(train, of_train, strict=True):
            ax.plot(*points.T, "o", color=colour, markersize=2.6, markeredgewidth=0, alpha=0.75)
        for rings, discs, colour in zip(given, explored, of_test, strict=True):
            middle = rings.mean(axis=0)
            for disc in discs:
                ax.plot(*np.stack([middle, disc]).T, color=colour, linewidth=0.6, alpha=0.35)
            ax.plot(*discs.T, "o", color=colour, markersize=4, alpha=0.8, markeredgewidth=0)
            ax.plot(*middle, "o", color="none", markeredgecolor=colour, markersize=9, markeredgewidth=1.5)
        for spine in ax.spines.values():
            spine.set_visible(False)
        ax.set(xticks=[], yticks=[])
        ax.margins(0.08)
        ax.set_aspect("equal", adjustable="datalim")
        ax.set_xlabel(f"{100 * variance.sum():.0f}% of variance shown")

    share = f"{100 * np.mean([seed.own for seed in seeds]):.0f}% at their own task"
    panel = Panel(
        heading=f"{first.row.name}: {share}",
        alt=f"Map of task variables of {first.row.name}. Collected contexts: {share}.",
        draw=draw,
    )
    key = (first.row.method, first.row.label, first.seed)
    sets = (("train_data", train), ("test_data", given), ("test_collected", explored))
    rows = [
        (*key, what, task, draw_, *point)
        for what, points in sets
        for task, draws in enumerate(points.tolist())
        for draw_, point in enumerate(draws)
    ]
    return panel, rows
