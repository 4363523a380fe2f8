"""The sentence and the exit code of every error. Free of torch."""

from __future__ import annotations

import os
import sys
import sysconfig
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from selectrl.errors import InputError, RunError, SelectRLError
from selectrl.plugins import describe_plugin
from selectrl.remedies import ANY_FILE, reason

#: Messages of torch, the library loader and Python for missing memory, on the CPU and on CUDA.
NO_MEMORY = (
    *("allocate memory", "out of memory", "not enough memory", "std::bad_alloc"),
    *("failed to map segment", "can't start new thread", "Resource temporarily unavailable"),
)
NO_TEMPORARY = "No usable temporary directory"
USE_LESS = (
    "run fewer in parallel (--jobs) or bind smaller batches; the same command (of a comparison with --retry-failed) "
    "continues from the last checkpoint"
)
SHOWS = "SELECTRL_TRACEBACK=1 shows the traceback"
HERE = str(Path(__file__).parents[1])
LIBRARIES = (
    sys.prefix + os.sep,
    *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")),
)


def describe_failure(error: Exception) -> tuple[str, int]:
    """Return the sentence and the exit code of an error; also a bug of this package is one sentence."""
    explanation = explain(error)
    if explanation is not None:
        return str(explanation), explanation.exit_code
    if os.environ.get("SELECTRL_TRACEBACK"):
        raise error
    return str(SelectRLError(_describe_unexpected(error))), SelectRLError.exit_code


def explain(error: Exception) -> SelectRLError | None:
    """Return an error of this package with one sentence for the same reason, or None for an unexpected error."""
    if isinstance(error, SelectRLError):
        return error
    text = " ".join(str(error).split())
    if isinstance(error, MemoryError) or any(word in text for word in NO_MEMORY):
        return RunError(f"memory ran out ({text[:120] or type(error).__name__}); {USE_LESS}")
    if isinstance(error, FileNotFoundError) and NO_TEMPORARY in text:  # torch asks for one when it is loaded
        return InputError(
            "there is no folder for temporary files that can be written to; set the environment variable TMPDIR to "
            "one, or free the disk of /tmp"
        )
    if isinstance(error, OSError) and (error.filename is not None or error.errno in ANY_FILE):
        path = "a file" if error.filename is None else os.fsdecode(error.filename)
        return InputError(f"cannot read or write {path}: {reason(error)}")
    return None


@contextmanager
def explain_errors() -> Iterator[None]:
    """Raise each error of the block that can be explained as an error of this package.

    Raises:
        InputError: a file or folder cannot be used.
        RunError: memory ran out.
    """
    try:
        yield
    except Exception as error:
        explanation = explain(error)
        if explanation is None or explanation is error:
            raise
        raise explanation from error


def _describe_unexpected(error: Exception) -> str:
    """Return the sentence of an unexpected error, with the line of code that raised it and its owner."""
    text = describe_error(error)
    ours, foreign = find_places(error)
    if foreign:
        return f"{text} at {foreign}; repair that code; {SHOWS}"
    report = "please report this sentence and the output of `selectrl doctor` to the authors of selectrl"
    return f"internal error at {ours or 'an unknown place'}, {text}; {report}; {SHOWS}"


def describe_error(error: BaseException) -> str:
    """Return the type and the message of an error, even if its message cannot be printed."""
    try:
        return f"{type(error).__name__}: {error}".strip().removesuffix(":")
    except Exception:
        return type(error).__name__


def find_places(error: BaseException) -> tuple[str, str]:
    """Return the last lines of this package and of foreign code in an error's traceback; empty if there are none.

    The foreign line names its owner: a plugin, or code outside selectrl.
    """
    ours = foreign = ""
    for frame, line in traceback.walk_tb(error.__traceback__):
        file = frame.f_code.co_filename
        plugin = describe_plugin(str(frame.f_globals.get("__name__", "")))
        if plugin is not None:
            foreign = f"{file}:{line} of {plugin}"
        elif file.startswith(HERE + os.sep):
            ours = f"{file}:{line}"
        elif Path(file).is_absolute() and not file.startswith(LIBRARIES):
            foreign = f"{file}:{line}, which is not part of selectrl"
    return ours, foreign
