"""The files of a report next to the page: every figure in three formats, its numbers, and the tables as data."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import attrs

from selectrl.files import write_atomically, write_json
from selectrl.report.analysis.analyse import Analysis, Summary
from selectrl.report.analysis.comparison import PairComparison
from selectrl.report.analysis.metrics import Metric
from selectrl.report.analysis.notes import notes
from selectrl.report.analysis.sentences import details, order, verdict
from selectrl.report.figures.drawing import Drawing, compose
from selectrl.report.figures.ink import FORMATS, render, settle
from selectrl.report.figures.style import Mark
from selectrl.report.pages.table import Table, latex, markdown
from selectrl.report.records import Omission
from selectrl.version import __version__

SCHEMA = 2
FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n")
"""Text that begins so would be carried out by a spreadsheet; an apostrophe before it makes it text there."""


def write_figure(drawing: Drawing, marks: Mapping[str, Mark], folder: Path) -> None:
    """Write a figure as PNG, PDF and SVG, and its numbers as CSV."""
    figure = compose(drawing, marks)
    settle(figure)
    for kind in FORMATS:
        _write(folder / f"{drawing.name}.{kind}", render(figure, kind))
    write_csv(folder / f"{drawing.name}.csv", drawing.columns, drawing.data)


def write_table(table: Table, folder: Path) -> None:
    """Write a table as LaTeX and as Markdown."""
    for kind, written in (("tex", latex), ("md", markdown)):
        write_text(folder / f"{table.name}.{kind}", written(table))


def write_csv(path: Path, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Write a table as CSV (UTF-8, RFC 4180); a missing value is an empty field."""
    buffer = StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows([map(_cell, row) for row in rows])
    _write(path, buffer.getvalue().encode("utf-8", "replace"))


def _cell(value: Any) -> Any:
    """Return a value as a field: nothing is empty, numbers of a list stand in a row, and text is never a formula."""
    if isinstance(value, list | tuple):
        joined = " ".join(map(str, value))
        return _cell(joined) if any(isinstance(item, str) for item in value) else joined
    if isinstance(value, str):
        return f"'{value}" if value.startswith(FORMULAS) else value
    return "" if value is None else value


def write_text(path: Path, text: str) -> None:
    """Write a text file."""
    _write(path, text.encode("utf-8", "replace"))


def write_numbers(analyses: Sequence[Analysis], omissions: Sequence[Omission], out: Path) -> None:
    """Write ``report.json`` (numbers and sentences), ``results.csv`` (one line per row) and ``differences.csv``."""
    rows = [
        {"env": analysis.family.env, **numbers(summary, analysis.metrics)}
        for analysis in analyses
        for summary in analysis.summaries
    ]
    columns = list(rows[0])
    write_csv(out / "results.csv", columns, [[row[name] for name in columns] for row in rows])
    paired = [
        (analysis.family.env, analysis.family.protocol, verdict.a, verdict.b, seed, task, float(value))
        for analysis in analyses
        for verdict in analysis.verdicts
        for seed, values in zip(verdict.seeds or [None], verdict.differences, strict=False)
        for task, value in zip(verdict.tasks, values, strict=True)
    ]
    write_csv(out / "differences.csv", ("env", "protocol", "a", "b", "seed", "task", "a_minus_b"), paired)
    report = {
        "schema": SCHEMA,
        "made_by": f"selectrl {__version__}",
        "environments": [_environment(analysis) for analysis in analyses],
        "left_out": [omission.record() for omission in omissions],
    }
    write_json(out / "report.json", report)


def _environment(analysis: Analysis) -> Mapping[str, Any]:
    digits = analysis.digits
    return {
        "env": analysis.family.env,
        "protocol": analysis.family.protocol,
        "order": order(analysis),
        "verdicts": [
            f"{verdict(comparison, digits)} {details(comparison)}".strip() for comparison in analysis.verdicts
        ],
        "notes": notes(analysis),
        "rows": [numbers(summary, analysis.metrics) for summary in analysis.summaries],
        "comparisons": [_comparison(comparison) for comparison in analysis.comparisons.values()],
        "comparisons_with_context_from_data": [_comparison(value) for value in analysis.given.values()],
        "comparisons_under_one_collector": [
            {"collector": row.evaluation.collector, **_comparison(item)} for row, item in analysis.alike
        ],
        "runs": [
            {
                "path": str(run.path),
                "method": run.method,
                "seed": run.seed,
                "execution": run.execution.to_json() if run.execution else {},
            }
            for run in dict.fromkeys(run for row in analysis.family.rows for run in row.runs)
        ],
    }


def _comparison(comparison: PairComparison) -> Mapping[str, Any]:
    compared = comparison.effect is not None
    return {
        "a": comparison.a,
        "b": comparison.b,
        "difference": attrs.asdict(comparison.effect) if comparison.effect else None,
        "reason": comparison.reason,
        "margin": comparison.margin,
        "equal_within_margin": comparison.is_equal if compared else None,
        "improvement": comparison.improvement if compared else None,
        "improvement_interval": comparison.improvement_interval,
        "by_task": dict(zip(map(str, comparison.tasks), comparison.differences.mean(axis=0).tolist(), strict=True))
        if compared
        else {},
    }


def numbers(summary: Summary, metrics: Sequence[Metric]) -> Mapping[str, Any]:
    """Return one summary as plain data."""
    evaluation = summary.row.evaluation
    return {
        "method": summary.row.method,
        "collector": summary.row.label,
        "own": summary.row.own,
        "seeds": list(summary.row.seeds),
        "tasks": len(evaluation.tasks),
        "repeats": evaluation.repeats,
        **evaluation.settings,
        **dict(field for metric in metrics for field in metric.fields(summary.get(metric))),
    }


def _write(path: Path, content: bytes) -> None:
    write_atomically(path, lambda temporary: temporary.write_bytes(content))
