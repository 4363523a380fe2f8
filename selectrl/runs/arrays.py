"""The arrays of evaluations and diagnostics."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from safetensors import SafetensorError

from selectrl.arrays import Array, BoolArray, DoubleArray, FloatArray
from selectrl.errors import InputError
from selectrl.files import is_there
from selectrl.runs.layout import DIAGNOSTICS, arrays_file
from selectrl.runs.reading import LARGEST
from selectrl.tensor_files import open_tensors

LATENTS = ("train_latents", "train_parameters", "test_latents", "test_parameters")


class Traces(NamedTuple):
    """The arrays of an evaluation.

    Attributes:
        file: their file, which also contains the paths of repeat 0.
        parameters: parameters of the test tasks, (task, parameter).
        latents: mean of the belief before the last scored episode, (task, repeat, latent), where it was kept.
    """

    file: Path
    parameters: DoubleArray
    latents: FloatArray | None

    @classmethod
    def read(cls, file: Path, shape: tuple[int, ...]) -> Traces:
        """Read parameters and latents; paths are read when they are drawn.

        Args:
            file: the arrays of an evaluation.
            shape: of its returns, (task, repeat, point).

        Raises:
            InputError: the arrays are damaged, or do not fit the returns; the sentence names the file.
        """
        arrays = read_arrays(file, ("parameters", "latents"))
        parameters, latents = arrays.get("parameters"), arrays.get("latents")
        *worlds, points = shape
        if parameters is None or parameters.ndim != 2 or len(parameters) != shape[0] or not usable(parameters).all():
            raise InputError(f"{file}: parameters: expected those of {shape[0]} tasks; run the evaluation again")
        if latents is not None and (latents.ndim != 4 or latents.shape[:3] not in ((*worlds, points), (*worlds, 1))):
            raise InputError(f"{file}: latents: {latents.shape} do not fit returns of {shape}; repeat the evaluation")
        last = None if latents is None else latents[:, :, -1]  # an export contains no others
        return cls(file=file, parameters=parameters.astype(np.float64), latents=last)


def read_latents(folder: Path) -> Mapping[str, Array]:
    """Read the arrays of a run's diagnostics.

    Returns:
        ``train_latents`` and ``test_latents`` (task, draw, latent), with ``train_parameters`` and ``test_parameters``
        (task, parameter); empty where they were not kept.

    Raises:
        InputError: the arrays are damaged; the sentence names the file.
    """
    file = arrays_file(folder / DIAGNOSTICS)
    arrays = read_arrays(file, LATENTS) if is_there(file) else {}
    fits = (_fit(arrays.get(f"{part}_latents"), arrays.get(f"{part}_parameters")) for part in ("train", "test"))
    if arrays and not all(fits):
        raise InputError(f"corrupt: {file.name} contains no latents (task, draw, latent) that fit its parameters")
    return arrays


def read_arrays(file: Path, names: tuple[str, ...]) -> dict[str, Array]:
    """Return the named arrays that a safetensors file contains.

    Raises:
        UnreadableError: the file exists, but cannot be read.
        InputError: the file is missing or damaged.
    """
    try:
        with open_tensors(file) as handle:
            return {name: handle.get_tensor(name) for name in names if name in handle.keys()}  # noqa: SIM118
    except (SafetensorError, ValueError) as error:
        raise InputError(f"{file} contains no readable arrays ({error}); restore it or make it again") from error


def usable(values: Array) -> BoolArray:
    """Return for each number of an array whether it is finite and small enough for sums of squares."""
    with np.errstate(invalid="ignore"):  # for NaN in uninitialised memory
        mask: BoolArray = np.abs(values.astype(np.float64)) <= LARGEST
    return mask


def _fit(latents: Array | None, parameters: Array | None) -> bool:
    """Return whether latents (task, draw, latent) and parameters (task, parameter) are finite and fit together."""
    if latents is None or parameters is None or latents.ndim != 3 or parameters.ndim != 2:
        return False
    return len(latents) == len(parameters) and bool(usable(latents).all() and usable(parameters).all())
