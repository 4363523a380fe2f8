"""A live table of many runs on stderr; plain lines where stderr is no terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import attrs
from rich.live import Live
from rich.table import Table

from selectrl.cli.screen import console, tell_line
from selectrl.launch.job import Event, Job

COLOURS = {"queued": "dim", "running": "cyan", "done": "green", "failed": "red", "lost": "red"}


@attrs.define
class Line:
    """What the board says of one run."""

    state: str = "queued"
    step: str = ""
    rate: str = ""
    newest: str = ""


class Board:
    """One line a run: its state, step, speed and newest return on unseen tasks.

    Args:
        jobs: the runs.
        live: what draws; ``None`` prints plain lines.
    """

    def __init__(self, jobs: Sequence[Job], live: Live | None) -> None:
        self._lines = {job.folder: Line() for job in jobs}
        self._names = {job.folder: f"{job.experiment.env_name} {job.name}" for job in jobs}
        self._live = live

    def show(self, event: Event) -> None:
        """Show what happened to a run."""
        one, told = self._lines[event.job.folder], event.kind != "record"
        if event.kind == "record":
            record = event.value
            one.state = "running"
            if record["kind"] == "test":
                one.newest, told = f"{record['return']:.2f}", True
            else:
                phase = "" if record["phase"] == "rl" else f"{record['phase']} "
                one.step, one.rate = f"{phase}{record['step']}", f"{record['steps_per_second']:.0f}"
        else:
            one.state = {"started": "running"}.get(event.kind, event.kind)
        if event.kind == "done" and event.value:
            one.newest = f"{event.value['return']:.2f}"
        if self._live is not None:
            self._live.update(self.table())
        elif told:
            words = [one.state, one.step and f"step {one.step}", one.rate and f"{one.rate} steps/s"]
            words += [
                one.newest and f"return {one.newest}",
                event.value.sentence if event.kind in ("failed", "lost") else "",
            ]
            tell_line(f"{self._names[event.job.folder]}: {'  '.join(filter(None, words))}")

    def table(self) -> Table:
        """Return the table; runs that are at work stand above the others, so that a long list shows them."""
        grid = Table(box=None, padding=(0, 2, 0, 0))
        for column in ("run", "state", "step", "steps/s", "return"):
            grid.add_column(column, overflow="fold")
        order = ("running", "failed", "lost", "queued", "done")
        for folder, one in sorted(self._lines.items(), key=lambda item: order.index(item[1].state)):
            grid.add_row(self._names[folder], one.state, one.step, one.rate, one.newest, style=COLOURS[one.state])
        return grid


@contextmanager
def board(jobs: Sequence[Job]) -> Iterator[Board]:
    """Draw a board on stderr inside the block."""
    screen = console(stderr=True)
    if not screen.is_terminal:
        yield Board(jobs, None)
        return
    with Live(console=screen, refresh_per_second=4) as live:
        yield Board(jobs, live)
