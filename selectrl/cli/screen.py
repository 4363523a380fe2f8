"""What the commands print: results on stdout, progress and errors on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from selectrl.errors import printable

Show: TypeAlias = "Bars"


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
    """Print a table on stdout, folded to the terminal's width."""
    grid = Table(box=None, padding=(0, 2, 0, 0))
    for column in columns:
        grid.add_column(column, overflow="fold")
    for row in rows:
        grid.add_row(*map(printable, row))  # cells may come from files
    console = Console(highlight=False, markup=False)
    if title:
        console.print(printable(title), style="bold", soft_wrap=True)
    console.print(grid)


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
