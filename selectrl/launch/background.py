"""Errors that end nothing: in a thread, in a destructor, in what runs at the exit. Each is one sentence.

Python prints them with all lines that led to them. Most come from foreign code, so the sentence names it.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress

from selectrl.launch.verdict import SHOWS, described, places


def report_background_errors(say: Callable[[str], object]) -> None:
    """Say each such error in one sentence, from now on until the process ends.

    Args:
        say: prints a sentence; it may be called from any thread, and while the interpreter ends.
    """
    if os.environ.get("SELECTRL_TRACEBACK"):
        return

    def in_thread(what: threading.ExceptHookArgs) -> None:
        if what.exc_value is not None and not isinstance(what.exc_value, SystemExit):
            name = "a thread" if what.thread is None else f"the thread {what.thread.name!r}"
            tell(f"{name} ended", what.exc_value)

    def ignored(what: sys.UnraisableHookArgs) -> None:
        if what.exc_value is not None:
            tell("an error was ignored", what.exc_value)

    def tell(event: str, error: BaseException) -> None:
        with suppress(Exception):  # the interpreter is ending, and half of it is gone
            ours, foreign = places(error)
            place = f" at {foreign or ours}" if foreign or ours else ""
            say(f"warning: {event}, the work continues without it: {described(error)}{place}; repair that, {SHOWS}")

    threading.excepthook, sys.unraisablehook = in_thread, ignored


def print_sentence(sentence: str) -> None:
    """Print a sentence on stderr as a command does, from a process that has no screen."""
    with suppress(OSError):
        os.write(2, f"selectrl: {' '.join(sentence.splitlines())}\n".encode(errors="replace"))
