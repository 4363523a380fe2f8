"""The curves: what training and context do to the return, and where each method ends up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from selectrl.functional.estimates import Floats
from selectrl.report.analyse import Analysis
from selectrl.report.ink import axes, blank
from selectrl.report.records import Evaluation, Row
from selectrl.report.style import LIGHT, Mark
from selectrl.report.words import count, digits_for, interval, number

ANCHORS = {"optimum": -3.855, "random actions": -20.4}
"""Point-Robot's returns on its ten test tasks: the best possible with the goal known, and uniform random actions."""

WIDTH = 4.7


@attrs.frozen(kw_only=True, eq=False)
class Drawing:
    """A figure, what is said of it, and the numbers in it.

    Attributes:
        name: stem of its files.
        title: short name.
        caption: what to see.
        alt: the figure in words, with its main numbers.
        figure: the figure itself.
        columns: names of the data's columns.
        data: the numbers drawn.
    """

    name: str
    title: str
    caption: str
    alt: str
    figure: Figure
    columns: tuple[str, ...]
    data: Sequence[Sequence[Any]]


def anchors(evaluation: Evaluation, env: str) -> Mapping[str, float]:
    """Return the returns worth a reference line: Point-Robot's, where it is tested on the tasks they belong to."""
    usual = evaluation.tasks == tuple(range(2, 40, 4)) and evaluation.settings["block"] == 20
    return ANCHORS if env == "point_robot" and usual else {}


def clip(name: str, most: int = 30) -> str:
    """Return the name, cut where it would crowd a figure."""
    return name if len(name) <= most else name[: most - 1] + "…"


def final(analysis: Analysis, marks: Mapping[str, Mark]) -> Drawing:
    """Draw each method's return before any context, after all of it, and with context from the data."""
    methods = analysis.methods
    digits = digits_for(one.mean for one in methods)
    figure = blank(WIDTH, 1.45 + 0.36 * len(methods))
    ax = axes(figure, title="Mean return on the test tasks", across="")
    ax.grid(axis="y", visible=False)
    ax.grid(axis="x")
    ax.xaxis.set_major_locator(MaxNLocator(nbins=6))
    for y, one in enumerate(methods):
        colour = marks[one.row.method].colour
        ax.plot([one.context_free, one.mean], [y, y], color=colour, linewidth=1.2, alpha=0.55)
        if one.mean_interval:
            ax.plot(one.mean_interval, [y, y], color=colour, linewidth=7, alpha=0.32, solid_capstyle="butt")
        ax.plot(one.context_free, y, "o", color=LIGHT["ground"], markeredgecolor=colour, markersize=6.5)
        if one.offline is not None:
            ax.plot(one.offline, y, "D", color=LIGHT["ground"], markeredgecolor=colour, markersize=5.5)
        ax.plot(one.mean, y, "o", color=colour, markersize=7)
    ax.set_yticks(range(len(methods)), [clip(one.row.method) for one in methods])
    ax.tick_params(axis="y", labelcolor=LIGHT["ink"], labelsize=9)
    ax.set_ylim(len(methods) - 0.4, -0.6)
    _reference(ax, anchors(methods[0].row.evaluation, analysis.family.env), upright=True)
    ink: dict[str, Any] = {"color": LIGHT["muted"], "linestyle": "none"}
    keys = [
        Line2D([], [], marker="o", markerfacecolor="none", markersize=6.5, label="no context", **ink),
        Line2D([], [], marker="o", markersize=7, label="all context, 95% interval", **ink),
    ]
    diamond = ""
    if any(one.offline is not None for one in methods):
        diamond = (
            " A diamond is the return with context from the test tasks’ own data: the way from disc to diamond is what "
            "collecting its own context costs a method."
        )
        keys.append(
            Line2D([], [], marker="D", markerfacecolor="none", markersize=5.5, label="context from data", **ink)
        )
    figure.legend(handles=keys, loc="outside lower left", ncols=3, handlelength=1.2, columnspacing=1.4)
    told = [
        f"{one.row.method} from {number(one.context_free, digits)} to {number(one.mean, digits)}"
        + (f" ({interval(one.mean_interval, digits)})" if one.mean_interval else "")
        for one in methods
    ]
    return Drawing(
        name=f"{analysis.family.env}_final",
        title="What context is worth",
        caption="From the scored episode before any context (ring) to the one after all of it (disc); the band is its "
        f"95% interval over seeds. The longer the line, the more a method makes of the context it collects.{diamond}",
        alt=f"Mean return before and after context. {'; '.join(told)}.",
        figure=figure,
        columns=("method", "context_free", "mean", "low", "high", "offline_context"),
        data=[
            (one.row.method, one.context_free, one.mean, *(one.mean_interval or (None, None)), one.offline)
            for one in methods
        ],
    )


