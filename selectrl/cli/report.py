"""``selectrl report``: a page from what is on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from selectrl.cli.options import Json
from selectrl.cli.screen import emit, line
from selectrl.errors import InputError


def report(
    *runs: Annotated[Path, Parameter(help="Run directories, or folders above them.")],
    out: Annotated[Path, Parameter(help="Folder of the report.")] = Path("report"),
    export: Annotated[
        Path | None, Parameter(help="Also copy what a report reads, without weights and data, to this new folder.")
    ] = None,
    json: Json = False,
) -> None:
    """Write one HTML page from the runs on disk, with every figure and table as files.

    Figures are PNG, PDF, SVG and CSV, tables LaTeX and Markdown. Half-finished and
    damaged runs are left out and named.

    A report on an exported folder is the same report.
    """
    if not runs:
        raise InputError("no run given; for example `selectrl report runs/point_robot`")
    from selectrl.report import build_report

    page = build_report(runs, out, export=export)
    if json:
        emit({"page": str(page), "export": None if export is None else str(export)})
        return
    line(f"Open {page}")
