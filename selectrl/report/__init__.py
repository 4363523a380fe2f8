"""Reports: from finished runs on disk to one page, with every figure and number as files."""

from __future__ import annotations

TYPE_CHECKING = False  # typing is not imported: a command handles no signals yet
if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from selectrl.report.records import Report

__all__ = ["Report", "build_report"]


def build_report(runs: Sequence[Path], out: Path, *, export: Path | None = None, last: int = 3) -> Report:
    """Read finished runs and write a report on them.

    Written are ``out/index.html`` (self-contained: no network, no script), ``out/figures/`` (every figure as PNG, PDF
    and SVG, its numbers as CSV), ``out/tables/`` (every table as LaTeX and Markdown), ``out/report.json``,
    ``out/results.csv`` and ``out/differences.csv``. The same runs give the same files.

    Args:
        runs: run directories, or folders above them. Runs that are half-finished, damaged or cannot be read are left
            out and listed.
        out: folder to write to; it is made where it is missing, and files of an earlier report are replaced.
        export: new or empty folder for a copy of the records, without weights and data.
        last: number of tests at the end of training whose mean return is reported next to the last one's.

    Returns:
        The path of the page, and what could not be used of the runs.

    Raises:
        InputError: ``last`` is below 2, a path holds no run, no run is finished, ``export`` is not empty, something
            that it needs cannot be read, or a folder cannot be written to.
    """
    from selectrl.report.build import build  # matplotlib is slow to import and needed only now

    return build(runs, out, export, last)
