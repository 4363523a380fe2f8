"""Folders that this process works in: what it writes below one goes to that very folder, or nowhere.

Without this a write below a folder that was renamed or removed would make another one of its name, and the work would
be in two places.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from selectrl.errors import InputError

_HANDLES: dict[Path, int] = {}


@contextmanager
def hold_open(folder: Path, handle: int) -> Iterator[None]:
    """Hold a folder, of which a handle is open, during the block."""
    before = _HANDLES.get(folder)
    _HANDLES[folder] = handle
    try:
        yield
    finally:
        del _HANDLES[folder]
        if before is not None:
            _HANDLES[folder] = before


def is_same_folder(folder: Path, handle: int) -> bool:
    """Say whether a path still leads to the folder that was opened.

    Raises:
        OSError: the operating system does not tell.
    """
    try:
        return os.path.samestat(folder.stat(), os.fstat(handle))
    except (FileNotFoundError, NotADirectoryError):
        return False


def require_held(path: Path) -> None:
    """Refuse to write to a held folder, or to a place below it, that is no longer where it was.

    Raises:
        InputError: the folder was renamed, removed or replaced; the sentence says where the work is.
        OSError: the operating system does not tell.
    """
    for folder in (path, *path.parents):
        handle = _HANDLES.get(folder)
        if handle is not None and not is_same_folder(folder, handle):
            raise InputError(f"{folder} was renamed or removed during the work in it; {_whereabouts(handle)}")


def _whereabouts(handle: int) -> str:
    """Say where an open folder is now, as far as the system tells."""
    if os.fstat(handle).st_nlink == 0:
        return "nothing of it is left, so give the same command again to begin again"
    try:
        place = str(Path(f"/proc/self/fd/{handle}").readlink())
    except OSError:  # a system without /proc
        place = "the folder's new place"
    return f"the work up to the last checkpoint is in {place}: move it back and give the same command again"
