"""``selectrl report``: write a page from the runs on disk."""

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
        Path | None,
        Parameter(help="Also copy the files that a report reads, without weights and data, to this new folder."),
    ] = None,
    last: Annotated[
        int, Parameter(help="Number of last tests in training whose mean return is reported next to the final one.")
    ] = 3,
    json: Json = False,
) -> None:
    """Write one HTML page from the runs on disk, with every figure and table as files.

    Figures are PNG, PDF, SVG and CSV, tables LaTeX and Markdown. Unfinished and damaged
    runs are left out and named.

    A report on an exported folder has the same content.
    """
    written = selectrl.report(*runs, out=out, export=export, last=last)
    print_omissions(written)
    if json:
        copy = None if export is None else str(export)
        emit(
            {
                "page": str(written.page),
                "export": copy,
                "left_out": [omission.record() for omission in written.left_out],
            }
        )
        return
    line(f"Open {written.page}")


def print_omissions(report: Report) -> None:
    """Print one sentence on stderr for each run, file or folder that a report does not use."""
    for omission in report.left_out:
        say(f"left out of the report: {omission.name}: {omission.reason}")