def learning(analysis: Analysis, marks: Mapping[str, Mark]) -> Drawing | None:
    """Draw test return against steps of training; nothing where no run logged it."""
    curves = {one.row.method: _tested(one.row) for one in analysis.methods}
    curves = {method: curve for method, curve in curves.items() if curve[0].size}
    if not curves:
        return None
    figure = blank(WIDTH, 3.5)
    ax = axes(figure, title="Mean return on the test tasks", across="steps of training (rl phase)")
    data: list[tuple[Any, ...]] = []
    for method, (steps, returns) in curves.items():
        data += _curve(ax, method, steps, returns, marks[method])
    _reference(ax, anchors(analysis.methods[0].row.evaluation, analysis.family.env))
    _thousands(ax)
    _legend(figure, ax)
    digits = digits_for(one.mean for one in analysis.methods)
    ends = [f"{m} {number(float(r[:, -1].mean()), digits)} at step {int(s[-1]):,}" for m, (s, r) in curves.items()]
    return Drawing(
        name=f"{analysis.family.env}_learning",
        title="Learning curves",
        caption=f"Return on unseen tasks after all of the context, tested while training. {SHADE}",
        alt=f"Learning curves. Last points: {'; '.join(ends)}.",
        figure=figure,
        columns=("method", "step", *_SPREAD),
        data=data,
    )


def few_shot(analysis: Analysis, marks: Mapping[str, Mark]) -> Drawing | None:
    """Draw return against steps of context; nothing where no method was given any."""
    rows = [one.row for one in analysis.methods if len(one.row.evaluation.context_steps) > 1]
    if not rows:
        return None
    figure = blank(WIDTH, 3.5)
    ax = axes(figure, title="Mean return on the test tasks", across="steps of context")
    data: list[tuple[Any, ...]] = []
    for row in rows:
        returns = row.scores.mean(axis=1)  # (seed, point)
        data += _curve(ax, row.method, np.array(row.evaluation.context_steps), returns, marks[row.method])
    _reference(ax, anchors(rows[0].evaluation, analysis.family.env))
    _thousands(ax)
    block = rows[0].evaluation.settings["block"]
    blocks = ""
    if isinstance(block, int) and block > 0 and all(row.evaluation.settings["block"] == block for row in rows):
        top = ax.secondary_xaxis("top", functions=(lambda x: np.asarray(x) / block, lambda x: np.asarray(x) * block))
        top.tick_params(length=0, pad=1)
        top.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
        top.spines["top"].set_visible(False)
        top.set_xlabel(f"episodes of context ({block} steps each)")
        ax.set_title("Mean return on the test tasks", pad=34)
        blocks = f" A block of context is {block} steps, one whole episode."
    _legend(figure, ax)
    digits = digits_for(one.mean for one in analysis.methods)
    told = [
        f"{one.row.method} {number(one.context_free, digits)} without context, {number(one.mean, digits)} after "
        f"{count(one.row.evaluation.context_steps[-1], 'step')}"
        for one in analysis.methods
    ]
    return Drawing(
        name=f"{analysis.family.env}_few_shot",
        title="Few-shot curves",
        caption="Return of one scored episode, exploration off, against the context collected before it."
        f"{blocks} Early rise is fast adaptation. {SHADE}",
        alt=f"Few-shot curves. {'; '.join(told)}.",
        figure=figure,
        columns=("method", "context_steps", *_SPREAD),
        data=data,
    )


