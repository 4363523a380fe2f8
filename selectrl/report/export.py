"""What a report leaves on disk besides the page: every figure in three formats, its numbers, and the tables as data."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import attrs

from selectrl.files import write_atomically, write_json
from selectrl.report.analyse import Analysis, Summary
from selectrl.report.figures import Drawing
from selectrl.report.ink import FORMATS, render, settle
from selectrl.report.records import Omission
from selectrl.report.words import notes, order
from selectrl.version import __version__

SCHEMA = 1


def write_figure(drawing: Drawing, folder: Path) -> bytes:
    """Write a figure as PNG, PDF and SVG and its numbers as CSV; return the SVG."""
    settle(drawing.figure)
    made = {kind: render(drawing.figure, kind) for kind in FORMATS}
    for kind, content in made.items():
        _write(folder / f"{drawing.name}.{kind}", content)
    write_csv(folder / f"{drawing.name}.csv", drawing.columns, drawing.data)
    return made["svg"]


def write_csv(path: Path, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Write a table as CSV (UTF-8, RFC 4180); a missing value is an empty field."""
    buffer = StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows([["" if cell is None else cell for cell in row] for row in rows])
    _write(path, buffer.getvalue().encode("utf-8"))


def write_text(path: Path, text: str) -> None:
    """Write a text file."""
    _write(path, text.encode("utf-8", "replace"))


def write_numbers(analyses: Sequence[Analysis], omissions: Sequence[Omission], out: Path) -> None:
    """Write ``report.json`` (all that the page says) and ``results.csv`` (one line per row of the tables)."""
    rows = [{"env": analysis.family.env, **numbers(one)} for analysis in analyses for one in analysis.summaries]
    columns = list(rows[0])
    write_csv(out / "results.csv", columns, [[_flat(row[name]) for name in columns] for row in rows])
    report = {
        "schema": SCHEMA,
        "made_by": f"selectrl {__version__}",
        "environments": [
            {
                "env": analysis.family.env,
                "order": order(analysis),
                "notes": notes(analysis),
                "rows": [numbers(one) for one in analysis.summaries],
                "comparisons": [
                    {"a": c.a, "b": c.b, "difference": attrs.asdict(c.effect) if c.effect else None, "reason": c.reason}
                    for c in analysis.comparisons.values()
                ],
                "runs": [
                    {"path": str(run.path), "method": run.method, "seed": run.seed, "execution": run.execution}
                    for run in dict.fromkeys(run for row in analysis.family.rows for run in row.runs)
                ],
            }
            for analysis in analyses
        ],
        "left_out": [{"path": str(one.path), "reason": one.reason} for one in omissions],
    }
    write_json(out / "report.json", report)


def numbers(one: Summary) -> Mapping[str, Any]:
    """Return one summary as plain data."""
    evaluation = one.row.evaluation
    return {
        "method": one.row.method,
        "collector": one.row.label,
        "own": one.row.own,
        "seeds": list(one.row.seeds),
        "tasks": len(evaluation.tasks),
        "repeats": evaluation.returns.shape[1],
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
        "offline": one.offline,
        "gap": one.gap.value if one.gap else None,
        "gap_interval": one.gap.interval if one.gap else None,
    }


def _flat(value: Any) -> Any:
    """Return lists and intervals as one CSV field."""
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else value


def _write(path: Path, content: bytes) -> None:
    write_atomically(path, lambda temporary: temporary.write_bytes(content))
