"""What a report leaves on disk besides the page: every figure in three formats, its numbers, and the tables as data."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import attrs

from selectrl.files import write_atomically, write_json
from selectrl.report.analyse import Analysis, Comparison, Summary
from selectrl.report.drawing import Drawing, compose
from selectrl.report.ink import FORMATS, render, settle
from selectrl.report.records import Omission
from selectrl.report.style import Mark
from selectrl.report.table import Table, latex, markdown
from selectrl.report.words import beside, digits_for, notes, order, verdict
from selectrl.version import __version__

SCHEMA = 1
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
    rows = [{"env": analysis.family.env, **numbers(one)} for analysis in analyses for one in analysis.summaries]
    columns = list(rows[0])
    write_csv(out / "results.csv", columns, [[row[name] for name in columns] for row in rows])
    paired = [
        (analysis.family.env, analysis.family.protocol, one.a, one.b, seed, task, float(value))
        for analysis in analyses
        for one in analysis.verdicts
        for seed, values in zip(one.seeds or [None], one.differences, strict=False)
        for task, value in zip(one.tasks, values, strict=True)
    ]
    write_csv(out / "differences.csv", ("env", "protocol", "a", "b", "seed", "task", "a_minus_b"), paired)
    report = {
        "schema": SCHEMA,
        "made_by": f"selectrl {__version__}",
        "environments": [_environment(analysis) for analysis in analyses],
        "left_out": [one.record() for one in omissions],
    }
    write_json(out / "report.json", report)


def _environment(analysis: Analysis) -> Mapping[str, Any]:
    digits = digits_for(one.mean for one in analysis.methods)
    return {
        "env": analysis.family.env,
        "protocol": analysis.family.protocol,
        "order": order(analysis),
        "verdicts": [f"{verdict(one, digits)} {beside(one)}".strip() for one in analysis.verdicts],
        "notes": notes(analysis),
        "rows": [numbers(one) for one in analysis.summaries],
        "comparisons": [_comparison(one) for one in analysis.comparisons.values()],
        "comparisons_with_context_from_data": [_comparison(one) for one in analysis.given.values()],
        "comparisons_under_one_collector": [
            {"collector": row.evaluation.collector, **_comparison(one)} for row, one in analysis.alike
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


def _comparison(one: Comparison) -> Mapping[str, Any]:
    compared = one.effect is not None
    return {
        "a": one.a,
        "b": one.b,
        "difference": attrs.asdict(one.effect) if one.effect else None,
        "reason": one.reason,
        "improvement": one.improvement if compared else None,
        "improvement_interval": one.improvement_interval,
        "by_task": dict(zip(map(str, one.tasks), one.differences.mean(axis=0).tolist(), strict=True))
        if compared
        else {},
    }


def numbers(one: Summary) -> Mapping[str, Any]:
    """Return one summary as plain data."""
    evaluation = one.row.evaluation
    return {
        "method": one.row.method,
        "collector": one.row.label,
        "own": one.row.own,
        "seeds": list(one.row.seeds),
        "tasks": len(evaluation.tasks),
        "repeats": evaluation.repeats,
        **evaluation.settings,
        "mean": one.mean,
        "mean_interval": one.mean_interval,
        "std": one.std,
        "iqm": one.iqm,
        "iqm_interval": one.iqm_interval,
        "context_free": one.context_free,
        "gain": one.gain.value,
        "gain_interval": one.gain.interval,
        "area": one.area,
        "area_interval": one.area_interval,
        "end_slope": one.tail.value if one.tail else None,
        "end_slope_interval": one.tail.interval if one.tail else None,
        "offline": one.offline,
        "gap": one.gap.value if one.gap else None,
        "gap_interval": one.gap.interval if one.gap else None,
        "against_own": one.against_own.value if one.against_own else None,
        "against_own_interval": one.against_own.interval if one.against_own else None,
    }


def _write(path: Path, content: bytes) -> None:
    write_atomically(path, lambda temporary: temporary.write_bytes(content))
