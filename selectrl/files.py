"""Writing so that a kill at any moment leaves the old file or the new one, never half of either."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import stat
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from pathlib import Path
from typing import Any, BinaryIO

from safetensors import SafetensorError

from selectrl.errors import DamageWarning, InputError, UnreadableError
from selectrl.json_text import parse, unsealed


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` fill a temporary file beside ``path``, flush it to disk and rename it into place.

    Raises:
        InputError: the folder cannot be written to, or the disk is full.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    require_held(path)
    try:
        make_folder(path.parent)
        write(temporary)
        with temporary.open("rb") as handle:
            os.fsync(handle.fileno())
        temporary.replace(path)
        flush_names(path.parent)
    except (OSError, SafetensorError) as error:
        raise unwritable(path, error) from error
    finally:
        with suppress(OSError):  # where nothing can be written nothing can be removed
            temporary.unlink(missing_ok=True)


def unwritable(path: Path, error: Exception) -> InputError:
    """Return the error for a file or folder that cannot be written to."""
    reason = getattr(error, "strerror", None) or error
    return InputError(f"cannot write {path}: {reason}; free the disk, or choose another folder, and give it again")


def flush_names(folder: Path) -> None:
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


@contextmanager
def open_regular(path: Path) -> Iterator[BinaryIO]:
    """Open a regular file for reading; an ``OSError`` in the block is taken for the file's own.

    A pipe, a socket or a device is refused at once, where reading it could wait without end.

    Raises:
        UnreadableError: the file is there, but cannot be read or is not a regular file.
        InputError: there is no such file.
    """
    try:
        with open(path, "rb", opener=_open_at_once) as handle:
            if not stat.S_ISREG(os.fstat(handle.fileno()).st_mode):
                raise UnreadableError(f"cannot read {path}: it is not a regular file; move it away or restore it")
            yield handle
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    except OSError as error:
        raise unreadable(path, error) from error


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)


def unreadable(path: Path, error: OSError) -> UnreadableError:
    """Return the error for a file that is there and cannot be read."""
    denied = isinstance(error, PermissionError)
    remedy = "ask its owner for the right to read it" if denied else "look after the disk that it is on"
    return UnreadableError(f"cannot read {path}: {error.strerror or error}; {remedy}, and give the command again")


def read_bytes(path: Path) -> bytes:
    """Read a whole regular file; errors as :func:`open_regular`."""
    with open_regular(path) as handle:
        return handle.read()


def read_text(path: Path, encoding: str = "utf-8", errors: str = "strict") -> str:
    """Read a whole regular file as text; errors as :func:`open_regular`, and ``UnicodeDecodeError``."""
    with open_regular(path) as handle, TextIOWrapper(handle, encoding, errors) as text:
        return text.read()


def read_json(path: Path) -> Any:
    """Read JSON strictly, see :func:`selectrl.json_text.parse`; an object comes without its seal, which must fit.

    Raises:
        UnreadableError: the file is there, but cannot be read.
        InputError: the file is missing, not such JSON, or was changed after it was sealed.
    """
    try:
        value = parse(read_text(path))
    except ValueError as error:  # not text, not JSON, or JSON made to hurt
        raise InputError(f"{path} is not valid JSON ({error}); restore it or make it again") from error
    try:
        return unsealed(value) if isinstance(value, dict) else value
    except ValueError as error:
        raise InputError(f"{path} {error}; restore it or make it again") from error


def read_json_or_none(path: Path) -> Any:
    """Read JSON as :func:`read_json` does; None where there is no such file or a damaged one.

    Raises:
        UnreadableError: the file is there, but cannot be read.

    Warns:
        DamageWarning: the file is damaged.
    """
    try:
        return read_json(path)
    except UnreadableError:
        raise
    except InputError as error:
        if is_there(path):
            warnings.warn(f"{error}; it counts as missing", DamageWarning, 2)
        return None


def is_there(path: Path) -> bool:
    """Say whether there is anything of this name.

    Raises:
        UnreadableError: the operating system does not tell.
    """
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise unreadable(path, error) from error
    return True


def names_in(folder: Path) -> list[str]:
    """List the names in a folder; none where there is no such folder.

    Raises:
        UnreadableError: the folder cannot be listed.
    """
    try:
        return [path.name for path in folder.iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise unreadable(folder, error) from error


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it that are missing, so that a power cut does not undo it.

    Raises:
        OSError: it cannot be made, or a file has its name.
    """
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        flush_names(folder.parent)


@contextmanager
def held(folder: Path) -> Iterator[int]:
    """Hold a folder: what this process writes below it goes to the folder that is there now, or nowhere.

    Without this a write below a folder that was renamed or removed would make another one of its name.

    Yields:
        a handle of the folder.

    Raises:
        InputError: it is not there.
    """
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise unwritable(folder, error) from error
    before = _HELD.get(folder)
    _HELD[folder] = handle
    try:
        yield handle
    finally:
        if before is None:
            del _HELD[folder]
        else:
            _HELD[folder] = before
        os.close(handle)


_HELD: dict[Path, int] = {}


def require_held(path: Path) -> None:
    """Refuse to write to a file of a held folder to which its path leads no more.

    Raises:
        InputError: the folder was renamed, removed or replaced; the sentence says where it is now.
    """
    for folder in path.parents:
        if folder not in _HELD:
            continue
        try:
            if os.path.samestat(folder.stat(), os.fstat(_HELD[folder])):
                continue
        except (FileNotFoundError, NotADirectoryError):
            pass
        except OSError as error:
            raise unwritable(path, error) from error
        raise InputError(f"{folder} was renamed or removed during the work in it; {_whereabouts(folder)}")


def _whereabouts(folder: Path) -> str:
    """Say where a held folder is now, as far as the system tells."""
    if os.fstat(_HELD[folder]).st_nlink == 0:
        return "the work is gone, give the same command again to begin again"
    try:
        place = str(Path(f"/proc/self/fd/{_HELD[folder]}").readlink())
    except OSError:  # a system without /proc
        place = "its new place"
    return f"the work up to the last checkpoint is in {place}, move it back and give the same command again"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder for this process alone, and sweep away what killed writes left in it.

    The lock is the operating system's: it ends with the process, however that ends. See also :func:`held`.

    Raises:
        InputError: another process holds the folder, its file system knows no locks, or it cannot be made or written
            to.
    """
    try:
        make_folder(folder)
    except OSError as error:
        raise unwritable(folder, error) from error
    with held(folder) as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(f"another process works in {folder}; wait for it, or choose another folder") from error
        except OSError as error:
            raise InputError(
                f"{folder} lies on a file system that gives no locks ({error.strerror or error}), without which two "
                "commands could spoil each other's work; choose a folder on a local disk"
            ) from error
        for leftover in folder.rglob(".*.tmp"):
            leftover.unlink(missing_ok=True)
        yield


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
