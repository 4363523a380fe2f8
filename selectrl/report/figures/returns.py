"""Returns after all of the context: by method, by task, and as a distribution."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from selectrl.functional.estimates import profile
from selectrl.report.analysis.analyse import Analysis, Summary
from selectrl.report.analysis.estimate import FEWEST_SEEDS
from selectrl.report.analysis.families import reference_lines
from selectrl.report.analysis.formats import digits_for, interval, number
from selectrl.report.analysis.metrics import CONTEXT_FREE, MEAN, OFFLINE
from selectrl.report.analysis.projection import axis_of
from selectrl.report.analysis.samples import seed_means
from selectrl.report.analysis.sentences import by_task_words
from selectrl.report.figures.drawing import ONE, SHADE, Drawing, Panel, clip, curve, dress, numbers, reference
from selectrl.report.figures.style import LIGHT, Mark


def final(analysis: Analysis, marks: Mapping[str, Mark]) -> Drawing:
    """Draw each method's return before any context, after all of it, and with context from the data."""
    methods = analysis.methods
    digits = digits_for(summary.mean for summary in methods)
    offline = any(summary.get(OFFLINE) for summary in methods)
    disc = "all context, 95% interval" if any(summary[MEAN].interval for summary in methods) else "all context"

    def draw(ax: Axes) -> None:
        dress(ax, MEAN.axis)
        ax.grid(axis="y", visible=False)
        ax.grid(axis="x")
        for y, summary in enumerate(methods):
            colour = marks[summary.row.method].colour
            before, after, ends = summary[CONTEXT_FREE].value, summary.mean, summary[MEAN].interval
            ax.plot([before, after], [y, y], color=colour, linewidth=1.2, alpha=0.55)
            if ends:
                ax.plot(ends, [y, y], color=colour, linewidth=7, alpha=0.32, solid_capstyle="butt")
            else:
                seeds = seed_means(summary.row, analysis.family)
                ax.plot(seeds, [y] * len(seeds), ".", color=colour, alpha=0.5, markersize=5, markeredgewidth=0)
            ax.plot(before, y, "o", color=LIGHT["ground"], markeredgecolor=colour, markersize=6.5)
            if from_data := summary.get(OFFLINE):
                ax.plot(from_data.value, y, "D", color=LIGHT["ground"], markeredgecolor=colour, markersize=5.5)
            ax.plot(after, y, "o", color=colour, markersize=7)
        ax.set_yticks(range(len(methods)), [clip(summary.row.method, 20) for summary in methods])
        ax.tick_params(axis="y", labelcolor=LIGHT["ink"], labelsize=9)
        ax.set_ylim(len(methods) - 0.4, -0.6)
        reference(ax, reference_lines(methods[0].row), upright=True)
        ink: dict[str, Any] = {"color": LIGHT["muted"], "linestyle": "none"}
        keys = [
            Line2D([], [], marker="o", markerfacecolor="none", markersize=6.5, label="no context", **ink),
            Line2D([], [], marker="o", markersize=7, label=disc, **ink),
        ]
        if offline:
            keys.append(
                Line2D([], [], marker="D", markerfacecolor="none", markersize=5.5, label="context from data", **ink)
            )
        ax.figure.legend(
            handles=keys, loc="outside lower left", ncols=3, handlelength=0.8, columnspacing=1.0, fontsize=8
        )

    sentences = [
        f"{summary.row.method} from {number(summary[CONTEXT_FREE].value, digits)} to {number(summary.mean, digits)}"
        + (f" ({interval(summary[MEAN].interval, digits)})" if summary[MEAN].interval else "")
        for summary in methods
    ]
    diamond = (
        " A diamond is the return with context from the test tasks’ own data: the way from disc to diamond is what "
        "collecting its own context costs a method."
    )
    return Drawing(
        name=f"{analysis.family.name}_final",
        title="What context is worth",
        caption="From the scored episode before any context (ring) to the one after all of it (disc); the band is its "
        f"95% interval on these tasks; with fewer than {FEWEST_SEEDS} seeds small dots are the seeds. The "
        "longer the line, the larger the effect of the context that a method collects." + diamond * offline,
        panels=[
            Panel(heading="", alt=f"Mean return before and after context. {'; '.join(sentences)}.", draw=draw),
        ],
        columns=("method", CONTEXT_FREE.name, MEAN.name, "low", "high", f"{OFFLINE.name}_context"),
        data=[_numbers(summary) for summary in methods],
        size=(ONE[0], 1.35 + 0.36 * len(methods)),
    )


