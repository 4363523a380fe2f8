"""Tables of pairs: every two methods, under their own collectors, with given context, alike, and task by task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from selectrl.report.analysis.analyse import Analysis
from selectrl.report.analysis.comparison import PairComparison
from selectrl.report.analysis.estimate import these_tasks
from selectrl.report.analysis.formats import interval, number
from selectrl.report.analysis.group import arguments
from selectrl.report.analysis.projection import axis_of
from selectrl.report.pages.cells import FEW, difference_cell
from selectrl.report.pages.table import NONE, Cell, Table


def pairs(analysis: Analysis) -> Table | None:
    """Line minus column for every two methods; nothing where there is only one."""
    note = (
        "Line minus column, paired by seed and task, with its 95% intervals: on these tasks and on other tasks of the "
        "family. P is the probability that a seed of the line beats one of the column on the same task."
    )
    names = [summary.row.method for summary in analysis.methods]
    return _matrix(analysis, "pairs", "Differences between methods", note, names, analysis.comparisons)


def given(analysis: Analysis) -> Table | None:
    """The same with context from the data; nothing where fewer than two methods were tested with it."""
    note = (
        "Line minus column when every method reads the same stored context: what encoder, critic, actor and the "
        "actor’s constraint are worth once exploration is taken out, with 95% intervals: on these tasks and on other "
        "tasks of the family."
    )
    names = list(dict.fromkeys(a for a, _ in analysis.given))
    return _matrix(analysis, "given", "Differences with context from the data", note, names, analysis.given)


def alike(analysis: Analysis) -> Table | None:
    """One line per two methods that were tested with one collector; nothing where no two were."""
    if not analysis.alike:
        return None
    digits = analysis.digits
    rows = []
    for row, item in sorted(analysis.alike, key=lambda pair: str(pair[0].evaluation.collector)):
        collector = row.evaluation.collector
        label = Cell(str(collector.get("part", NONE)).rpartition(".")[2], arguments(collector))
        rows.append([label, Cell(item.a, method=item.a), Cell(item.b, method=item.b), difference_cell(item, digits)])
    return Table(
        name=f"{analysis.family.name}_alike",
        title="Two methods under one collector",
        note="The first minus the second where both collect alike, which one of them at least does not by itself: what "
        "is left of their difference without the collector’s share. P is the probability that a seed of the first "
        "beats one of the second on the same task. Small print: 95% intervals, on these tasks and on other tasks of "
        f"the family. Bold: the interval on these tasks excludes zero. {FEW}",
        head=["Collector", "First", "Second", "Difference"],
        rows=rows,
        words=3,
    )


def tasks(analysis: Analysis) -> Table | None:
    """Every method on every task, and the difference between the best two; nothing where there is one task."""
    rows = [summary.row for summary in analysis.methods]
    ids = rows[0].evaluation.tasks
    rows = [row for row in rows if row.evaluation.tasks == ids]
    axis = axis_of(analysis)
    places = axis.values if axis else np.arange(len(ids))
    digits = analysis.digits
    first = next(iter(analysis.verdicts), None)
    pair = first if first and first.effect else None
    lines = []
    for i in np.argsort(places, kind="stable"):
        cells = [Cell(str(ids[i])), *([Cell(f"{places[i]:.3g}")] if axis else [])]
        for row in rows:
            scores = row.scores[:, i, -1]
            std = f"± {number(float(scores.std(ddof=1)), digits)}" if len(scores) > 1 else ""
            cells.append(Cell(number(float(scores.mean()), digits), std))
        cells += [_task_difference(pair, i, digits)] if pair else []
        lines.append(cells)
    if len(lines) < 2:
        return None
    return Table(
        name=f"{analysis.family.name}_tasks",
        title="Task by task",
        note="After all of the context; small print: one standard deviation over seeds"
        + (", and for differences the 95% interval over seeds. " if pair else ". ")
        + (f"The tasks stand in the order of: {axis.name}." if axis else ""),
        head=[
            "Task",
            *(["Parameter"] if axis else []),
            *(r.method for r in rows),
            *([f"{pair.a} − {pair.b}"] if pair else []),
        ],
        rows=lines,
        words=1,
    )


def _matrix(
    analysis: Analysis,
    name: str,
    title: str,
    note: str,
    methods: Sequence[str],
    comparisons: Mapping[tuple[str, str], PairComparison],
) -> Table | None:
    if len(methods) < 2:
        return None
    digits = analysis.digits

    def cell(a: str, b: str) -> Cell:
        return Cell("·") if a == b else difference_cell(comparisons[a, b], digits)

    return Table(
        name=f"{analysis.family.name}_{name}",
        title=title,
        note=f"{note} Bold: the interval on these tasks excludes zero. {FEW}",
        head=["Method", *(f"− {b}" for b in methods)],
        rows=[[Cell(a, method=a), *(cell(a, b) for b in methods)] for a in methods],
    )


def _task_difference(pair: PairComparison, task: int, digits: int) -> Cell:
    values = pair.differences[:, task]
    ends = these_tasks(values)
    return Cell(number(float(values.mean()), digits, sign=True), interval(ends, digits, sign=True) if ends else "")
