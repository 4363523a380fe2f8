from __future__ import annotations

import os
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from trees import write_pickle, write_rows

from selectrl.data.object_files import read_table
from selectrl.errors import DataError, InputError, UnreadableError


def read(path: Path) -> Any:
    return read_table(path, columns=4, most_rows=20, most_bytes=100_000)


KINDS = st.sampled_from(["float32", "float64", "int32", "int64"])


@st.composite
def tables(draw: st.DrawFn) -> list[list[Any]]:
    """Rows whose cells are vectors and scalars of any kind; a cell may be the one of the row before, as next_obs is."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    rows: list[list[Any]] = []
    for _ in range(draw(st.integers(1, 20))):
        vectors = [(rng.standard_normal(draw(st.integers(0, 3))) * 9).astype(draw(KINDS)) for _ in range(3)]
        scalar = draw(st.sampled_from([float, int, np.float64, np.float32, np.int64]))(rng.standard_normal() * 9)
        rows.append([rows[-1][3] if rows and draw(st.booleans()) else vectors[0], vectors[1], scalar, vectors[2]])
    return rows


@given(tables(), st.sampled_from([3, 4]))
def test_what_numpy_wrote_is_what_is_read(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[Any]], protocol: int
) -> None:
    table = read(write_rows(tmp_path_factory.mktemp("table") / "a.npy", rows, protocol))
    assert len(table) == len(rows)
    for wrote, got in zip(rows, table, strict=True):
        for value, cell in zip(wrote, got, strict=True):
            assert np.array_equal(np.asarray(value), cell)
            assert cell.dtype == getattr(value, "dtype", np.dtype("f8"))
            assert np.shape(value) == cell.shape


def good(rows: int = 2) -> list[list[Any]]:
    return [[np.zeros(2), np.zeros(2, np.float32), np.float64(t), np.zeros(2)] for t in range(rows)]


class Exploit:
    """Unpickled by ``pickle.load`` or ``numpy.load(allow_pickle=True)`` it makes a file."""

    def __init__(self, *call: Any) -> None:
        self.call = call

    def __reduce__(self) -> Any:
        return self.call[0], self.call[1:]


@pytest.mark.parametrize("where", ["alone", "in a cell", "as a reward"])
@pytest.mark.parametrize("name", ["os.system", "builtins.eval", "numpy"])
def test_an_exploit_is_named_and_not_run(where: str, name: str, tmp_path: Path) -> None:
    proof = tmp_path / "proof"
    if name == "os.system":
        exploit = Exploit(os.system, f"touch {proof}")
    elif name == "builtins.eval":
        exploit = Exploit(eval, f"open({str(proof)!r}, 'w').close()")
    else:
        exploit = Exploit(np.ndarray.tofile, np.zeros(1), str(proof))  # one of NumPy's own
    rows = good()
    rows[1][0 if where == "in a cell" else 2] = exploit
    path = tmp_path / "a.npy"
    if where == "alone":
        write_pickle(path, pickle.dumps(exploit, 3), 2)
    else:
        write_rows(path, rows)
    np.load(path, allow_pickle=True)
    assert proof.exists()  # it is a real one
    proof.unlink()
    with pytest.raises(DataError, match=r"a.npy: it names \S+, which is not part of an array, and was not run"):
        read(path)
    assert not proof.exists()


def pickled(state: bytes) -> bytes:
    """Return a pickle of what ``_reconstruct`` gives, with any state."""
    head = b"\x80\x03cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R"
    return head + state + b"b."


OBJECT = b"cnumpy\ndtype\nX\x02\x00\x00\x00O8K\x00K\x01\x87R"

HOSTILE = {
    "nothing": (b"", "EOFError"),
    "rubbish": (b"\xff" * 50, "not a readable pickle"),
    "cut short": (pickle.dumps(np.array([[1, None]], object), 3)[:-9], "not a readable pickle"),
    "a dict": (b"\x80\x03}.", "KeyError"),
    "a number": (b"\x80\x03K\x05.", "more than one array"),
    "an object of ours": (b"\x80\x03cnumpy\nndarray\n.", "more than one array"),
    "another after it": (pickle.dumps(np.zeros(1), 3) * 2, "more than one array"),
    "a table of 68 GB": (b"\x80\x03Nr\xf0\xff\xff\xff.", "more than one array"),
    "a buffer of a terabyte": (b"\x80\x05\x96" + struct.pack("<Q", 10**12) + b".", "KeyError"),
    "an int of a gigabyte": (b"\x80\x03\x8b" + struct.pack("<i", 10**9) + b".", "KeyError"),
    "a stand-in changed": (b"\x80\x03cnumpy.core.multiarray\nscalar\nNb.", "not a readable pickle"),
    "more cells than the header": (
        pickle.dumps(np.array([[1.0, None, 2, 3]] * 3, object), 3),
        "its array differs from its header",
    ),
    "fewer cells than its shape": (
        pickled(b"(K\x01K\x02K\x04\x86" + OBJECT + b"\x89]t"),
        "it does not hold the 8 cells",
    ),
    "no state at all": (pickled(b"N"), "not a readable pickle"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_pickle_is_one_sentence(case: str, tmp_path: Path) -> None:
    content, sentence = HOSTILE[case]
    with pytest.raises(DataError, match=sentence) as caught:
        read(write_pickle(tmp_path / "a.npy", content, 2))
    assert str(caught.value).startswith(f"{tmp_path}/a.npy: ")


CELLS = {
    "a matrix": (np.zeros((2, 2)), r"a cell of shape \(2, 2\)"),
    "objects": (np.array([None], object), "of another type than f4, f8, i4, i8"),
    "text": (np.array(["a"]), "of another type than f4"),
    "big-endian": (np.zeros(2, ">f8"), "of another type than f4"),
    "complex": (np.complex128(1), "of another type than f4"),
    "a string": ("abc", "of type str"),
    "nothing": (None, "of type NoneType"),
    "a bool": (True, "of type bool"),
    "a list": ([1.0, 2.0], "of type list"),
}


@pytest.mark.parametrize("case", CELLS)
def test_a_cell_of_something_else(case: str, tmp_path: Path) -> None:
    rows = good()
    rows[1][0], sentence = CELLS[case]
    with pytest.raises(DataError, match=f"a.npy: it holds a cell .*{sentence}|a.npy: it holds .*{sentence}"):
        read(write_rows(tmp_path / "a.npy", rows))


def test_a_shape_that_its_bytes_do_not_fill(tmp_path: Path) -> None:
    """Decompression bombs look like this: a petabyte promised by a few bytes. Nothing is made of the promise."""
    path = write_rows(tmp_path / "a.npy", good())
    content = path.read_bytes()
    assert content.count(b"K\x02\x85") > 0  # the shape (2,)
    path.write_bytes(content.replace(b"K\x02\x85", b"J\xff\xff\xff\x7f\x85", 1))
    with pytest.raises(DataError, match="whose shape does not fit its bytes"):
        read(path)


HEADERS = {
    "too many rows": (21, 4, "|O", r"expected an object array of \(1 to 20, 4\), got object \(21, 4\)"),
    "a billion rows": (10**9, 4, "|O", "1000000000"),
    "no rows": (0, 4, "|O", r"got object \(0, 4\)"),
    "five columns": (2, 5, "|O", r"got object \(2, 5\)"),
    "plain numbers": (2, 4, "<f8", r"got float64 \(2, 4\)"),
}


@pytest.mark.parametrize("case", HEADERS)
def test_a_header_of_something_else(case: str, tmp_path: Path) -> None:
    rows, columns, descr, sentence = HEADERS[case]
    with pytest.raises(DataError, match=sentence):
        read(write_pickle(tmp_path / "a.npy", b"", rows, columns, descr))


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04", b"\x93NUMPY\x01\x00\xff\xff{", b"\x93NUMPY\x09\x00" + bytes(80)]
)
def test_no_npy_file(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(DataError, match=r"a.npy: not a .npy file with a plain header"):
        read(tmp_path / "a.npy")


def test_sizes_and_kinds_of_files(tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(bytes(100_001))
    with pytest.raises(DataError, match="at most 100,000 bytes, got 100,001"):
        read(tmp_path / "a.npy")
    os.mkfifo(tmp_path / "pipe.npy")
    (tmp_path / "device.npy").symlink_to("/dev/zero")
    for name in ("pipe.npy", "device.npy", ""):
        with pytest.raises(UnreadableError, match=r"a pipe, a socket or a device|Is a directory"):
            read(tmp_path / name)
    with pytest.raises(InputError, match="No such file"):
        read(tmp_path / "missing.npy")
