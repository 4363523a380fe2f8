"""Files that are written atomically: a kill at any moment leaves the old file or the new one, never a part."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from io import BufferedReader, TextIOWrapper
from pathlib import Path
from typing import Any, NamedTuple

from selectrl import lease
from selectrl.errors import InputError, UnreadableError
from selectrl.holding import require_held
from selectrl.json_text import parse_json, remove_seal
from selectrl.remedies import reason


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` fill a temporary file next to ``path``, flush it to disk and rename it to ``path``.

    Temporary files of killed processes in the folder are removed.

    Args:
        path: the file; its folder is created if missing. An existing file that cannot be read is not replaced: it may
            hold the work of another user.
        write: fills the file at its argument; that file exists already and must not be replaced.

    Raises:
        UnreadableError: the file exists, but cannot be read.
        InputError: the folder cannot be written to, the disk is full, or a held folder was renamed or removed.
    """
    try:
        with open_regular(path) as old:
            old.read(1)
    except UnreadableError as error:
        cause = error.__cause__
        if isinstance(cause, PermissionError) and not _is_writable(path.parent):
            raise write_error(path, cause) from cause
        raise
    except InputError:
        pass  # a new file
    try:
        make_folder(path.parent)
        with open_temporary_file(path.parent) as temporary:
            write(temporary.path)
            os.fsync(temporary.handle)
            temporary.rename(path.name)
        flush_names(path.parent)
    except OSError as error:
        require_held(path.parent)  # it may have been renamed or removed during the write
        raise write_error(path, error) from error


class TemporaryFile(NamedTuple):
    """A file under construction and its folder, both open.

    Attributes:
        path: its name, valid until its folder is renamed.
        handle: the file.
        folder: the folder.
    """

    path: Path
    handle: int
    folder: int

    def rename(self, name: str) -> None:
        """Rename the file, within its folder.

        Raises:
            InputError: its path leads to another file by now, so the content written to that path is not in this file.
            OSError: it cannot be renamed.
        """
        if not os.path.samestat(self.path.lstat(), os.fstat(self.handle)):
            require_held(self.path.parent)
            raise write_error(self.path, OSError(errno.ENOENT, os.strerror(errno.ENOENT)))
        os.replace(self.path.name, name, src_dir_fd=self.folder, dst_dir_fd=self.folder)


@contextmanager
def open_temporary_file(folder: Path) -> Iterator[TemporaryFile]:
    """Open a new file, which is removed at the end of the block, unless it was renamed.

    It is locked, which shows other processes that its writer is alive: see :func:`_sweep`.
    """
    with ExitStack() as open_things:
        directory = os.open(folder, _DIRECTORY)
        open_things.callback(os.close, directory)
        handle = None
        while handle is None:
            name = f".selectrl-{secrets.token_hex(8)}.tmp"
            handle = os.open(name, os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_RDWR, 0o666, dir_fd=directory)
            with suppress(OSError):  # no locks on this file system, or a sweep is removing the file
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not os.fstat(handle).st_nlink:  # a sweep came between creating and locking
                os.close(handle)
                handle = None
        open_things.callback(_remove, name, directory)
        open_things.callback(os.close, handle)
        open_things.callback(_remove, folder / name)  # a file that was written to another folder of this name
        _sweep(folder, os.fstat(handle).st_mtime)
        yield TemporaryFile(folder / name, handle, directory)


_DIRECTORY = os.O_DIRECTORY | getattr(
    os, "O_PATH", os.O_RDONLY
)  # works also for a folder that may be written to but not listed


def _remove(path: str | Path, folder: int | None = None) -> None:
    """Remove a file, if possible: in a folder that cannot be written to, nothing can be removed."""
    with suppress(OSError):
        os.unlink(path, dir_fd=folder)


_TEMPORARY = re.compile(r"\.selectrl-[0-9a-f]{16}\.tmp")


def _sweep(folder: Path, now: float) -> None:
    """Remove the temporary files of :func:`open_temporary_file` whose writers have ended: their locks are free.

    On a file system without locks, files count that were not written to for the duration of a lease.
    """
    with suppress(OSError), os.scandir(folder) as entries:  # a folder that may be written to but not listed
        for entry in entries:
            if _TEMPORARY.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                with suppress(OSError):  # removed meanwhile, or another user's file
                    _remove_if_abandoned(Path(entry.path), now)


def _remove_if_abandoned(path: Path, now: float) -> None:
    handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink()
    except BlockingIOError:
        pass  # its writer is alive
    except OSError:
        if now - os.fstat(handle).st_mtime > lease.EXPIRES:
            path.unlink()
    finally:
        os.close(handle)