def _numbers(summary: Summary) -> tuple[Any, ...]:
    offline = summary.get(OFFLINE)
    ends = summary[MEAN].interval or (None, None)
    return (summary.row.method, summary[CONTEXT_FREE].value, summary.mean, *ends, offline.value if offline else None)


def by_task(analysis: Analysis, marks: Mapping[str, Mark]) -> Drawing | None:
    """Draw each task's return against its parameter; None if parameters were not stored."""
    axis = axis_of(analysis)
    tasks = analysis.methods[0].row.evaluation.tasks
    rows = [summary.row for summary in analysis.methods if summary.row.evaluation.tasks == tasks]
    if axis is None or len(tasks) < 2:
        return None
    order = np.argsort(axis.values)
    x = axis.values[order]
    curves = {row.method: row.scores[:, order, -1] for row in rows}  # (seed, task)

    def draw(ax: Axes) -> None:
        for method, y in curves.items():
            curve(ax, x, y, marks[method], marker="o")
        dress(ax, axis.name)

    return Drawing(
        name=f"{analysis.family.name}_by_task",
        title="Task by task",
        caption=f"Return after all of the context on each test task. {by_task_words(analysis, axis)} {SHADE}".strip(),
        panels=[Panel(heading=MEAN.axis, alt=_worst(analysis, curves, x), draw=draw)],
        columns=("method", "task_parameter", "mean", "std", "seeds"),
        data=[row for method, y in curves.items() for row in numbers((method,), x, y)],
        methods=tuple(curves),
    )


def _worst(analysis: Analysis, curves: Mapping[str, Any], x: Any) -> str:
    digits = analysis.digits
    sentences = []
    for method, y in curves.items():
        mean = y.mean(axis=0)
        low = int(mean.argmin())
        sentences.append(f"{method} is worst at {x[low]:.3g} with {number(float(mean[low]), digits)}")
    return f"Return by task. {'; '.join(sentences)}."


def distribution(analysis: Analysis, marks: Mapping[str, Mark]) -> Drawing | None:
    """Draw performance profiles: the share of all tasks and seeds above each return."""
    scores = {summary.row.method: summary.row.scores[..., -1] for summary in analysis.methods}  # (seed, task)
    values = np.concatenate([score.ravel() for score in scores.values()])
    if len(values) < 2 * len(scores) or np.ptp(values) == 0:
        return None
    levels = np.linspace(values.min() - 0.02 * np.ptp(values), values.max(), 120)
    profiles = {method: profile(score, levels) for method, score in scores.items()}

    def draw(ax: Axes) -> None:
        for method, (share, band) in profiles.items():
            mark = marks[method]
            if len(scores[method]) >= FEWEST_SEEDS:
                ax.fill_between(levels, *band, color=mark.colour, alpha=0.14, linewidth=0)
            (line,) = ax.plot(levels, share, color=mark.colour)
            if mark.dash:
                line.set_dashes(mark.dash)
        dress(ax, "return")
        ax.set_yticks([0, 0.25, 0.5, 0.75, 1])
        ax.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f}%")

    half = [f"{method} {number(float(np.median(score)), 2)}" for method, score in scores.items()]
    return Drawing(
        name=f"{analysis.family.name}_profile",
        title="Performance profile",
        caption="How many of all tasks and seeds score above a return; the higher the line the better, and where two "
        "lines cross neither method is better throughout. Shade: pointwise 95% bootstrap interval over seeds "
        f"on these tasks, with {FEWEST_SEEDS} seeds or more.",
        panels=[
            Panel(
                heading="Share of tasks and seeds above the return",
                alt=f"Performance profiles. Half of all tasks and seeds are above: {'; '.join(half)}.",
                draw=draw,
            )
        ],
        columns=("method", "return", "share", "low", "high"),
        data=[
            (method, *point)
            for method, (share, band) in profiles.items()
            for ends in [band.tolist() if len(scores[method]) >= FEWEST_SEEDS else [[None] * len(levels)] * 2]
            for point in zip(levels.tolist(), share.tolist(), *ends, strict=True)
        ],
        methods=tuple(scores),
    )
