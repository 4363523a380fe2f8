"""Reading a pickled ``.npy`` table of arrays without trusting it: nothing that the file names is ever called.

Such a file can make Python's unpickler run any program. Here the few names that NumPy writes for arrays and scalars are
met by inert stand-ins, which note what they are given; every other name is refused, and so is every instruction that
NumPy does not write. Arrays are made afterwards, from shapes and types that were checked against the bytes that are
really there.
"""

from __future__ import annotations

import io
import math
import os
import pickle  # noqa: TID251  its unpickler is taken apart below, never called as it is
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from selectrl.errors import DataError
from selectrl.files import open_regular

Table: TypeAlias = list[list[NDArray[Any]]]

NUMBERS = {code: np.dtype(f"<{code}") for code in ("f4", "f8", "i4", "i8")}
LONGEST_HEADER = 1000


def read_table(path: Path, *, columns: int, most_rows: int, most_bytes: int) -> Table:
    """Return the rows of a pickled object array (row, column) whose cells are numbers or vectors of numbers.

    Args:
        path: a ``.npy`` file.
        columns: cells of a row.
        most_rows: rows that a file may have; the least is one.
        most_bytes: bytes that a file may have, so that a small machine survives a bad one.

    Raises:
        UnreadableError: the file is there, but cannot be read or is not a regular file.
        DataError: the file is not such a table, or names anything that an array does not need.
    """
    with open_regular(path) as handle:
        size = os.fstat(handle.fileno()).st_size
        if size > most_bytes:
            raise DataError(f"{path}: expected at most {most_bytes:,} bytes, got {size:,}; {_REMEDY}")
        content = io.BytesIO(handle.read(most_bytes))
    rows = _rows(path, content, columns, most_rows)
    try:
        found = _Reader(content).load()
        if not isinstance(found, _Array) or content.read(1):
            raise DataError("it holds more than one array")
        cells = found.cells(rows, columns)
        return [[_numbers(cell) for cell in cells[i : i + columns]] for i in range(0, len(cells), columns)]
    except DataError as error:
        raise DataError(f"{path}: {error}; {_REMEDY}") from None
    except Exception as error:  # whatever a broken or hostile pickle makes the unpickler stumble over
        raise DataError(f"{path}: not a readable pickle of arrays ({type(error).__name__}); {_REMEDY}") from error


_REMEDY = "get the file again from its source"


def _rows(path: Path, content: io.BytesIO, columns: int, most: int) -> int:
    """Read the header, which is plain text, and return the number of rows."""
    try:
        version = np.lib.format.read_magic(content)
        read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
        shape, fortran, dtype = read(content, max_header_size=LONGEST_HEADER)
    except Exception as error:  # whatever the header makes NumPy, Python's parser or its tokenizer stumble over
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
        """Return what an object array of this shape holds, row by row."""
        _, shape, dtype, fortran, held = self.state
        if shape != (rows, columns) or not isinstance(dtype, _Dtype) or dtype.code != "O" or fortran:
            raise DataError("it holds another array than its header says")
        if not isinstance(held, list) or len(held) != rows * columns:
            raise DataError(f"it holds other than the {rows * columns} cells of its header")
        return held

    def numbers(self) -> NDArray[Any]:
        """Return a vector of numbers, its bytes counted first."""
        _, shape, dtype, _, held = self.state
        if not isinstance(shape, tuple) or len(shape) > 1 or not all(type(n) is int and n >= 0 for n in shape):
            raise DataError(f"it holds a cell of shape {shape}, expected a vector")
        return _decode(dtype, held, math.prod(shape)).reshape(shape)


class _Dtype:
    """Stands in for ``dtype``."""

    __slots__ = ("code", "order")

    def __init__(self, code: str, *_: object) -> None:
        self.code, self.order = "O" if code in ("O", "O4", "O8") else code, "<"

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.order = state[1]


class _Scalar:
    """Stands in for ``scalar``."""

    __slots__ = ("dtype", "held")

    def __init__(self, dtype: Any, held: Any) -> None:
        self.dtype, self.held = dtype, held

    def __setstate__(self, state: object) -> None:
        raise DataError("it gives a scalar a state of its own")


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
"""What NumPy's pickles of protocols 3 and 4 are made of. None of these allocates more than the file is long."""


class _Reader(pickle._Unpickler):
    """Meets every name with its stand-in, and knows no other name and no other instruction.

    It is the unpickler in Python: the one in C can neither be denied an instruction nor kept from making a table as
    long as the largest number in the file.
    """

    dispatch: ClassVar[dict[int, Any]] = {
        code: pickle._Unpickler.dispatch[code] for code in (getattr(pickle, name)[0] for name in _INSTRUCTIONS)
    }

    def find_class(self, module: str, name: str) -> Any:
        """Return the stand-in of a name."""
        if (module, name) not in _STANDINS:
            shown = f"{module}.{name}"[:80]
            raise DataError(f"it names {shown}, which no array needs, and was not run")
        return _STANDINS[module, name]


def _decode(dtype: Any, held: Any, count: int) -> NDArray[Any]:
    if not isinstance(dtype, _Dtype) or dtype.code not in NUMBERS or dtype.order not in ("<", "|", "="):
        raise DataError(f"it holds a cell that is not of {', '.join(NUMBERS)}")
    kind = NUMBERS[dtype.code]
    if not isinstance(held, bytes) or len(held) != count * kind.itemsize:
        raise DataError("it holds a cell whose shape does not fit its bytes")
    return np.frombuffer(held, kind)


def _numbers(cell: Any) -> NDArray[Any]:
    """Return a cell as an array of one axis or none."""
    if isinstance(cell, _Array):
        return cell.numbers()
    if isinstance(cell, _Scalar):
        return _decode(cell.dtype, cell.held, 1).reshape(())
    if type(cell) in (int, float):
        return np.asarray(cell, np.float64)
    raise DataError(f"it holds a cell of type {type(cell).__name__}")
