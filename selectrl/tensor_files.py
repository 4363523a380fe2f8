"""Files of arrays; separate from other files, so that a command without data does not wait for NumPy."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from safetensors import deserialize, safe_open
from safetensors.numpy import load as numpy_arrays
from safetensors.numpy import save as serialize

from selectrl.arrays import Array
from selectrl.files import open_regular, read_bytes, write_atomically


def write_tensors(path: Path, tensors: Mapping[str, Array], metadata: Mapping[str, str] | None = None) -> bytes:
    """Write arrays as a safetensors file, atomically, and return its bytes.

    Raises:
        InputError: the folder cannot be written to, or the disk is full.
    """
    arrays = {name: np.asarray(value, order="C") for name, value in tensors.items()}
    content = serialize(arrays, dict(metadata) if metadata else None)
    write_atomically(path, lambda temporary: temporary.write_bytes(content))
    return content


class Tensors(Protocol):
    """An open safetensors file."""

    def keys(self) -> Collection[str]:
        """Return the names of its tensors."""

    def get_tensor(self, name: str) -> Any:
        """Return a tensor."""

    def get_slice(self, name: str) -> Any:
        """Return a tensor that is read by indexing only."""


class _InMemory(dict[str, Any]):
    """The tensors of a file in memory."""

    get_tensor = get_slice = dict.__getitem__


@contextmanager
def open_tensors(path: Path, framework: Literal["np", "pt"] = "np") -> Iterator[Tensors]:
    """Open a safetensors file: mapped into memory, or read completely if its file system cannot map files.

    Args:
        path: the file.
        framework: kind of the tensors: NumPy arrays or torch tensors.

    Raises:
        UnreadableError: the file exists, but cannot be read.
        InputError: the file does not exist.
        SafetensorError: it is damaged.
    """
    with open_regular(path):
        mapped = _map(path, framework)
        if mapped is not None:
            with mapped as handle:
                yield handle
            return
        content = read_bytes(path)
        if framework == "np":
            yield _InMemory(numpy_arrays(content))
        else:
            from safetensors.torch import load  # importing torch takes long

            yield _InMemory(load(content))


def tensor_shapes(path: Path) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Return kind and shape of each tensor from the header of a safetensors file; errors as :func:`open_tensors`.

    The values are not read, unless the file system cannot map files.
    """
    with open_regular(path):
        mapped = _map(path, "np")
        if mapped is None:
            parts = deserialize(read_bytes(path))  # type: ignore[no-untyped-call]
            return {name: (part["dtype"], tuple(part["shape"])) for name, part in parts}
        with mapped as handle:
            slices = {name: handle.get_slice(name) for name in handle.keys()}  # noqa: SIM118
            return {name: (part.get_dtype(), tuple(part.get_shape())) for name, part in slices.items()}


def _map(path: Path, framework: Literal["np", "pt"]) -> Any:
    """Map a file, or return None if that fails; an unreadable file then raises when it is read."""
    try:
        return safe_open(path, framework=framework)
    except OSError:
        return None
