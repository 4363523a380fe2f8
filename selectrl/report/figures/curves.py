"""Curves: return against training and context, one panel per environment, and the logged losses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from selectrl.arrays import DoubleArray
from selectrl.report.analysis.analyse import Analysis
from selectrl.report.analysis.families import reference_lines
from selectrl.report.analysis.formats import number
from selectrl.report.analysis.metrics import MEAN
from selectrl.report.figures.drawing import ONE, SEVERAL, SHADE, Drawing, Panel, curve, dress, numbers, reference
from selectrl.report.figures.style import Mark

QUANTITIES = {
    "policy/weight": "Mean weight of behaviour cloning",
    "policy/distance": "Squared distance from the data’s actions",
    "policy/divergence": "Estimated divergence from the behaviour",
    "policy/multiplier": "Multiplier of the constraint",
    "critic/q": "Mean Q of the data’s actions, in scaled reward",
    "critic/td": "TD error, squared",
    "encoder/z_spread_over_tasks": "Standard deviation of z over tasks",
}
"""What losses log and tells of a method's health, by the name they log it under."""

Curves = Mapping[str, tuple[DoubleArray, DoubleArray]]
"""By method: x (point,) and y (seed, point)."""


def learning(analyses: Sequence[Analysis], marks: Mapping[str, Mark], name: str) -> Drawing | None:
    """Draw test return against steps of training, one panel an environment; nothing where no run logged it."""
    curves_by_env = {
        analysis.family.title: (analysis, {m.row.method: m.row.learning for m in analysis.methods})
        for analysis in analyses
    }
    caption = f"Return on unseen tasks after all of the context, tested while training. {SHADE}"
    return _returns(curves_by_env, marks, name, ("Learning curves", caption), "steps of training (rl phase)")


def few_shot(analyses: Sequence[Analysis], marks: Mapping[str, Mark], name: str) -> Drawing | None:
    """Draw return against steps of context, one panel an environment; nothing where no method was given any."""
    curves_by_env: dict[str, tuple[Analysis, Curves]] = {}
    for analysis in analyses:
        rows = [m.row for m in analysis.methods if len(m.row.evaluation.context_steps) > 1]
        curves = {row.method: (np.array(row.evaluation.context_steps, float), row.scores.mean(axis=1)) for row in rows}
        curves_by_env[analysis.family.title] = analysis, curves
    blocks = {m.row.evaluation.settings["block"] for analysis in analyses for m in analysis.methods}
    block = next(iter(blocks))
    size = f" A block of context is {block:,} steps, one whole episode." if len(blocks) == 1 and block else ""
    caption = (
        "Return of one scored episode, exploration off, against the context collected before it."
        f"{size} Early rise is fast adaptation. {SHADE}"
    )
    return _returns(curves_by_env, marks, name, ("Few-shot curves", caption), "steps of context")


def training(analysis: Analysis, marks: Mapping[str, Mark]) -> Drawing | None:
    """Draw the logged losses, one panel per quantity; None if none was logged."""
    curves_by_env, data = [], []
    for quantity, heading in QUANTITIES.items():
        curves = _present({m.row.method: m.row.logged(quantity) for m in analysis.methods})
        if not curves:
            continue
        last = "; ".join(f"{name} {float(y[:, -1].mean()):.3g}" for name, (_, y) in curves.items())

        def draw(ax: Axes, curves: Curves = curves) -> None:
            for method, (x, y) in curves.items():
                curve(ax, x, y, marks[method])
            dress(ax, "steps of training (rl phase)", thousands=True)

        curves_by_env.append(Panel(heading=heading, alt=f"{heading} while training. Last values: {last}.", draw=draw))
        data += [row for name, (x, y) in curves.items() for row in numbers((quantity, name), x, y)]
    if not curves_by_env:
        return None
    return Drawing(
        name=f"{analysis.family.name}_training",
        title="What training did",
        caption="Logged by the losses themselves, on training tasks; a quantity that a method does not have has no "
        f"line. Q that climbs away from the others’ warns of overestimation. {SHADE}",
        panels=curves_by_env,
        columns=("quantity", "method", "step", "mean", "std", "seeds"),
        data=data,
        methods=tuple(m.row.method for m in analysis.methods),
        size=SEVERAL,
    )


def _returns(
    curves_by_env: Mapping[str, tuple[Analysis, Curves]],
    marks: Mapping[str, Mark],
    name: str,
    words: tuple[str, str],
    across: str,
) -> Drawing | None:
    """Draw returns against something, one panel an environment."""
    panels, data = [], []
    for env, (analysis, every) in curves_by_env.items():
        curves = _present(every)
        if not curves:
            continue
        digits = analysis.digits
        ends = "; ".join(
            f"{method} {number(float(y[:, 0].mean()), digits)} at {int(x[0]):,}, "
            f"{number(float(y[:, -1].mean()), digits)} at {int(x[-1]):,}"
            for method, (x, y) in curves.items()
        )
        lines = reference_lines(analysis.methods[0].row)

        def draw(ax: Axes, curves: Curves = curves, lines: Mapping[str, float] = lines) -> None:
            for method, (x, y) in curves.items():
                curve(ax, x, y, marks[method])
            reference(ax, lines)
            dress(ax, across, thousands=True)

        heading = MEAN.axis if len(curves_by_env) == 1 else env
        panels.append(Panel(heading=heading, alt=f"{words[0]}, return against {across}. {ends}.", draw=draw))
        data += [row for method, (x, y) in curves.items() for row in numbers((analysis.family.env, method), x, y)]
    if not panels:
        return None
    title, caption = words
    return Drawing(
        name=name,
        title=title,
        caption=caption if len(curves_by_env) == 1 else f"{MEAN.axis}. {caption}",
        panels=panels,
        columns=("env", "method", across.partition(" (")[0].replace(" ", "_"), "mean", "std", "seeds"),
        data=data,
        methods=tuple(dict.fromkeys(method for _, every in curves_by_env.values() for method in every)),
        size=ONE if len(curves_by_env) == 1 else SEVERAL,
    )


def _present(curves: Curves) -> Curves:
    return {method: (x, y) for method, (x, y) in curves.items() if len(x)}
