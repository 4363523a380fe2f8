"""Arrays on the disk; apart from other files, so that a command without data does not wait for NumPy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save as serialize

from selectrl.files import write_atomically


def write_tensors(path: Path, tensors: Mapping[str, NDArray[Any]], metadata: Mapping[str, str] | None = None) -> bytes:
    """Write arrays as a safetensors file, atomically, and return its bytes.

    Raises:
        InputError: the folder cannot be written to, or the disk is full.
    """
    arrays = {name: np.asarray(value, order="C") for name, value in tensors.items()}
    content = serialize(arrays, dict(metadata) if metadata else None)
    write_atomically(path, lambda temporary: temporary.write_bytes(content))
    return content
