"""HDF5 files that name other files or code are refused before their data are read, and none waits on a pipe."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from h5py import h5d, h5l, h5p, h5pl, h5s, h5t, h5z

from selectrl.data.hdf5_files import LARGEST_CHUNK, open_hdf5
from selectrl.errors import DataError, InputError, UnreadableError

VALUES = np.arange(6, dtype="f4")


@pytest.fixture(autouse=True)
def never_waits(tmp_path: Path) -> Iterator[None]:
    """Fail a test that waits on a pipe: after a minute a writer opens and closes each pipe, which ends the wait."""
    waited = []

    def release() -> None:
        for pipe in [path for path in tmp_path.rglob("*") if path.is_fifo()]:
            waited.append(pipe)
            os.close(os.open(pipe, os.O_RDWR | os.O_NONBLOCK))

    timer = threading.Timer(60, release)
    timer.start()
    yield
    timer.cancel()
    timer.join()
    assert not waited


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A sound file, which other files lie next to: secret.bin, secret.hdf5 and a pipe."""
    (tmp_path / "secret.bin").write_bytes(VALUES.tobytes())
    with h5py.File(tmp_path / "secret.hdf5", "w") as file:
        file["values"] = VALUES
    os.mkfifo(tmp_path / "pipe")
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        for i, packing in enumerate(
            ({}, {"compression": "gzip", "shuffle": True, "fletcher32": True}, {"chunks": (2,)})
        ):
            file.create_dataset(f"group{i}/values", data=VALUES, **packing)
        file.create_dataset("group1/packed", data=VALUES, compression="lzf")
        file["group1/names"] = ["a", "b"]
        file["group1/flags"] = VALUES > 2
        file["group1/root"] = file["/"]  # a hard link to a group above
    return tmp_path / "a.hdf5"


def with_filter(file: Any, number: int) -> None:
    layout = h5p.create(h5p.DATASET_CREATE)
    layout.set_chunk((6,))
    layout.set_filter(number, h5z.FLAG_OPTIONAL, (3,))
    h5d.create(file["group2"].id, b"bad", h5t.IEEE_F32LE, h5s.create_simple((6,)), layout)


def virtual(file: Any, source: str) -> None:
    layout = h5py.VirtualLayout((6,), "f4")
    layout[:] = h5py.VirtualSource(source, "values", (6,))
    file.create_virtual_dataset("group2/bad", layout)


def of_committed_type(file: Any) -> None:
    file["type"] = np.dtype("f4")
    file["group2"].create_dataset("bad", (6,), file["type"])
    del file["type"]


