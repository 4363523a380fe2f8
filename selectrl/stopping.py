"""Signals that stop a process: at once if no work is lost, else after the current step and its checkpoint.

A signal that the process ignores stays ignored, and outside the main thread nothing changes.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from selectrl.errors import Interrupted

#: Ctrl-C, a scheduler's stop, a closed terminal, and the two with which Slurm and submitit announce a stop.
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)

Handler = Callable[[int, FrameType | None], None]


@contextmanager
def raise_on_signal() -> Iterator[None]:
    """End the block at once when a signal arrives.

    Raises:
        Interrupted: a signal arrived.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        raise Interrupted(number)

    with _handle(stop):
        yield


@contextmanager
def defer_signals() -> Iterator[Callable[[], bool]]:
    """Defer a signal until the end of the block, which checks between its steps whether to save and stop.

    After the block the signal is raised again and has its usual effect: a command ends with one sentence, a task of a
    cluster is queued again. A second Ctrl-C does not wait.

    Yields:
        a function that returns whether a signal has arrived.

    Raises:
        Interrupted: a second Ctrl-C arrived, or the signal has not ended the process after the block.
    """
    arrived: list[int] = []

    def remember(number: int, frame: FrameType | None) -> None:
        if arrived and number == signal.SIGINT:
            raise Interrupted(number)
        arrived.append(number)

    with _handle(remember):
        yield lambda: bool(arrived)
    if arrived:
        signal.raise_signal(arrived[0])
        raise Interrupted(arrived[0])


@contextmanager
def _handle(handler: Handler) -> Iterator[None]:
    """Let a function handle the signals inside the block."""
    previous: dict[int, Any] = {}
    try:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    previous[number] = signal.signal(number, handler)
        yield
    finally:
        for signal_number, earlier in previous.items():
            signal.signal(signal_number, earlier)
