"""The sentence and the exit code with which any error ends. Free of torch."""

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

#: How torch, the loader of libraries and Python say that memory is short, on the CPU and on CUDA.
NO_MEMORY = (
    *("allocate memory", "out of memory", "not enough memory", "std::bad_alloc"),
    *("failed to map segment", "can't start new thread", "Resource temporarily unavailable"),
)
NO_TEMPORARY = "No usable temporary directory"
LESS = (
    "run fewer side by side (--jobs) or bind smaller batches; the same command, of a comparison with --retry-failed, "
    "goes on from the last checkpoint"
)
SHOWS = "SELECTRL_TRACEBACK=1 shows all lines that led to it"
HERE = str(Path(__file__).parents[1])
LIBRARIES = (
    sys.prefix + os.sep,
    *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")),
)


def describe_failure(error: Exception) -> tuple[str, int]:
    """Return the sentence and the exit code with which an error ends; a bug of ours is still one sentence."""
    explained = explain(error)
    if explained is not None:
        return str(explained), explained.exit_code
    if os.environ.get("SELECTRL_TRACEBACK"):
        raise error
    return str(SelectRLError(_unexpected(error))), SelectRLError.exit_code


def explain(error: Exception) -> SelectRLError | None:
    """Return an error of this package that says the same in one sentence, or None: it was not foreseen."""
    if isinstance(error, SelectRLError):
        return error
    text = " ".join(str(error).split())
    if isinstance(error, MemoryError) or any(word in text for word in NO_MEMORY):
        return RunError(f"memory ran out ({text[:120] or type(error).__name__}); {LESS}")
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
def explained() -> Iterator[None]:
    """Raise every error of the block that can be explained as one of this package's own.

    Raises:
        InputError: a file or folder cannot be used.
        RunError: memory ran out.
    """
    try:
        yield
    except Exception as error:
        found = explain(error)
        if found is None or found is error:
            raise
        raise found from error


def _unexpected(error: Exception) -> str:
    """Say where an error arose that nobody foresaw, and whose code that is."""
    text = described(error)
    ours, foreign = places(error)
    if foreign:
        return f"{text} at {foreign}; repair that, {SHOWS}"
    report = "please report this sentence to the authors of selectrl with what `selectrl doctor` prints"
    return f"internal error at {ours or 'an unknown place'}, {text}; {report}, {SHOWS}"


def described(error: BaseException) -> str:
    """Return the kind of an error and what it says, even of one whose message cannot be printed."""
    try:
        return f"{type(error).__name__}: {error}".strip().removesuffix(":")
    except Exception:
        return type(error).__name__


def places(error: BaseException) -> tuple[str, str]:
    """Return the last lines of this package and of foreign code that an error passed; empty where there is none.

    The foreign line says whose it is: a plugin's, or the user's own.
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
