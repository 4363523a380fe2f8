"""The standard streams: always open, fit for any text, and standard output for results alone."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

from selectrl.errors import RunError

_kept: TextIO | None = None


def open_streams() -> None:
    """Open the three standard streams where they are closed, and keep standard output for results.

    A closed stream discards what is written to it. Without the stand-in the next file that is opened would take its
    number, and whatever a library prints would go into that file; processes that are started here inherit it.

    Whatever other code prints goes to standard error from now on, at the exit and from C too: the number of standard
    output is standard error's, and the stream of results has another. A character that the encoding of a stream lacks
    becomes a question mark.
    """
    global _kept
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # it has the lowest number that is free
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", encoding="utf-8")
    if isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr.reconfigure(errors="replace")
    encoding = "utf-8" if sys.stdout is None else sys.stdout.encoding
    _kept = os.fdopen(os.dup(1), "w", encoding=encoding, errors="replace")
    os.dup2(2, 1)
    sys.stdout = sys.stderr


def results() -> TextIO:
    """Return the stream of results."""
    return _kept or sys.stdout


def discard(stream: TextIO) -> None:
    """Send nowhere what a broken stream still holds and gets, or flushing it at the exit would fail once more."""
    with suppress(OSError):  # no file at all
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


class OutputError(RunError):
    """Standard output does not take what is written to it.

    Attributes:
        sentence: the reason, empty where a pipe was closed: its reader has read enough.
    """

    def __init__(self, error: OSError) -> None:
        reason = f"cannot write to standard output: {error.strerror or error}; free the disk, or send it elsewhere"
        self.sentence = "" if error.errno == errno.EPIPE else reason
        super().__init__(reason)


@contextmanager
def output() -> Iterator[TextIO]:
    """Give the stream of results inside the block.

    Raises:
        OutputError: it takes no more.
    """
    stream = results()
    try:
        yield stream
    except OSError as error:
        discard(stream)
        raise OutputError(error) from error


def flush() -> None:
    """Write out what the stream of results still holds."""
    with output() as stream:
        stream.flush()