def _is_writable(folder: Path) -> bool:
    """Return whether this process may create files in a folder."""
    return os.access(folder, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids)


def write_error(path: Path, error: OSError) -> InputError:
    """Return the error on a file or folder that cannot be written to."""
    return InputError(f"cannot write {path}: {reason(error)}")


def make_folder(folder: Path) -> None:
    """Create a folder and its parents, and flush their names: without that a power cut may undo their whole content.

    Raises:
        OSError: it cannot be created.
        InputError: it is, or is below, a held folder that was renamed or removed.
    """
    require_held(folder)
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)  # another process may have created it meanwhile
        flush_names(folder.parent)


def flush_names(folder: Path) -> None:
    """Flush a folder's list of names: until then a power cut may undo a rename in it."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except PermissionError:
        return  # a folder that may be written to but not listed cannot be flushed either
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_json(path: Path, value: Any) -> None:
    """Write a value as indented JSON, atomically; NaN and infinity are refused."""
    text = json.dumps(value, indent=2, allow_nan=False) + "\n"
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


@contextmanager
def open_regular(path: Path) -> Iterator[BufferedReader]:
    """Open a regular file for reading; an ``OSError`` in the block counts as an error of the file.

    A pipe, a socket or a device is refused at once: reading it could wait without end.

    Raises:
        UnreadableError: the file exists, but cannot be read or is not a regular file.
        InputError: the file does not exist.
    """
    try:
        with open(path, "rb", opener=_open_without_waiting) as handle:
            if not stat.S_ISREG(os.fstat(handle.fileno()).st_mode):
                raise read_error(path, OSError(errno.ENXIO, "it is a pipe, a socket or a device"))
            yield handle
    except OSError as error:
        if error.errno in ABSENT:
            raise InputError(f"cannot read {path}: {error.strerror or error}") from error
        raise read_error(path, error) from error


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)


def read_error(path: Path, error: OSError) -> UnreadableError:
    """Return the error on a file that exists and cannot be read."""
    return UnreadableError(f"cannot read {path}: {reason(error)}")


ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG)


def read_bytes(path: Path) -> bytes:
    """Read a whole regular file; errors as :func:`open_regular`."""
    with open_regular(path) as handle:
        return handle.read()


def read_text(path: Path, encoding: str = "utf-8", errors: str = "strict") -> str:
    """Read a whole regular file as text; errors as :func:`open_regular`, and ``UnicodeDecodeError``."""
    with open_regular(path) as handle, TextIOWrapper(handle, encoding, errors) as text:
        return text.read()


def read_json(path: Path) -> Any:
    """Read JSON strictly, see :func:`selectrl.json_text.parse_json`; the seal of an object is checked and left out.

    Raises:
        UnreadableError: the file exists, but cannot be read.
        InputError: the file is missing, not such JSON, or was changed after it was sealed.
    """
    try:
        value = parse_json(read_text(path))
    except ValueError as error:  # not text, not JSON, or hostile JSON
        raise InputError(f"{path} is not valid JSON ({error}); restore it or make it again") from error
    try:
        return remove_seal(value) if isinstance(value, dict) else value
    except ValueError as error:
        raise InputError(f"{path} {error}; restore it or make it again") from error


def is_there(path: Path) -> bool:
    """Return whether a file, folder or link of this name exists.

    Raises:
        UnreadableError: the operating system refuses the answer.
    """
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise read_error(path, error) from error
    return True


def is_empty_folder(path: Path) -> bool:
    """Return whether a path is an empty folder, and not a link to one.

    Raises:
        UnreadableError: the operating system refuses the answer, or the folder cannot be listed.
    """
    return is_there(path) and path.is_dir() and not path.is_symlink() and not list_names(path)


def list_names(folder: Path) -> list[str]:
    """Return the names in a folder; an empty list if it does not exist.

    Raises:
        UnreadableError: the folder cannot be listed.
    """
    try:
        return [path.name for path in folder.iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise read_error(folder, error) from error


def expand_home(word: str) -> str:
    """Replace a leading ``~`` with the home folder; a shell does not do so in ``--out=~/runs``.

    Raises:
        InputError: this machine does not have that user.
    """
    try:
        return str(Path(word).expanduser()) if word.startswith("~") else word
    except RuntimeError as error:
        raise InputError(f"{word}: this user has no home folder; write ./{word} for a folder of that name") from error
