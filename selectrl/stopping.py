"""Signals that ask a process to stop: at once where nothing would be lost, else after the step and its checkpoint.

A signal that the process was told to ignore stays ignored, and outside the main thread nothing changes.
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
    """Let a signal end the block where it finds it.

    Raises:
        Interrupted: a signal came.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        raise Interrupted(number)

    with _handled(stop):
        yield


@contextmanager
def defer_signals() -> Iterator[Callable[[], bool]]:
    """Hold a signal back until the end of the block, which asks between its steps whether to save and leave.

    After the block the signal is raised again, so that it does what it would have done without: in a command it ends
    in one sentence, in a task of a cluster the task is queued again. A second Ctrl-C does not wait.

    Yields:
        a function that says whether a signal came.

    Raises:
        Interrupted: a second Ctrl-C, or nothing else has ended the process after the block.
    """
    came: list[int] = []

    def remember(number: int, frame: FrameType | None) -> None:
        if came and number == signal.SIGINT:
            raise Interrupted(number)
        came.append(number)

    with _handled(remember):
        yield lambda: bool(came)
    if came:
        signal.raise_signal(came[0])
        raise Interrupted(came[0])


@contextmanager
def _handled(handler: Handler) -> Iterator[None]:
    """Let a function handle the signals inside the block."""
    before: dict[int, Any] = {}
    try:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    before[number] = signal.signal(number, handler)
        yield
    finally:
        for one, earlier in before.items():
            signal.signal(one, earlier)
