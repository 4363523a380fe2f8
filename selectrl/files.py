"""Writing so that a kill at any moment leaves the old file or the new one, never half of either."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from selectrl.errors import InputError
from selectrl.json_text import parse, unsealed


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` fill a temporary file beside ``path``, flush it to disk and rename it into place.

    Raises:
        InputError: the folder cannot be written to, or the disk is full.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        with temporary.open("rb") as handle:
            os.fsync(handle.fileno())
        temporary.replace(path)
        _flush_names(path.parent)
    except (OSError, SafetensorError) as error:
        raise unwritable(path, error) from error
    finally:
        with suppress(OSError):  # where nothing can be written nothing can be removed
            temporary.unlink(missing_ok=True)


def unwritable(path: Path, error: Exception) -> InputError:
    """Return the error for a file or folder that cannot be written to."""
    reason = getattr(error, "strerror", None) or error
    return InputError(f"cannot write {path}: {reason}; free the disk, or choose another folder, and give it again")


def _flush_names(folder: Path) -> None:
    """Flush a folder's list of names: until then a power cut may undo a rename in it."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_json(path: Path, value: Any) -> None:
    """Write a value as indented JSON, atomically; NaN and infinity are refused."""
    text = json.dumps(value, indent=2, allow_nan=False) + "\n"
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def read_json(path: Path) -> Any:
    """Read JSON strictly, see :func:`selectrl.json_text.parse`; an object comes without its seal, which must fit.

    Raises:
        InputError: the file is missing, unreadable, not such JSON, or was changed after it was sealed.
    """
    try:
        value = parse(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:  # not text, not JSON, or JSON made to hurt
        raise InputError(f"{path} is not valid JSON ({error}); restore it or make it again") from error
    try:
        return unsealed(value) if isinstance(value, dict) else value
    except ValueError as error:
        raise InputError(f"{path} {error}; restore it or make it again") from error


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder for this process alone, and sweep away what killed writes left in it.

    The lock is the operating system's: it ends with the process, however that ends.

    Raises:
        InputError: another process holds the folder, its file system knows no locks, or it cannot be made or written
            to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise unwritable(folder, error) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(handle)
        raise InputError(f"another process works in {folder}; wait for it, or choose another folder") from error
    except OSError as error:
        os.close(handle)
        raise InputError(
            f"{folder} lies on a file system that gives no locks ({error.strerror or error}), without which two "
            "commands could spoil each other's work; choose a folder on a local disk"
        ) from error
    try:
        for leftover in folder.rglob(".*.tmp"):
            leftover.unlink(missing_ok=True)
        yield
    finally:
        os.close(handle)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Make a folder and hold it for a moment of reading and writing; another process that does the same waits.

    Where the file system knows no locks, nothing is held.

    Raises:
        InputError: the folder cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise unwritable(folder, error) from error
    try:
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


@contextmanager
def whole(folder: Path) -> Iterator[Path]:
    """Give a folder to fill, which becomes ``folder`` at the end of the block; after an error nothing is left of it.

    What a killed process left is swept away by the next one that makes the same folder.

    Raises:
        InputError: the folder is there already, cannot be made, or another process is making it.
    """
    if os.path.lexists(folder):
        raise InputError(f"{folder} is there already; choose another name or delete it")
    above = [parent for parent in folder.parents if not parent.exists()]  # innermost first
    work = folder.with_name(f".{folder.name}.making")
    with locked(work):
        try:
            for leftover in work.iterdir():
                shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
            yield work
            work.rename(folder)
        except OSError as error:
            raise unwritable(folder, error) from error
        finally:
            shutil.rmtree(work, ignore_errors=True)  # gone already if all went well
            for parent in above:
                with suppress(OSError):  # not empty: it holds the folder
                    parent.rmdir()
