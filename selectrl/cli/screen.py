"""What the commands print: results on stdout, progress and errors on stderr.

Rich draws the progress bars and is imported for them alone: a command that lists things does not wait for it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import zip_longest
from shutil import get_terminal_size
from textwrap import wrap
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

from selectrl.errors import printable

GAP = 2  # blanks between two columns of a table


def say(sentence: str) -> None:
    """Print one sentence on stderr."""
    print(f"selectrl: {printable(' '.join(sentence.splitlines()))}", file=sys.stderr)  # noqa: T201


def emit(value: Any) -> None:
    """Print one JSON object on stdout."""
    print(json.dumps(value, indent=2, allow_nan=False))  # noqa: T201


def line(text: str = "") -> None:
    """Print a line of a result on stdout."""
    print(text)  # noqa: T201


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table on stdout; its widest columns are folded until it is as narrow as the terminal."""
    rows = [[printable(cell) for cell in row] for row in rows]  # cells may come from files
    widths = [max(1, *map(len, column)) for column in zip(columns, *rows, strict=True)]
    while sum(widths) + GAP * (len(widths) - 1) > get_terminal_size().columns and max(widths) > 1:
        widths[widths.index(max(widths))] -= 1
    bold = "\033[1m{}\033[0m" if sys.stdout.isatty() else "{}"
    if title:
        line(bold.format(printable(title)))
    for row in [columns, *rows] if any(columns) else rows:
        folded = [wrap(cell, width) for cell, width in zip(row, widths, strict=True)]
        for parts in zip_longest(*folded, fillvalue=""):
            text = (" " * GAP).join(part.ljust(width) for part, width in zip(parts, widths, strict=True)).rstrip()
            line(bold.format(text) if row is columns else text)


class Bars:
    """One progress bar per job, with rate, time left and the newest figure; plain lines when stderr is no terminal."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._bars: dict[str, TaskID] = {}

    def update(self, job: str, done: int, total: int, note: str = "", *, tell: bool = False) -> None:
        """Show where a job is.

        Args:
            job: its name.
            done: steps done.
            total: steps in all.
            note: rate and newest figure.
            tell: print a line when there is no terminal to draw on.
        """
        if self._progress is None:
            if tell:
                print(f"{job}: {done}/{total} {note}", file=sys.stderr, flush=True)  # noqa: T201
            return
        if job not in self._bars:
            self._bars[job] = self._progress.add_task(job, total=total, note="")
        self._progress.update(self._bars[job], completed=done, total=total, note=note)


@contextmanager
def bars() -> Iterator[Bars]:
    """Draw progress bars on stderr inside the block."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield Bars(None)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=16),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console) as progress:
        yield Bars(progress)
