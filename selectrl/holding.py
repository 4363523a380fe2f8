"""Folders that this process holds: a write below such a folder goes to this very folder, or fails.

Without this a write below a folder that was renamed or removed would create another folder of its name, and the work
would be in two places.
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
    """Hold a folder during the block, by its open handle."""
    previous = _HANDLES.get(folder)
    _HANDLES[folder] = handle
    try:
        yield
    finally:
        del _HANDLES[folder]
        if previous is not None:
            _HANDLES[folder] = previous


def is_same_folder(folder: Path, handle: int) -> bool:
    """Return whether a path still leads to the folder of an open handle.

    Raises:
        OSError: the operating system refuses the answer.
    """
    try:
        return os.path.samestat(folder.stat(), os.fstat(handle))
    except (FileNotFoundError, NotADirectoryError):
        return False


def require_held(path: Path) -> None:
    """Refuse to write to a held folder, or to a place below it, that has moved.

    Raises:
        InputError: the folder was renamed, removed or replaced; the sentence names the place of the work.
        OSError: the operating system refuses the answer.
    """
    for folder in (path, *path.parents):
        handle = _HANDLES.get(folder)
        if handle is not None and not is_same_folder(folder, handle):
            raise InputError(f"{folder} was renamed or removed during the work in it; {_locate(handle)}")


def _locate(handle: int) -> str:
    """Return a sentence on the present place of an open folder, and the remedy."""
    if os.fstat(handle).st_nlink == 0:
        return "nothing of it is left: give the same command again to start again"
    try:
        place = str(Path(f"/proc/self/fd/{handle}").readlink())
    except OSError:  # a system without /proc
        place = "the folder's new place"
    return f"the work up to the last checkpoint is in {place}: move it back and give the same command again"
