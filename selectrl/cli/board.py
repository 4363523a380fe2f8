"""A live table of runs on stderr; plain lines where stderr is not a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import attrs
from rich.live import Live
from rich.table import Table

from selectrl.cli.screen import console, print_progress
from selectrl.launch.job import Event, Job

COLOURS = {"queued": "dim", "running": "cyan", "done": "green", "failed": "red", "lost": "red"}


@attrs.define
class BoardLine:
    """The entry of one run on the board."""

    state: str = "queued"
    step: str = ""
    rate: str = ""
    newest: str = ""


class Board:
    """Shows one line per run: its state, step, speed and newest return on unseen tasks.

    Args:
        jobs: the runs.
        live: the display to update; ``None`` prints plain lines.
    """

    def __init__(self, jobs: Sequence[Job], live: Live | None) -> None:
        self._lines = {job.folder: BoardLine() for job in jobs}
        self._names = {job.folder: f"{job.experiment.env_name} {job.name}" for job in jobs}
        self._live = live

    def show(self, event: Event) -> None:
        """Show an event of a run."""
        line, is_news = self._lines[event.job.folder], event.kind != "record"
        if event.kind == "record":
            record = event.value
            line.state = "running"
            if record["kind"] == "test":
                line.newest, is_news = f"{record['return']:.2f}", True
            else:
                phase = "" if record["phase"] == "rl" else f"{record['phase']} "
                line.step, line.rate = f"{phase}{record['step']}", f"{record['steps_per_second']:.0f}"
        else:
            line.state = {"started": "running"}.get(event.kind, event.kind)
        if event.kind == "done" and event.value:
            line.newest = f"{event.value['return']:.2f}"
        if self._live is not None:
            self._live.update(self.table())
        elif is_news:
            words = [line.state, line.step and f"step {line.step}", line.rate and f"{line.rate} steps/s"]
            words += [
                line.newest and f"return {line.newest}",
                event.value.sentence if event.kind in ("failed", "lost") else "",
            ]
            print_progress(f"{self._names[event.job.folder]}: {'  '.join(filter(None, words))}")

    def table(self) -> Table:
        """Return the table, running runs first, so that a long list shows them."""
        grid = Table(box=None, padding=(0, 2, 0, 0))
        for column in ("run", "state", "step", "steps/s", "return"):
            grid.add_column(column, overflow="fold")
        order = ("running", "failed", "lost", "queued", "done")
        for folder, line in sorted(self._lines.items(), key=lambda item: order.index(item[1].state)):
            grid.add_row(self._names[folder], line.state, line.step, line.rate, line.newest, style=COLOURS[line.state])
        return grid


@contextmanager
def draw_board(jobs: Sequence[Job]) -> Iterator[Board]:
    """Draw a board on stderr inside the block."""
    screen = console(stderr=True)
    if not screen.is_terminal:
        yield Board(jobs, None)
        return
    with Live(console=screen, refresh_per_second=4) as live:
        yield Board(jobs, live)
