"""Run directories below a folder, and renaming one to replace it. Free of torch."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from itertools import count
from pathlib import Path

from selectrl.errors import UnreadableError
from selectrl.files import read_error, write_error
from selectrl.locks import lock
from selectrl.runs.layout import EXPERIMENT

REPLACED = re.compile(r"\.replaced-\d+$")


def _refuse(folder: Path, error: UnreadableError) -> None:
    raise error


def run_folders(above: Path, on_unreadable: Callable[[Path, UnreadableError], object] = _refuse) -> list[Path]:
    """Return the run directories at or below a folder, without those that :func:`set_aside` renamed.

    Args:
        above: the folder; links in it are not followed.
        on_unreadable: called with each folder that cannot be listed and may hold runs; by default it is refused.

    Raises:
        UnreadableError: a folder cannot be listed.
    """
    runs: set[Path] = set()

    def note(error: OSError) -> None:
        folder = Path(error.filename)
        gone = isinstance(error, FileNotFoundError | NotADirectoryError)
        if not gone and not runs.intersection(folder.parents):  # inside a run the reader of the run reports it
            on_unreadable(folder, read_error(folder, error))

    for place, below, names in os.walk(above, onerror=note):
        if EXPERIMENT in (*below, *names):
            runs.add(Path(place))
    files = sorted(folder / EXPERIMENT for folder in runs)
    return [file.parent for file in files if not any(map(REPLACED.search, file.parent.relative_to(above).parts))]


def set_aside(folder: Path) -> Path | None:
    """Rename a run directory, so that another run can replace it, and return its new path.

    Returns:
        The new path, or None if the folder contains no run.

    Raises:
        InputError: another process works in it, or it cannot be renamed.
    """
    if not (folder / EXPERIMENT).exists():
        return None
    with lock(folder):
        place = next(p for n in count(1) if not (p := folder.with_name(f"{folder.name}.replaced-{n}")).exists())
        try:
            folder.rename(place)
        except OSError as error:
            raise write_error(place, error) from error
    return place
