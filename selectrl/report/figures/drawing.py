"""A figure as panels and words: composed into one file, or laid out panel by panel as wide as a page allows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Any

import attrs
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from selectrl.arrays import DoubleArray
from selectrl.report.analysis.estimate import FEWEST_SEEDS
from selectrl.report.figures.ink import blank
from selectrl.report.figures.style import LIGHT, Mark

ONE = (4.3, 2.95)
"""Inches of a panel that stands alone."""
SEVERAL = (3.4, 2.5)
"""Inches of a panel among others."""

SHADE = (
    "Line: mean over seeds. Shade: one standard deviation over seeds to either side; with fewer than "
    f"{FEWEST_SEEDS} seeds, a dot for each instead."
)


@attrs.frozen(kw_only=True, eq=False)
class Panel:
    """One set of axes.

    Attributes:
        heading: text above it.
        alt: the panel in words, with its main numbers.
        draw: fills empty axes; without it only the heading is shown.
        group: heading of the group of panels that it belongs to, often a method.
        note: small print next to the group's heading.
        kind: name by which the page's style may single it out.
    """

    heading: str
    alt: str
    draw: Callable[[Axes], None] | None
    group: str = ""
    note: str = ""
    kind: str = ""


@attrs.frozen(kw_only=True, eq=False)
class Drawing:
    """A figure, its texts, and the numbers in it.

    Attributes:
        name: stem of its files.
        title: short name.
        caption: the caption.
        panels: its axes; those of one group stand together.
        columns: names of the data's columns.
        data: the numbers drawn.
        methods: methods in the legend.
        size: of a panel, inches.
        across: panels per row in a file.
    """

    name: str
    title: str
    caption: str
    panels: Sequence[Panel]
    columns: tuple[str, ...]
    data: Sequence[Sequence[Any]]
    methods: tuple[str, ...] = ()
    size: tuple[float, float] = ONE
    across: int = 3


def clip(name: str, most: int = 30) -> str:
    """Return the name, cut where it would crowd a figure."""
    return name if len(name) <= most else name[: most - 1] + "…"


def single(panel: Panel, size: tuple[float, float]) -> Figure:
    """Draw one panel without its heading, for a page that says it in text."""
    figure = blank(*size)
    _fill(figure.add_subplot(), panel)
    return figure


def compose(drawing: Drawing, marks: Mapping[str, Mark]) -> Figure:
    """Draw the whole figure: groups begin a new line, headings and legend included."""
    lines: list[list[Panel]] = []
    for _, members in groupby(drawing.panels, key=lambda panel: panel.group):
        group = list(members)
        lines += [group[i : i + drawing.across] for i in range(0, len(group), drawing.across)]
    width, height = drawing.size
    across = max(map(len, lines))
    grouped = any(panel.group for panel in drawing.panels)
    legend = [line for name in drawing.methods for line in [_key(name, marks[name])]]
    columns = min(len(legend), max(1, int(across * width * 12 / (max(map(len, drawing.methods), default=1) + 7))))
    tall = len(lines) * (height + 0.25 + 0.25 * grouped) + (0.1 + 0.22 * -(-len(legend) // columns) if legend else 0)
    figure = blank(across * width, tall)
    grid = figure.add_gridspec(len(lines), across)
    for i, line in enumerate(lines):
        for j, panel in enumerate(line):
            ax = figure.add_subplot(grid[i, j])
            _fill(ax, panel)
            ax.set_title(clip(panel.heading, round(14 * width)), pad=5)
            if panel.group and not j:
                bold: dict[str, Any] = {"fontsize": 9.5, "fontweight": "bold", "color": LIGHT["ink"]}
                ax.annotate(clip(panel.group), (0, 1), (0, 20), "axes fraction", "offset points", **bold)
    if legend:
        figure.legend(handles=legend, loc="outside lower left", ncols=columns, columnspacing=1.6)
    return figure


def dress(ax: Axes, across: str, *, thousands: bool = False) -> None:
    """Give axes their horizontal grid lines, and the horizontal quantity its name."""
    ax.set_xlabel(across)
    ax.grid(axis="y")
    ax.tick_params(length=3)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.yaxis.set_major_locator(MaxNLocator(nbins=6))
    ax.xaxis.set_major_locator(MaxNLocator(nbins=6))
    if thousands:
        ax.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        ax.margins(x=0.01)


def curve(ax: Axes, x: DoubleArray, y: DoubleArray, mark: Mark, *, marker: str = "") -> None:
    """Draw mean and standard deviation over seeds of y (seed, point); with too few seeds, a dot for each of them."""
    mean = y.mean(axis=0)
    if 1 < len(y) < FEWEST_SEEDS:
        for seed in y:
            ax.plot(x, seed, ".", color=mark.colour, alpha=0.5, markersize=4, markeredgewidth=0)
    elif len(y) >= FEWEST_SEEDS:
        std = y.std(axis=0, ddof=1)
        ax.fill_between(x, mean - std, mean + std, color=mark.colour, alpha=0.16, linewidth=0)
    (line,) = ax.plot(x, mean, color=mark.colour, marker=marker or ("o" if len(x) == 1 else ""), markersize=4)
    if mark.dash:
        line.set_dashes(mark.dash)


def numbers(name: Sequence[Any], x: DoubleArray, y: DoubleArray) -> list[tuple[Any, ...]]:
    """Return the numbers that :func:`curve` draws, one row per point: name, x, mean, standard deviation, seeds."""
    spread = y.std(axis=0, ddof=1).tolist() if len(y) > 1 else [None] * len(x)
    return [(*name, a, b, c, len(y)) for a, b, c in zip(x.tolist(), y.mean(axis=0).tolist(), spread, strict=True)]


def reference(ax: Axes, lines: Mapping[str, float], *, upright: bool = False) -> None:
    """Draw reference returns as thin lines; their names stand outside the axes, where no curve is.

    The best one's name begins at its line, the others' end at theirs, so that they never meet, however close the lines.
    """
    for name, value in lines.items():
        style: dict[str, Any] = {"color": LIGHT["muted"], "linewidth": 0.9, "alpha": 0.8, "zorder": 1}
        note: dict[str, Any] = {"color": LIGHT["muted"], "fontsize": 8, "textcoords": "offset points"}
        best = value == max(lines.values())
        if upright:
            ax.axvline(value, **style)
            note |= {"xycoords": ax.get_xaxis_transform(), "ha": "left" if best else "right", "va": "bottom"}
            ax.annotate(name, (value, 1), (0, 3), **note)
        else:
            ax.axhline(value, **style)
            note |= {"xycoords": ax.get_yaxis_transform(), "ha": "left", "va": "bottom" if best else "top"}
            ax.annotate(name.replace(" ", "\n"), (1, value), (4, 0), **note)


def _fill(ax: Axes, panel: Panel) -> None:
    if panel.draw is None:
        ax.set_axis_off()
    else:
        panel.draw(ax)


def _key(name: str, mark: Mark) -> Line2D:
    line = Line2D([], [], color=mark.colour, label=clip(name))
    if mark.dash:
        line.set_dashes(mark.dash)
    return line
