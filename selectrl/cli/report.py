"""``selectrl report``: a page from what is on disk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

import selectrl
from selectrl.cli.options import Json
from selectrl.cli.screen import emit, line, say

if TYPE_CHECKING:
    from selectrl.report import Report


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
    written = selectrl.report(*runs, out=out, export=export)
    tell_left_out(written)
    if json:
        copy = None if export is None else str(export)
        emit({"page": str(written.page), "export": copy, "left_out": [one.record() for one in written.left_out]})
        return
    line(f"Open {written.page}")


def tell_left_out(report: Report) -> None:
    """Print one sentence on stderr for each run, file or folder that a report could not use."""
    for one in report.left_out:
        say(f"left out of the report: {one.name}: {one.reason}")