def external(*names: str) -> Callable[[Any], object]:
    places = [(name, 0, 24 // len(names)) for name in names]
    return lambda file: file["group2"].create_dataset("bad", (6,), "f4", external=places)


def of_kind(kind: Any) -> Callable[[Any], object]:
    return lambda file: file["group2"].create_dataset("bad", (1,), kind)


def put(item: Any) -> Callable[[Any], None]:
    def put(file: Any) -> None:
        file["group2/bad"] = item

    return put


HOSTILE: dict[str, tuple[Callable[[Any], object], str]] = {
    "external storage": (external("secret.bin"), "keeps its values in another file"),
    "external storage in a pipe": (external("pipe"), "keeps its values in another file"),
    "external storage in two files": (
        lambda file: file["group2"].create_dataset(
            "bad", (6,), "f4", external=[("secret.bin", 0, 12), ("pipe", 0, 12)]
        ),
        "keeps its values in another file",
    ),
    "an external link": (put(h5py.ExternalLink("secret.hdf5", "/values")), "is a link to another file"),
    "an external link to a pipe": (put(h5py.ExternalLink("pipe", "/values")), "is a link to another file"),
    "an external link to the file itself": (put(h5py.ExternalLink("a.hdf5", "/group0")), "is a link to another file"),
    "a soft link": (put(h5py.SoftLink("/group0/values")), "is a soft link"),
    "a soft link to nothing": (put(h5py.SoftLink("/nothing")), "is a soft link"),
    "a view of another file": (lambda file: virtual(file, "secret.hdf5"), "is a view of other datasets"),
    "a view of a pipe": (lambda file: virtual(file, "pipe"), "is a view of other datasets"),
    "a view of itself": (lambda file: virtual(file, "."), "is a view of other datasets"),
    "a plugin's filter": (lambda file: with_filter(file, 32015), "needs the filter 32015"),
    "a reserved filter": (lambda file: with_filter(file, 300), "needs the filter 300"),
    "a named type": (lambda file: put(np.dtype("f4"))(file), "is neither a group nor a dataset"),
    "of a named type": (of_committed_type, "holds neither numbers nor text"),
    "references": (
        lambda file: file["group2"].create_dataset("bad", (1,), h5py.ref_dtype),
        "holds neither numbers nor text",
    ),
    "lists": (
        lambda file: file["group2"].create_dataset("bad", (1,), h5py.vlen_dtype("f4")),
        "holds neither numbers nor text",
    ),
    "records": (put(np.zeros(2, "f4,f4")), "holds neither numbers nor text"),
    "a huge piece": (
        lambda file: file["group2"].create_dataset(
            "bad", (LARGEST_CHUNK,), "f4", chunks=(LARGEST_CHUNK // 2,), compression="gzip"
        ),
        "is packed in pieces of over 268,435,456 bytes",
    ),
}


class TestInside:
    def test_a_sound_file_is_read(self, path: Path) -> None:
        with open_hdf5(path) as file:
            for name in ("group0/values", "group1/values", "group1/packed", "group2/values"):
                assert np.array_equal(file[name][:], VALUES)

    @pytest.mark.parametrize("case", HOSTILE)
    def test_what_leads_out_is_refused(self, case: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        add, sentence = HOSTILE[case]
        monkeypatch.chdir(path.parent)
        with h5py.File(path, "a") as file:
            add(file)
        with pytest.raises(DataError, match=rf"'/group2/bad' {sentence.split()[0]}") as caught, open_hdf5(path):
            pytest.fail("it was opened")
        assert sentence in str(caught.value)
        assert "was not read" in str(caught.value)

    @pytest.mark.parametrize("case", ["external storage", "an external link", "a view of another file"])
    def test_without_the_walk_the_other_file_would_be_read(
        self, case: str, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """These cases are real: HDF5 alone follows them."""
        monkeypatch.chdir(path.parent)
        with h5py.File(path, "a") as file:
            HOSTILE[case][0](file)
        with h5py.File(path, "r") as file:
            assert np.array_equal(file["group2/bad"][:], VALUES)

    def test_a_link_of_a_kind_of_its_own(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Kinds from 65 belong to programs that register them."""
        monkeypatch.setattr(h5l, "TYPE_HARD", 65)
        with pytest.raises(DataError, match="is a link of a user-defined kind"), open_hdf5(path):
            pytest.fail("it was opened")


class TestPlugins:
    def test_none_is_loaded_while_a_file_is_open(self, path: Path, tmp_path: Path) -> None:
        h5pl.append(bytes(tmp_path))
        folders = [h5pl.get(i) for i in range(h5pl.size())]
        try:
            with open_hdf5(path):
                assert h5pl.size() == 0
            assert [h5pl.get(i) for i in range(h5pl.size())] == folders
            path.write_bytes(b"no HDF5")
            with pytest.raises(DataError), open_hdf5(path):
                pytest.fail("it was opened")
            assert [h5pl.get(i) for i in range(h5pl.size())] == folders
        finally:
            h5pl.remove(h5pl.size() - 1)


class TestFiles:
    @pytest.mark.parametrize("kind", ["pipe", "device", "folder", "link to a pipe"])
    def test_only_regular_files_are_opened(self, kind: str, path: Path) -> None:
        pipe = path.with_name("pipe")
        path.unlink()
        if kind == "pipe":
            os.mkfifo(path)
        elif kind == "folder":
            path.mkdir()
        else:
            path.symlink_to("/dev/zero" if kind == "device" else pipe)
        with (
            pytest.raises(UnreadableError, match=r"a.hdf5: (it is a pipe, a socket or a device|Is a directory)"),
            open_hdf5(path),
        ):
            pytest.fail("it was opened")

    def test_a_missing_file(self, path: Path) -> None:
        with pytest.raises(InputError, match="No such file"), open_hdf5(path.with_name("b.hdf5")):
            pytest.fail("it was opened")

    @pytest.mark.parametrize("content", [b"", b"text", b"\x89HDF\r\n\x1a\n" + bytes(99)])
    def test_other_files(self, content: bytes, path: Path) -> None:
        path.write_bytes(content)
        with pytest.raises(DataError, match="cannot be read"), open_hdf5(path):
            pytest.fail("it was opened")
