"""Pickled ``.npy`` tables of arrays, read without trust: no function that the file names is ever called.

Such a file can make Python's unpickler run any program. Here the few names that NumPy writes for arrays and scalars
become inert stand-ins, which record their arguments; every other name is refused, and so is every instruction that
NumPy does not write. Arrays are created afterwards, from shapes and types that were checked against the bytes in the
file.
"""

from __future__ import annotations

import io
import math
import os
import pickle  # noqa: TID251  only a restricted subclass of its unpickler is called
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

import numpy as np

from selectrl.arrays import Array
from selectrl.errors import DataError
from selectrl.files import open_regular

Table: TypeAlias = list[list[Array]]

NUMBERS = {code: np.dtype(f"<{code}") for code in ("f4", "f8", "i4", "i8")}
LONGEST_HEADER = 1000


def read_table(path: Path, *, columns: int, most_rows: int, most_bytes: int) -> Table:
    """Return the rows of a pickled object array (row, column) whose cells are numbers or vectors of numbers.

    Args:
        path: a ``.npy`` file.
        columns: cells of a row.
        most_rows: largest number of rows; the smallest is 1.
        most_bytes: largest size of the file, so that a bad file does not exhaust the memory.

    Raises:
        UnreadableError: the file exists, but cannot be read or is not a regular file.
        DataError: the file is not such a table, or names anything beyond NumPy's arrays and scalars.
    """
    with open_regular(path) as handle:
        size = os.fstat(handle.fileno()).st_size
        if size > most_bytes:
            raise DataError(f"{path}: expected at most {most_bytes:,} bytes, got {size:,}; {_REMEDY}")
        content = io.BytesIO(handle.read(most_bytes))
    rows = _read_header(path, content, columns, most_rows)
    try:
        table = _Reader(content).load()
        if not isinstance(table, _Array) or content.read(1):
            raise DataError("it holds more than one array")
        cells = table.cells(rows, columns)
        return [[_read_numbers(cell) for cell in cells[i : i + columns]] for i in range(0, len(cells), columns)]
    except DataError as error:
        raise DataError(f"{path}: {error}; {_REMEDY}") from None
    except Exception as error:  # a broken or hostile pickle raises any kind of error
        raise DataError(f"{path}: not a readable pickle of arrays ({type(error).__name__}); {_REMEDY}") from error


_REMEDY = "get the file again from its source"


def _read_header(path: Path, content: io.BytesIO, columns: int, most: int) -> int:
    """Read the header, which is plain text, and return the number of rows."""
    try:
        version = np.lib.format.read_magic(content)
        reader = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
        shape, fortran, dtype = reader(content, max_header_size=LONGEST_HEADER)
    except Exception as error:  # NumPy, Python's parser or its tokenizer raise any kind of error
        raise DataError(f"{path}: not a .npy file with a plain header; {_REMEDY}") from error
    if dtype != np.dtype("O") or fortran or len(shape) != 2 or shape[1] != columns or not 1 <= shape[0] <= most:
        got = f"{dtype} {shape}"
        raise DataError(f"{path}: expected an object array of (1 to {most}, {columns}), got {got}; {_REMEDY}")
    return int(shape[0])


class _Array:
    """Stands in for ``_reconstruct`` and for ``ndarray``, which is its first argument."""

    __slots__ = ("state",)

    def __init__(self, *_: object) -> None:
        self.state: tuple[Any, ...] = ()

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.state = state

    def cells(self, rows: int, columns: int) -> list[Any]:
        """Return the cells of an object array of this shape, row by row."""
        _, shape, dtype, fortran, content = self.state
        if shape != (rows, columns) or not isinstance(dtype, _Dtype) or dtype.code != "O" or fortran:
            raise DataError("its array differs from its header")
        if not isinstance(content, list) or len(content) != rows * columns:
            raise DataError(f"it does not hold the {rows * columns} cells of its header")
        return content

    def numbers(self) -> Array:
        """Return a vector of numbers, after a check of the number of bytes."""
        _, shape, dtype, _, content = self.state
        if not isinstance(shape, tuple) or len(shape) > 1 or not all(type(n) is int and n >= 0 for n in shape):
            raise DataError(f"it holds a cell of shape {shape}, expected a vector")
        return _decode(dtype, content, math.prod(shape)).reshape(shape)


class _Dtype:
    """Stands in for ``dtype``."""

    __slots__ = ("code", "order")

    def __init__(self, code: str, *_: object) -> None:
        self.code, self.order = "O" if code in ("O", "O4", "O8") else code, "<"

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.order = state[1]


class _Scalar:
    """Stands in for ``scalar``."""

    __slots__ = ("content", "dtype")

    def __init__(self, dtype: Any, content: Any) -> None:
        self.dtype, self.content = dtype, content

    def __setstate__(self, state: object) -> None:
        raise DataError("it sets the state of a scalar")


_STANDINS: dict[tuple[str, str], type] = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _Array for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): _Scalar for core in ("core", "_core")},
}


_INSTRUCTIONS = (
    *("PROTO", "FRAME", "STOP", "MARK", "GLOBAL", "STACK_GLOBAL", "REDUCE", "BUILD", "NONE", "NEWTRUE", "NEWFALSE"),
    *("MEMOIZE", "BINPUT", "LONG_BINPUT", "BINGET", "LONG_BINGET", "BININT", "BININT1", "BININT2", "BINFLOAT"),
    *("BINUNICODE", "SHORT_BINUNICODE", "BINBYTES", "SHORT_BINBYTES", "EMPTY_LIST", "APPEND", "APPENDS"),
    *("EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"),
)
"""The instructions of NumPy's pickles of protocols 3 and 4; none allocates more memory than the file is long."""


class _Reader(pickle._Unpickler):
    """Replaces every allowed name with its stand-in, and refuses all other names and instructions.

    It derives from the unpickler in Python: in the one in C, instructions cannot be removed, and a large number in the
    file allocates a table of that length.
    """

    dispatch: ClassVar[dict[int, Any]] = {
        code: pickle._Unpickler.dispatch[code] for code in (getattr(pickle, name)[0] for name in _INSTRUCTIONS)
    }

    def find_class(self, module: str, name: str) -> Any:
        """Return the stand-in of a name."""
        if (module, name) not in _STANDINS:
            full_name = f"{module}.{name}"[:80]
            raise DataError(f"it names {full_name}, which is not part of an array, and was not run")
        return _STANDINS[module, name]


def _decode(dtype: Any, content: Any, count: int) -> Array:
    if not isinstance(dtype, _Dtype) or dtype.code not in NUMBERS or dtype.order not in ("<", "|", "="):
        raise DataError(f"it holds a cell of another type than {', '.join(NUMBERS)}")
    kind = NUMBERS[dtype.code]
    if not isinstance(content, bytes) or len(content) != count * kind.itemsize:
        raise DataError("it holds a cell whose shape does not fit its bytes")
    return np.frombuffer(content, kind)


def _read_numbers(cell: Any) -> Array:
    """Return a cell as an array with one axis or none."""
    if isinstance(cell, _Array):
        return cell.numbers()
    if isinstance(cell, _Scalar):
        return _decode(cell.dtype, cell.content, 1).reshape(())
    if type(cell) in (int, float):
        return np.asarray(cell, np.float64)
    raise DataError(f"it holds a cell of type {type(cell).__name__}")
