"""Run directories below a folder, and how one makes room for another. Free of torch."""

from __future__ import annotations

import re
from itertools import count
from pathlib import Path

from selectrl.files import unwritable
from selectrl.locks import locked

RUN_FILE = "experiment.json"
REPLACED = re.compile(r"\.replaced-\d+$")


def run_folders(above: Path) -> list[Path]:
    """Return the run directories at or below a folder, without those that :func:`set_aside` renamed."""
    files = sorted(above.rglob(RUN_FILE))
    return [file.parent for file in files if not any(map(REPLACED.search, file.parent.relative_to(above).parts))]


def set_aside(folder: Path) -> Path | None:
    """Rename a run directory, so that another run can take its place, and return where it lies now.

    Returns:
        The new place, or None if the folder holds no run.

    Raises:
        InputError: another process works in it, or it cannot be renamed.
    """
    if not (folder / RUN_FILE).exists():
        return None
    with locked(folder):
        place = next(p for n in count(1) if not (p := folder.with_name(f"{folder.name}.replaced-{n}")).exists())
        try:
            folder.rename(place)
        except OSError as error:
            raise unwritable(place, error) from error
    return place
