"""Errors that do not end the command: in a thread, a destructor or at the exit. Each is printed as one sentence.

Python prints them with a traceback. Most come from foreign code, so the sentence names it.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress

from selectrl.launch.verdict import SHOWS, describe_error, find_places


def report_background_errors(say: Callable[[str], object]) -> None:
    """Print each such error as one sentence, until the process ends.

    Args:
        say: prints a sentence; it may be called from any thread, and while the interpreter ends.
    """
    if os.environ.get("SELECTRL_TRACEBACK"):
        return

    def report_thread_error(args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None and not isinstance(args.exc_value, SystemExit):
            name = "a thread" if args.thread is None else f"the thread {args.thread.name!r}"
            report(f"{name} ended", args.exc_value)

    def report_ignored_error(args: sys.UnraisableHookArgs) -> None:
        if args.exc_value is not None:
            report("an error was ignored", args.exc_value)

    def report(event: str, error: BaseException) -> None:
        with suppress(Exception):  # the interpreter may be ending
            ours, foreign = find_places(error)
            place = f" at {foreign or ours}" if foreign or ours else ""
            say(f"warning: {event}, and the work continues: {describe_error(error)}{place}; repair that code; {SHOWS}")

    threading.excepthook, sys.unraisablehook = report_thread_error, report_ignored_error


def print_sentence(sentence: str) -> None:
    """Print a sentence on stderr as a command does, from a worker process."""
    with suppress(OSError):
        os.write(2, f"selectrl: {' '.join(sentence.splitlines())}\n".encode(errors="replace"))
