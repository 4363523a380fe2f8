"""The picture of a dataset: the behaviour's return in every task and at every checkpoint."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from selectrl.arrays import DoubleArray
from selectrl.data.manifest import Manifest
from selectrl.errors import InputError
from selectrl.files import write_atomically
from selectrl.report.analysis.formats import count
from selectrl.report.figures.ink import FORMATS, blank, drawing, render, settle
from selectrl.report.figures.style import LIGHT

WIDTH, HEIGHT = 6.2, 6.0
MOST_TICKS = 9
SCALE = ("#f4e7d3", "#9cc3d5", "#0b6bb3", "#0a2a4d")
"""Low to high return: even steps of lightness, which grey keeps apart."""


def draw_dataset(manifest: Manifest, file: Path) -> None:
    """Draw a dataset's returns into a PNG, PDF or SVG file.

    Above, the mean over tasks at each checkpoint, with the spread from the 10th to the 90th percentile of tasks; below,
    the mean return of every task and checkpoint. Crosses are checkpoints without episodes.

    Raises:
        InputError: the file's name ends in something else, or it cannot be written.
    """
    kind = file.suffix.lower().removeprefix(".")
    if kind not in FORMATS:
        raise InputError(f"{file}: expected a file name ending in {', '.join(f'.{suffix}' for suffix in FORMATS)}")
    with drawing():
        figure = _figure(manifest)
        settle(figure)
        content = render(figure, kind)
    write_atomically(file, lambda temporary: temporary.write_bytes(content))


def returns_of(manifest: Manifest) -> tuple[list[int], DoubleArray]:
    """Return the labels, ascending, and the mean returns (task, label), NaN where there is no episode."""
    labels = sorted({level.label for entry in manifest.tasks for level in entry.returns})
    table = np.full((len(manifest.tasks), len(labels)), np.nan)
    for row, entry in enumerate(manifest.tasks):
        for level in entry.returns:
            table[row, labels.index(level.label)] = level.mean_return
    return labels, table


def _figure(manifest: Manifest) -> Figure:
    labels, returns = returns_of(manifest)
    figure = blank(WIDTH, HEIGHT)
    grid = figure.add_gridspec(2, 2, height_ratios=(1, 2.2), width_ratios=(1, 0.028))
    above, below = figure.add_subplot(grid[0, 0]), figure.add_subplot(grid[1, 0])
    episodes = sum(entry.episodes for entry in manifest.tasks)
    figure.suptitle(
        f"{manifest.env}: {count(len(manifest.tasks), 'task')}, {count(episodes, 'episode')}, {manifest.source}",
        x=0.012,
        ha="left",
        fontsize=10.5,
        color=LIGHT["ink"],
    )
    _line(above, returns)
    picture = below.imshow(
        returns,
        aspect="auto",
        interpolation="none",
        cmap=LinearSegmentedColormap.from_list("returns", SCALE),
    )
    missing = np.argwhere(np.isnan(returns))
    below.plot(missing[:, 1], missing[:, 0], "x", color=LIGHT["muted"], markersize=4)
    _tasks(below, manifest, "; × has no episodes" if len(missing) else "")
    for ax in (above, below):
        ax.set_xlim(-0.5, len(labels) - 0.5)
        for spine in ax.spines.values():
            spine.set_visible(False)
        ax.tick_params(axis="y", length=0)
        step = -(-len(labels) // MOST_TICKS)
        ax.set_xticks(range(0, len(labels), step), [_label(label) for label in labels[::step]])
    above.tick_params(axis="x", length=3, labelbottom=False)
    below.tick_params(axis="x", length=3)
    below.set_xlabel("step of the behaviour checkpoint")
    bar = figure.colorbar(picture, cax=figure.add_subplot(grid[1, 1]))
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0)
    bar.ax.yaxis.set_major_locator(MaxNLocator(nbins=6))
    return figure


def _line(ax: Axes, returns: DoubleArray) -> None:
    """Draw the mean over tasks at each label, and how far tasks lie apart."""
    x = np.arange(returns.shape[1])
    low, high = np.nanpercentile(returns, (10, 90), axis=0)
    ax.fill_between(x, low, high, color=LIGHT["m0"], alpha=0.16, linewidth=0)
    ax.plot(x, np.nanmean(returns, axis=0), color=LIGHT["m0"], marker="o", markersize=3.5)
    ax.set_title("Mean return over tasks, and the 10th to 90th percentile of tasks")
    ax.yaxis.set_major_locator(MaxNLocator(nbins=5))
    ax.grid(axis="y")


def _tasks(ax: Axes, manifest: Manifest, crosses: str) -> None:
    """Name the rows of the heat map, mark those of test tasks, and explain the marks."""
    tasks = [entry.task for entry in manifest.tasks]
    step = -(-len(tasks) // MOST_TICKS)
    ax.set_yticks(range(0, len(tasks), step), [str(task) for task in tasks[::step]])
    ax.set_ylabel("task")
    test = [row for row, task in enumerate(tasks) if task in manifest.split.get("test", ())]
    ax.set_title("Mean return of each task and checkpoint" + ("; ◂ is a test task" if test else "") + crosses)
    edge = ax.get_yaxis_transform()
    ax.plot([1.012] * len(test), test, "<", color=LIGHT["m1"], markersize=4, transform=edge, clip_on=False)


def _label(label: int) -> str:
    """Return a label as an axis shows it; 0 is the random warm-up."""
    if label == 0:
        return "random"
    return f"{label // 1000:,}k" if label >= 10_000 and label % 1000 == 0 else f"{label:,}"
