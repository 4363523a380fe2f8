"""Folders that a command locks: for its whole work, for a moment, or until their content is complete."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from selectrl.errors import InputError, suggest
from selectrl.files import flush_names, is_empty_folder, make_folder, open_temporary_file, read_error, write_error
from selectrl.holding import hold_open, is_same_folder
from selectrl.lease import hold_lease


@contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Hold a folder without a lock: a write below it goes to this very folder or fails.

    Raises:
        UnreadableError: it does not exist or cannot be opened.
    """
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise read_error(folder, error) from error
    try:
        with hold_open(folder, handle):
            yield
    finally:
        os.close(handle)


@contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Lock a folder, created if missing, for this process alone; see also :func:`hold`.

    The lock is the operating system's and ends with the process in any case; ``SELECTRL_LOCK=lease`` takes a lease
    instead, see :mod:`selectrl.lease`. A hidden folder is always created by this library, so a symbolic link in its
    place is refused.

    Raises:
        InputError: another process holds the folder, its file system has no locks, or it cannot be created.
        RunError: a lease was lost during the block.
    """
    with _open_and_lock(folder, wait=False) as handle:
        if not is_same_folder(folder, handle):  # renamed or removed between opening and locking
            raise InputError(_busy(folder))
        with hold_open(folder, handle):
            yield


@contextmanager
def wait_and_lock(folder: Path) -> Iterator[None]:
    """Create a folder and lock it for a short read and write; another process that does the same waits.

    The lock is that of :func:`lock`.

    Raises:
        InputError: the folder cannot be created, or its file system has no locks.
        RunError: a lease was lost during the block.
    """
    with _open_and_lock(folder, wait=True):
        yield


LOCKS = ("flock", "lease")


@contextmanager
def _open_and_lock(folder: Path, *, wait: bool) -> Iterator[int]:
    """Open a folder, created if missing, and lock it during the block, by the method that the environment selects."""
    method = os.environ.get("SELECTRL_LOCK") or "flock"
    if method not in LOCKS:
        raise InputError(f"the environment variable SELECTRL_LOCK is {method!r}; {suggest(method, LOCKS)}")
    with ExitStack() as open_things:
        hidden = folder.name.startswith(".")
        try:
            if hidden:
                refuse_link(folder)
            make_folder(folder)
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | (os.O_NOFOLLOW if hidden else 0))
            open_things.callback(os.close, handle)
            if method == "lease":
                lease = folder.with_name(f".{folder.name}.selectrl-lease")
                open_things.enter_context(hold_lease(lease, lambda: _time_in(folder.parent), wait=wait))
        except OSError as error:
            raise write_error(folder, error) from error
        try:
            if method == "flock":
                fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(_busy(folder)) from error
        except OSError as error:
            raise InputError(
                f"{folder} is on a file system without locks ({error.strerror or error}), without which two "
                "commands could spoil each other's work; choose a folder on a local disk, or set the environment "
                "variable SELECTRL_LOCK=lease for every command that works there"
            ) from error
        yield handle


def _busy(folder: Path) -> str:
    return f"another process works in {folder}; wait for it, or choose another folder"


def _time_in(folder: Path) -> float:
    """Return the time of the clock of a folder's file system."""
    with open_temporary_file(folder) as temporary:
        return os.fstat(temporary.handle).st_mtime


def refuse_link(folder: Path) -> None:
    """Refuse a symbolic link in place of a folder that this library creates."""
    if folder.is_symlink():
        raise InputError(f"{folder} is a symbolic link, expected a folder that this library creates; remove the link")


@contextmanager
def build_folder(folder: Path, *, over_empty: bool = False) -> Iterator[Path]:
    """Yield a folder to fill, which becomes ``folder`` at the end of the block; after an error nothing of it remains.

    The remains of a killed process are removed by the next process that builds the same folder.

    Args:
        folder: the folder.
        over_empty: whether it may replace an empty folder.

    Raises:
        InputError: the folder exists already, cannot be created, or another process is building it.
    """
    if os.path.lexists(folder) and not (over_empty and is_empty_folder(folder)):
        raise InputError(f"{folder} exists already; choose another name or delete it")
    work = folder.with_name(f".{folder.name}.selectrl-making")
    try:
        missing = [parent for parent in folder.parents if not parent.exists()]  # innermost first
    except OSError as error:
        raise write_error(folder, error) from error
    with lock(work):
        try:
            for leftover in work.iterdir():
                shutil.rmtree(leftover) if leftover.is_dir() and not leftover.is_symlink() else leftover.unlink()
            yield work
            _flush_tree(work)
            work.rename(folder)
            flush_names(folder.parent)
        except BaseException as error:
            shutil.rmtree(work, ignore_errors=True)
            for parent in missing:
                with suppress(OSError):  # not empty: another process uses it
                    parent.rmdir()
            if isinstance(error, OSError):
                raise write_error(folder, error) from error
            raise


def _flush_tree(folder: Path) -> None:
    """Flush all files and names below a folder."""
    for place, _, names in os.walk(folder):
        for name in names:
            with Path(place, name).open("rb") as handle:
                os.fsync(handle.fileno())
        flush_names(Path(place))
