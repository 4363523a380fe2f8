"""Folders of others: list their entries, and refuse links that lead out of them."""

from __future__ import annotations

import os
from pathlib import Path

from selectrl.errors import DataError
from selectrl.files import ABSENT, read_error


def list_entries(folder: Path, remedy: str = "check the path") -> list[Path]:
    """Return a folder's entries, sorted.

    Args:
        folder: the folder.
        remedy: advice to the user if the folder does not exist.

    Raises:
        UnreadableError: the folder exists, but cannot be read.
        DataError: the folder does not exist.
    """
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        if error.errno in ABSENT:
            raise DataError(f"no folder {folder} ({error.strerror}); {remedy}") from error
        raise read_error(folder, error) from error


def target_exists(path: Path) -> bool:
    """Return whether a file or a folder of this name exists; for a link, whether its target exists.

    Raises:
        UnreadableError: the system refuses the answer.
    """
    try:
        path.stat()
    except OSError as error:
        if error.errno in ABSENT:
            return False
        raise read_error(path, error) from error
    return True


def require_inside(path: Path, top: Path) -> Path:
    """Return a path that stays below a folder when all links are followed.

    Raises:
        DataError: a link on the way leads out of the folder.
    """
    real, root = os.path.realpath(path), os.path.realpath(top)
    if os.path.commonpath((real, root)) != root:
        raise DataError(f"{path} is a link that leads out of {top}; put the file itself there, for example with cp -L")
    return path