SHADE = "Line: mean over seeds. Shade: one standard deviation over seeds to either side; with one seed there is none."
_SPREAD = ("mean", "std", "seeds")


def _tested(row: Row) -> tuple[Floats, Floats]:
    """Return (point,) steps that every seed was tested at, and (seed, point) returns."""
    part = str(row.evaluation.collector.get("part", "")).rpartition(".")[2]
    curves = [dict(run.tested.get(row.label) or run.tested.get(part, ())) for run in row.runs]
    curves = [curve for curve in curves if curve]
    shared = sorted(set.intersection(*(set(curve) for curve in curves))) if curves else []
    return np.array(shared, dtype=float), np.array([[curve[step] for step in shared] for curve in curves])


def _curve(ax: Axes, method: str, x: Floats, y: Floats, mark: Mark) -> list[tuple[Any, ...]]:
    """Draw mean and spread over seeds of y (seed, point), and return the numbers drawn."""
    mean = y.mean(axis=0)
    std = y.std(axis=0, ddof=1) if len(y) > 1 else None
    if std is not None:
        ax.fill_between(x, mean - std, mean + std, color=mark.colour, alpha=0.16, linewidth=0)
    (line,) = ax.plot(x, mean, color=mark.colour, label=clip(method))
    if mark.dash:
        line.set_dashes(mark.dash)
    if len(x) == 1:
        line.set_marker("o")
    spread = [None] * len(x) if std is None else std.tolist()
    return [(method, int(a), b, c, len(y)) for a, b, c in zip(x, mean.tolist(), spread, strict=True)]


def _reference(ax: Axes, lines: Mapping[str, float], *, upright: bool = False) -> None:
    """Draw reference returns as thin lines with their names at the far end."""
    for name, value in lines.items():
        style: dict[str, Any] = {"color": LIGHT["muted"], "linewidth": 0.9, "alpha": 0.8, "zorder": 1}
        note: dict[str, Any] = {"color": LIGHT["muted"], "fontsize": 8, "textcoords": "offset points"}
        if upright:
            ax.axvline(value, **style)
            side = -1 if value == max(lines.values()) else 1
            across = ax.get_xaxis_transform()
            ax.annotate(name, (value, 0), (4 * side, 4), xycoords=across, ha="right" if side < 0 else "left", **note)
        else:
            ax.axhline(value, **style)
            best = value == max(lines.values())  # its name goes under the line's left end, where curves are still low
            place: dict[str, Any] = {"ha": "left", "va": "top"} if best else {"ha": "right", "va": "bottom"}
            offset = (2, -3) if best else (-2, 3)
            ax.annotate(name, (0 if best else 1, value), offset, xycoords=ax.get_yaxis_transform(), **place, **note)


def _thousands(ax: Axes) -> None:
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    ax.margins(x=0.01)


def _legend(figure: Figure, ax: Axes) -> None:
    """Name the lines below the axes, in as many columns as the longest name allows, and grow the figure by the rows."""
    handles, labels = ax.get_legend_handles_labels()
    one_row = sum(map(len, labels)) + 8 * len(labels) <= 66
    columns = len(labels) if one_row else max(1, min(len(labels), 55 // (max(map(len, labels)) + 7)))
    across = [i for column in range(columns) for i in range(column, len(labels), columns)]  # legends fill by columns
    keys, names = [handles[i] for i in across], [labels[i] for i in across]
    figure.legend(keys, names, loc="outside lower left", ncols=columns, columnspacing=1.6)
    figure.set_figheight(figure.get_figheight() + 0.2 * -(-len(labels) // columns))
