"""Tables of runs: costs, data read, and the bindings in which they differ."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np

from selectrl.report.analysis.analyse import Analysis
from selectrl.report.analysis.formats import clock, count, distinct, number
from selectrl.report.analysis.group import flatten, plain
from selectrl.report.pages.cells import FEW, estimate_cell, shown_metrics
from selectrl.report.pages.table import NONE, Cell, Table
from selectrl.report.records import LoadedRun, Row
from selectrl.runs.reading import is_usable


def donors(analysis: Analysis) -> Table | None:
    """The table of the donor swap: how far z follows a donor's states and actions; None if it was not measured."""
    rows = []
    for summary in analysis.methods:
        values = [run.diagnostics.follow for run in summary.row.runs if run.diagnostics]
        follows = np.array([value for value in values if value is not None])
        if len(follows):
            std = f"± {follows.std(ddof=1):.2f}" if len(follows) > 1 else ""
            cells = [
                Cell(summary.row.method, method=summary.row.method),
                Cell(f"{number(float(follows.mean()), 2)}", std),
            ]
            rows.append([*cells, Cell(str(len(follows)))])
    if not rows:
        return None
    return Table(
        name=f"{analysis.family.name}_donors",
        title="What the task variable reads: rewards, or who collected",
        note="Contexts with another task’s states and actions and the true task’s rewards. 0: z stays where the "
        "rewards say; 1: z goes where the donor’s states and actions say, which is the shift that exploration runs "
        "into. Small print: one standard deviation over seeds.",
        head=["Method", "z follows the donor by", "Seeds"],
        rows=rows,
    )


def last_tests(analysis: Analysis) -> Table | None:
    """The end of each method's learning curve; nothing where none has enough tests in training."""
    shown = shown_metrics(analysis, "tests", analysis.methods)
    if not any(summary.get(metric) for summary in analysis.methods for metric in shown):
        return None
    return Table(
        name=f"{analysis.family.name}_tests",
        title="Tests in training",
        note="Means over seeds of the tests in training, which may have fewer repeats than the final evaluation of the "
        "other tables. Small print: 95% intervals on these tasks. The mean of several last tests depends less on the "
        "step at which training ended than the last test. The end slope is the change of the return per 1,000 steps in "
        "the last fifth of training, over three tests at least; where its interval excludes zero, the return was still "
        f"changing. {FEW}",
        head=["Method", *(metric.title for metric in shown)],
        rows=[
            [
                Cell(summary.row.method, method=summary.row.method),
                *(estimate_cell(summary, metric, analysis.digits) for metric in shown),
            ]
            for summary in analysis.methods
        ],
    )


def cost(analysis: Analysis) -> Table:
    """The table of costs by method."""
    rows = []
    for summary in analysis.methods:
        runs = summary.row.runs
        speeds = [run.speed for run in runs if run.speed is not None]
        recorded = [run.execution for run in runs if run.execution]
        memory = _mean([execution.peak_rss_mib for execution in recorded], len(runs))
        spent = summary.row.evaluation.env_steps
        cells = [
            f"{runs[0].steps:,}" if runs[0].steps else NONE,
            f"{runs[0].pretraining:,}",
            f"{sum(speeds) / len(speeds):,.1f}" if speeds else NONE,
            clock(_mean([execution.wall_seconds for execution in recorded], len(runs))),
            f"{memory:,.0f}" if memory is not None else NONE,
            f"{spent['collection']:,}" if "collection" in spent else NONE,
            f"{spent['scored']:,}" if "scored" in spent else NONE,
            distinct(_machine(run) for run in runs),
        ]
        rows.append([Cell(summary.row.method, method=summary.row.method), *map(Cell, cells)])
    head = ["Method", "Training steps", "Steps before", "Steps per second", "Time per seed"]
    return Table(
        name=f"{analysis.family.name}_cost",
        title="Cost",
        note="Means over seeds. Environment steps at test are those of one task and one repeat.",
        head=[*head, "Peak memory, MiB", "Collected at test", "Scored at test", "Machine"],
        rows=rows,
    )


def differs(analysis: Analysis) -> Table | None:
    """The table of bindings that methods do not share, from the record of fairness; None without a record."""
    fair = next((run.fairness for summary in analysis.methods for run in summary.row.runs if run.fairness), None)
    if fair is None or not fair.differs:
        return None
    names = list(dict.fromkeys(name for difference in fair.differs for name in difference.values))
    lines = [
        [
            Cell(difference.what, code=True),
            *(Cell(plain(difference.values[n]) if n in difference.values else NONE, code=True) for n in names),
        ]
        for difference in fair.differs
    ]
    return Table(
        name=f"{analysis.family.name}_differs",
        title="What differs between the methods",
        note="Bindings and settings that the methods of this comparison do not share.",
        head=["What", *names],
        rows=lines,
        words=len(names) + 1,
    )


def bindings(rows: Sequence[Row]) -> Table:
    """Every binding of every method, those first in which methods differ."""
    columns = [dict(flatten(row.runs[0].experiment)) for row in rows]
    paths = sorted({path for column in columns for path in column})

    def differ(path: str) -> bool:
        return len({json.dumps(column.get(path, NONE), default=str) for column in columns}) > 1

    ordered = sorted(paths, key=lambda path: (not differ(path), path))
    return Table(
        name="bindings",
        title="Bindings of every method",
        note="",
        head=["Binding", *(row.method for row in rows)],
        rows=[
            [Cell(path, code=True), *(Cell(plain(c[path]) if path in c else NONE, code=True) for c in columns)]
            for path in ordered
        ],
        words=len(rows) + 1,
        lit=frozenset(i for i, path in enumerate(ordered) if differ(path)),
    )


def _machine(run: LoadedRun) -> str:
    return f"{run.execution.device}, {count(run.execution.threads, 'thread')}" if run.execution else NONE


def _mean(values: Sequence[float], runs: int) -> float | None:
    """Return the mean of a value that every run recorded, None if a run lacks it or a number is too large."""
    return sum(values) / runs if len(values) == runs and all(map(is_usable, values)) else None
