"""The warning that data and meta-tests do not share a simulator."""

from __future__ import annotations

import multiprocessing
import warnings
from contextlib import suppress
from pathlib import Path

from selectrl.data.manifest import NAME, read_manifest
from selectrl.errors import DriftWarning, InputError


def warn_of_drift(folder: Path) -> None:
    """Warn if the dataset in a folder was made with another simulator than the installed one; runs note it too.

    Worker processes do not warn: the process that started them has warned once.
    """
    with suppress(InputError):  # an unreadable dataset is refused later
        drift = read_manifest(folder / NAME).drift()
        if drift and multiprocessing.parent_process() is None:
            sentence = f"the data in {folder} were made with {drift}; data and tests should share a simulator"
            warnings.warn(sentence, DriftWarning, stacklevel=3)
