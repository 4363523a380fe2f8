"""Tables of methods: one line per method, or per method and collector, and a column per metric that declares one."""

from __future__ import annotations

from collections.abc import Callable

from selectrl.report.analysis.analyse import Analysis
from selectrl.report.analysis.formats import digits_for, short
from selectrl.report.analysis.group import arguments
from selectrl.report.analysis.metrics import AGAINST_OWN, MEAN, OFFLINE, STD
from selectrl.report.pages.cells import FEW, estimate_cell, shown_metrics
from selectrl.report.pages.pair_tables import alike, given, pairs, tasks
from selectrl.report.pages.run_tables import cost, differs, donors, last_tests
from selectrl.report.pages.table import Cell, Table
from selectrl.report.records import Row


def tables(analysis: Analysis) -> dict[str, Table]:
    """Return every table of one environment for which there are data, by name."""
    makers: dict[str, Callable[[Analysis], Table | None]] = {
        "results": results,
        "pairs": pairs,
        "tasks": tasks,
        "given": given,
        "collectors": collectors,
        "alike": alike,
        "donors": donors,
        "tests": last_tests,
        "cost": cost,
        "differs": differs,
    }
    by_name = {name: make(analysis) for name, make in makers.items()}
    return {name: table for name, table in by_name.items() if table is not None}


def results(analysis: Analysis) -> Table:
    """One line per method under its own collector."""
    shown = shown_metrics(analysis, "results", analysis.methods)
    rows = [
        [
            Cell(summary.row.method, method=summary.row.method, strong=summary.row.method in analysis.unbeaten),
            Cell(str(len(summary.row.seeds))),
            *(estimate_cell(summary, metric, analysis.digits) for metric in shown),
        ]
        for summary in analysis.methods
    ]
    note = (
        "After all of the context. Small print: 95% intervals, on these tasks and on other tasks of the family; IQM "
        f"and area have the first alone. {FEW} Bold: not shown to be below any other method. The gain is the return "
        "with all of the context minus the return without any, paired by seed and task."
        + " “From data” is the return with context from the test tasks’ own data; the gap is it minus the mean."
        * (OFFLINE in shown)
    )
    return Table(
        name=f"{analysis.family.name}_results",
        title="Results",
        note=note,
        head=["Method", "Seeds", *(metric.title for metric in shown)],
        rows=rows,
    )


def collectors(analysis: Analysis) -> Table | None:
    """One line per method and collector; nothing where each method has only its own."""
    if len(analysis.summaries) == len(analysis.methods):
        return None
    digits = digits_for(summary.mean for summary in analysis.summaries)
    place = {summary.row.method: i for i, summary in enumerate(analysis.methods)}
    shown = shown_metrics(analysis, "collectors", analysis.summaries, first=(MEAN, STD, AGAINST_OWN))
    rows = [
        [
            Cell(summary.row.method, method=summary.row.method),
            Cell(summary.row.label + (", own" if summary.row.own else ""), _collection(summary.row)),
            *(estimate_cell(summary, metric, digits) for metric in shown),
        ]
        for summary in sorted(
            analysis.summaries, key=lambda test: (place[test.row.method], not test.row.own, test.row.label)
        )
    ]
    return Table(
        name=f"{analysis.family.name}_collectors",
        title="The same policy under other collectors",
        note="One trained policy, tested with context from each collector; “against own” is the difference that the "
        "collector alone makes, paired by seed and task. Small print: 95% intervals, on these tasks and on other tasks "
        f"of the family. {FEW} Data of the test tasks are read by “offline” only.",
        head=["Method", "Collector", *(metric.title for metric in shown)],
        rows=rows,
        words=2,
    )


def _collection(row: Row) -> str:
    """Return the bindings of a row's collector, and data and source code where these are not the training's."""
    data, code = row.evaluation.other_data, row.evaluation.other_code
    others = [f"on other data, fingerprint {short(data)}"] if data else []
    others += [f"with other source code of {code} than it was trained with"] if code else []
    return ", ".join(text for text in (arguments(row.evaluation.collector), *others) if text)
