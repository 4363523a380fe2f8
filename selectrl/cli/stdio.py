"""The standard streams: always open, ready for any text, and standard output only for results."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

from selectrl.errors import RunError

_results: TextIO | None = None


def open_streams() -> None:
    """Open the three standard streams where they are closed, and keep standard output for results.

    A closed stream discards what is written to it. Otherwise the next file that is opened would get its
    number, and the output of a library would go into that file; processes that are started here inherit it.

    All output of other code goes to standard error from now on, also at the exit and from C: the number of standard
    output is that of standard error, and the stream of results has another. A character that the encoding of a stream
    lacks becomes a question mark.
    """
    global _results
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
    _results = os.fdopen(os.dup(1), "w", encoding=encoding, errors="replace")
    os.dup2(2, 1)
    sys.stdout = sys.stderr


def result_stream() -> TextIO:
    """Return the stream of results."""
    return _results or sys.stdout


def discard(stream: TextIO) -> None:
    """Discard the content of a broken stream; otherwise flushing it at the exit would fail again."""
    with suppress(OSError):  # not a file
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


class OutputError(RunError):
    """Standard output cannot be written to.

    Attributes:
        sentence: the reason, empty where the reader closed the pipe.
    """

    def __init__(self, error: OSError) -> None:
        reason = f"cannot write to standard output: {error.strerror or error}; free the disk, or redirect it"
        self.sentence = "" if error.errno == errno.EPIPE else reason
        super().__init__(reason)


@contextmanager
def open_output() -> Iterator[TextIO]:
    """Give the stream of results inside the block.

    Raises:
        OutputError: the stream cannot be written to.
    """
    stream = result_stream()
    try:
        yield stream
    except OSError as error:
        discard(stream)
        raise OutputError(error) from error


def flush() -> None:
    """Write the rest of the stream of results."""
    with open_output() as stream:
        stream.flush()
