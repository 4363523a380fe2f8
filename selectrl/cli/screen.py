"""Output of the commands: results on stdout, progress and errors on stderr.

Rich draws progress bars and help, and is imported only for them: a command that lists things does not wait for it.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import zip_longest
from textwrap import wrap
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

from selectrl.cli.stdio import discard, open_output, result_stream
from selectrl.errors import printable

GAP = 2  # blanks between two columns of a table
NARROWEST, WIDEST = 20, 500  # columns: the limits of a line
COUNT = "[1-9][0-9]{0,3}"  # of columns and lines


def clip_width(width: int) -> int:
    """Return a width within the limits, whatever a terminal and its environment report."""
    return min(max(width, NARROWEST), WIDEST)


def result_width() -> int:
    """Return the columns of a result: those of COLUMNS, else of the terminal that it goes to, else 80."""
    with suppress(ValueError):
        if (width := int(os.environ.get("COLUMNS", ""))) > 0:
            return clip_width(width)
    with suppress(OSError):  # not a file, or not a terminal
        return clip_width(os.get_terminal_size(result_stream().fileno()).columns)
    return 80


def console(*, stderr: bool = False) -> Console:
    """Return a console of Rich within these limits that prints plain text: brackets are not markup."""
    from rich.console import Console, ConsoleDimensions

    class LimitedConsole(Console):
        """A console with a limited width, whose failures are raised as ``OutputError``."""

        @property  # type: ignore[misc]  # nobody sets it
        def size(self) -> ConsoleDimensions:
            """Columns and lines."""
            return ConsoleDimensions(clip_width(super().size.width), super().size.height)

        def print(self, *objects: Any, **options: Any) -> None:
            """Print as Rich does."""
            with open_output():
                super().print(*objects, **options)

    sizes = ("COLUMNS", "LINES")  # Rich fails on some values of these
    environment = {name: text for name, text in os.environ.items() if name not in sizes or re.fullmatch(COUNT, text)}
    file = None if stderr else result_stream()
    return LimitedConsole(file=file, stderr=stderr, markup=False, emoji=False, highlight=False, _environ=environment)


def print_progress(text: str) -> None:
    """Print a line on stderr; the work continues even if stderr is closed."""
    try:
        print(printable(text), file=sys.stderr, flush=True)  # noqa: T201
    except OSError:
        discard(sys.stderr)


def say(sentence: str) -> None:
    """Print one sentence on stderr."""
    print_progress(f"selectrl: {' '.join(sentence.splitlines())}")


def emit(value: Any) -> None:
    """Print one JSON object on stdout."""
    line(json.dumps(value, indent=2, allow_nan=False))


def line(text: str = "") -> None:
    """Print a line of a result on stdout."""
    with open_output() as stream:
        print(text, file=stream)


def table(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table on stdout; its widest columns are folded until it fits the terminal."""
    rows = [[printable(cell) for cell in row] for row in rows]  # cells may come from files
    width = result_width()
    widths = [max(1, *map(len, column)) for column in zip(heads, *rows, strict=True)]
    while sum(widths) + GAP * (len(widths) - 1) > width and max(widths) > 1:
        widths[widths.index(max(widths))] -= 1
    bold = "\033[1m{}\033[0m" if result_stream().isatty() else "{}"
    if title:
        line(bold.format(printable(title)))
    for row in [heads, *rows] if any(heads) else rows:
        folded = [wrap(cell, width) for cell, width in zip(row, widths, strict=True)]
        for parts in zip_longest(*folded, fillvalue=""):
            text = (" " * GAP).join(part.ljust(width) for part, width in zip(parts, widths, strict=True)).rstrip()
            line(bold.format(text) if row is heads else text)


class Bars:
    """Draws a progress bar per job, with rate, time left and newest value; plain lines if stderr is not a terminal."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._bars: dict[str, TaskID] = {}

    def update(self, job: str, done: int, total: int, note: str = "", *, tell: bool = False) -> None:
        """Show the progress of a job.

        Args:
            job: its name.
            done: steps done.
            total: steps in all.
            note: rate and newest value.
            tell: print a line where there is no terminal.
        """
        job, note = printable(job), printable(note)
        if self._progress is None:
            if tell:
                print_progress(f"{job}: {done}/{total} {note}")
            return
        if job not in self._bars:
            self._bars[job] = self._progress.add_task(job, total=total, note="")
        self._progress.update(self._bars[job], completed=done, total=total, note=note)


@contextmanager
def draw_bars() -> Iterator[Bars]:
    """Draw progress bars on stderr inside the block."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    screen = console(stderr=True)
    if not screen.is_terminal:
        yield Bars(None)
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=16),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    with Progress(*columns, console=screen) as progress:
        yield Bars(progress)
