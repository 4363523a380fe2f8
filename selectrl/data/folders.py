"""Folders of others: what is in them is listed, and nothing in them leads to a place outside of them."""

from __future__ import annotations

import os
from pathlib import Path

from selectrl.errors import DataError
from selectrl.files import ABSENT, unreadable


def entries(folder: Path, remedy: str = "check the path") -> list[Path]:
    """Return a folder's entries, sorted.

    Args:
        folder: the folder.
        remedy: what to do where there is no such folder.

    Raises:
        UnreadableError: the folder is there, but cannot be read.
        DataError: there is no such folder.
    """
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        if error.errno in ABSENT:
            raise DataError(f"no folder {folder} ({error.strerror}); {remedy}") from error
        raise unreadable(folder, error) from error


def leads_to_something(path: Path) -> bool:
    """Say whether there is a file or a folder of this name; a link counts by what it leads to.

    Raises:
        UnreadableError: the system does not tell.
    """
    try:
        path.stat()
    except OSError as error:
        if error.errno in ABSENT:
            return False
        raise unreadable(path, error) from error
    return True


def inside(path: Path, top: Path) -> Path:
    """Return a path if it is below a folder also when all links are followed.

    Raises:
        DataError: a link on the way leads out of the folder.
    """
    real, root = os.path.realpath(path), os.path.realpath(top)
    if os.path.commonpath((real, root)) != root:
        raise DataError(f"{path} is a link that leads out of {top}; put the file itself there, for example with cp -L")
    return path
