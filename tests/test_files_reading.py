"""A file that is absent, one that the operating system does not give, and a damaged one: three different things."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from selectrl import tensor_files
from selectrl.errors import InputError, UnreadableError
from selectrl.files import read_bytes, read_json, read_text
from selectrl.tensor_files import open_tensors, tensor_shapes, write_tensors


def test_a_missing_file_is_not_called_unreadable(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "absent.json", tmp_path / "file" / "below.json"):
        with pytest.raises(InputError, match="cannot read") as caught:
            read_json(path)
        assert not isinstance(caught.value, UnreadableError)


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b"{'a': 1}"])
def test_a_damaged_record_is_not_called_unreadable(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "record.json").write_bytes(content)
    with pytest.raises(InputError, match="is not valid JSON") as caught:
        read_json(tmp_path / "record.json")
    assert not isinstance(caught.value, UnreadableError)


def test_a_file_of_another_owner_is_unreadable(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    path = tmp_path / "record.json"
    path.write_text("{}")
    path.chmod(0)
    request.getfixturevalue("unprivileged")
    with pytest.raises(UnreadableError, match="Permission denied; ask its owner"):
        read_json(path)


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="no file here whose reading fails")
def test_a_file_that_fails_in_reading_is_unreadable() -> None:
    with pytest.raises(UnreadableError, match="Input/output error; check the disk"):
        read_bytes(Path("/proc/self/mem"))  # a regular file, whose first page is not mapped


@pytest.mark.parametrize("kind", ["pipe", "socket", "device", "folder", "loop"])
def test_nothing_but_a_regular_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    path = tmp_path / "r.json"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        monkeypatch.chdir(tmp_path)
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path.name)  # a socket's whole path may be too long
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(path)
    with pytest.raises(UnreadableError, match="cannot read"):
        read_json(path)


def test_lines_end_alike_whoever_wrote_them(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfa\r\nb\xff")
    assert read_text(tmp_path / "a.txt", "utf-8-sig", "replace") == "a\nb\N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize("framework", ["np", "pt"])
def test_what_cannot_be_mapped_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, framework: Literal["np", "pt"]
) -> None:
    path, values = tmp_path / "a.safetensors", np.arange(6, dtype=np.float32).reshape(2, 3)
    write_tensors(path, {"x": values, "flag": np.array([True])})

    def read() -> dict[str, Any]:
        with open_tensors(path, framework) as handle:
            tensors = {name: handle.get_tensor(name).tolist() for name in sorted(handle.keys())}
            return {**tensors, "row": handle.get_slice("x")[1].tolist(), "header": tensor_shapes(path)}

    mapped, tried = read(), []

    def refuse(path: Path, framework: str) -> None:
        tried.append(path)
        raise OSError("No such device (os error 19)")

    monkeypatch.setattr(tensor_files, "safe_open", refuse)
    assert read() == mapped
    assert mapped["x"] == values.tolist()
    assert mapped["header"] == {"flag": ("BOOL", (1,)), "x": ("F32", (2, 3))}
    assert tried == [path, path]
