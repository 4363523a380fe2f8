"""The warning that data and meta-tests do not share a simulator."""

from __future__ import annotations

import multiprocessing
import warnings
from contextlib import suppress
from pathlib import Path

from selectrl.data.manifest import NAME, read_manifest
from selectrl.errors import DriftWarning, InputError


def warn_of_drift(folder: Path) -> None:
    """Warn if the dataset in a folder was made with another simulator than the one installed; runs note the same.

    Worker processes keep silent: the one that started them has said it once for all.
    """
    with suppress(InputError):  # a dataset that cannot be read is refused later, where it is needed
        drift = read_manifest(folder / NAME).drift()
        if drift and multiprocessing.parent_process() is None:
            sentence = f"the data in {folder} were made with {drift}; data and tests should share a simulator"
            warnings.warn(sentence, DriftWarning, stacklevel=3)
