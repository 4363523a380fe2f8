"""Writing: temporary names that are surely ours, modes by the umask, names that last; folders held and made whole."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save

from selectrl import files
from selectrl.errors import InputError, UnreadableError
from selectrl.files import make_folder, write_atomically, write_json
from selectrl.locks import build_folder, lock
from selectrl.tensor_files import write_tensors

HELD = "import sys, time\nfrom pathlib import Path\nfrom selectrl import files, locks\n"
WRITER = HELD + (
    "def stall(path):\n    path.write_text('half')\n    print(path, flush=True)\n    time.sleep(600)\n"
    "files.write_atomically(Path(sys.argv[1]), stall)\n"
)


def start(code: str, *arguments: object, **environment: str) -> tuple[subprocess.Popen[str], str]:
    """Start a process and wait for its first line."""
    words = [sys.executable, "-c", code, *map(str, arguments)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment})
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def end(process: subprocess.Popen[str], how: signal.Signals = signal.SIGKILL) -> None:
    process.send_signal(how)
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


@pytest.mark.own_process
def test_files_have_the_mode_that_the_umask_asks_for(tmp_path: Path) -> None:
    os.umask(0o027)
    write_tensors(tmp_path / "new" / "a.safetensors", {"x": np.arange(3)})
    write_json(tmp_path / "new" / "a.json", {})
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "new").iterdir()}
    assert modes == {"a.safetensors": 0o640, "a.json": 0o640}


def test_tensors_are_written_byte_by_byte_as_safetensors_does(tmp_path: Path) -> None:
    """A dataset's fingerprint is of these bytes."""
    arrays = {
        "scalar": np.array(2, np.int64),
        "flags": np.array([True, False]),
        "turned": np.arange(6, dtype=np.float32).reshape(2, 3).T,
        "empty": np.zeros((0, 4)),
    }
    content = write_tensors(tmp_path / "a.safetensors", arrays, {"about": "x"})
    contiguous = {name: np.asarray(value, order="C") for name, value in arrays.items()}
    assert content == (tmp_path / "a.safetensors").read_bytes() == save(contiguous, {"about": "x"})
    back = load_file(tmp_path / "a.safetensors")
    assert all(np.array_equal(back[name], value) and back[name].shape == value.shape for name, value in arrays.items())


def test_arrays_whose_values_are_not_side_by_side_are_written_as_they_are(tmp_path: Path) -> None:
    """safetensors 0.8 writes the memory from an array's first value on, whatever its strides are."""
    rows = np.arange(12, dtype=np.float32).reshape(3, 4)
    arrays = {"spread": np.broadcast_to(rows[0], (5, 4)), "turned": rows.T, "every_second": rows[:, ::2]}
    write_tensors(tmp_path / "file.safetensors", arrays)
    written = load_file(tmp_path / "file.safetensors")
    for name, values in arrays.items():
        np.testing.assert_array_equal(written[name], values)


def test_no_module_writes_safetensors_of_its_own() -> None:
    """The library's own writer gives files the mode 0600 and leaves temporary names that nobody sweeps."""
    package = Path(files.__file__).parent
    assert [path.name for path in package.rglob("*.py") if "save_file" in path.read_text(encoding="utf-8")] == []


def test_a_killed_write_is_swept_by_the_next_one_and_a_running_one_is_not(tmp_path: Path) -> None:
    running, half = start(WRITER, tmp_path / "a")
    write_json(tmp_path / "b", {})
    assert Path(half).read_text() == "half"
    end(running)
    write_json(tmp_path / "b", {})
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


@pytest.mark.parametrize("kind", ["another owner's", "a pipe", "a folder"])
def test_what_cannot_be_read_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, kind: str
) -> None:
    monkeypatch.chdir(tmp_path)  # the folders above are closed to others
    path = Path("record.json")
    if kind == "a pipe":
        os.mkfifo(path)
    elif kind == "a folder":
        path.mkdir()
    else:
        path.write_text("precious")
        path.chmod(0)
    tmp_path.chmod(0o777)
    before = path.lstat()
    if kind == "another owner's":
        request.getfixturevalue("unprivileged")
    with pytest.raises(UnreadableError, match="cannot read"):
        write_json(path, {})
    assert path.lstat().st_ino == before.st_ino


def test_a_link_to_nothing_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "record.json").symlink_to(tmp_path / "nothing")
    write_json(tmp_path / "record.json", {})
    assert [path.name for path in tmp_path.iterdir()] == ["record.json"]
    assert (tmp_path / "record.json").read_text() == "{}\n"


FOREIGN = (".syncthing.a.tmp", ".a.tmp", ".a.123.tmp", ".selectrl-12.tmp", ".tmpAbCdEf", ".selectrl-mine.tmp")


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_what_is_not_surely_ours_stays(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "target"
    target.write_text("mine")
    names = FOREIGN if kind == "file" else (".foo.tmp", ".selectrl-0123456789abcdef.tmp")
    for name in names:
        path = tmp_path / name
        path.write_text("mine") if kind == "file" else path.mkdir() if kind == "folder" else path.symlink_to(target)
    with lock(tmp_path):
        write_json(tmp_path / "a.json", {})
    assert {path.name for path in tmp_path.iterdir()} == {*names, "target", "a.json"}
    assert target.read_text() == "mine"


def test_temporary_names_are_created_exclusively(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "target"
    target.write_text("mine")
    monkeypatch.setattr(files.secrets, "token_hex", lambda size: "0" * 2 * size)
    (tmp_path / f".selectrl-{'0' * 16}.tmp").symlink_to(target)
    with pytest.raises(InputError, match=r"cannot write .*a.json: File exists"):
        write_json(tmp_path / "a.json", {})
    assert target.read_text() == "mine"


def test_a_sweep_between_creating_and_locking_costs_another_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, swept = fcntl.flock, []

    def late(handle: int, how: int) -> None:
        if not swept:
            swept.extend(tmp_path.glob(".selectrl-*"))
            swept[0].unlink()
        real(handle, how)

    monkeypatch.setattr(fcntl, "flock", late)
    write_json(tmp_path / "a.json", {})
    assert len(swept) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_without_locks_only_old_leftovers_are_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(handle: int, how: int) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    young, old = (tmp_path / f".selectrl-{letter * 16}.tmp" for letter in "ab")
    for path in (young, old):
        path.touch()
    os.utime(old, (1e9, 1e9))
    write_json(tmp_path / "a.json", {})
    assert {path.name for path in tmp_path.iterdir()} == {young.name, "a.json"}


def test_the_names_of_new_folders_are_flushed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A power cut after the write must not take the folder away whose files it flushed."""
    flushed: list[tuple[Path, set[str]]] = []
    real = os.fsync

    def note(handle: int) -> None:
        path = Path(f"/proc/self/fd/{handle}").readlink()
        flushed.append((path, {entry.name for entry in path.iterdir()} if path.is_dir() else set()))
        real(handle)

    monkeypatch.setattr(os, "fsync", note)
    write_json(tmp_path / "env" / "run" / "a.json", {})
    for folder, name in [(tmp_path, "env"), (tmp_path / "env", "run"), (tmp_path / "env" / "run", "a.json")]:
        assert any(path == folder and name in names for path, names in flushed), (folder, name)
    assert flushed[-1] == (tmp_path / "env" / "run", {"a.json"})


def test_a_whole_folder_is_flushed_before_it_gets_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[str] = []
    real = os.fsync

    def note(handle: int) -> None:
        flushed.append(Path(f"/proc/self/fd/{handle}").readlink().name)
        real(handle)

    with build_folder(tmp_path / "data") as work:
        make_folder(work / "inner")
        (work / "inner" / "plain.hdf5").touch()
        monkeypatch.setattr(os, "fsync", note)
    assert flushed[-1] == tmp_path.name
    assert {"plain.hdf5", "inner", work.name} <= set(flushed[:-1])


def test_a_symlink_in_place_of_the_folder_that_is_being_made_is_refused(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    (target / "precious").touch()
    (tmp_path / ".data.selectrl-making").symlink_to(target)
    with (
        pytest.raises(InputError, match=r"\.data\.selectrl-making is a symbolic link"),
        build_folder(tmp_path / "data"),
    ):
        pytest.fail("it was followed")
    assert [path.name for path in target.iterdir()] == ["precious"]


def test_a_hidden_folder_is_never_held_through_a_symlink(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    (tmp_path / ".comparison").symlink_to(tmp_path / "target")
    with pytest.raises(InputError, match=r"\.comparison is a symbolic link"), lock(tmp_path / ".comparison"):
        pytest.fail("it was followed")


def test_a_link_inside_what_a_kill_left_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    (target / "precious").touch()
    left = tmp_path / ".data.selectrl-making"
    left.mkdir()
    (left / "link").symlink_to(target)
    with build_folder(tmp_path / "data"):
        pass
    assert list((tmp_path / "data").iterdir()) == []
    assert (target / "precious").exists()


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_after_an_error_nothing_is_left(tmp_path: Path, error: type[BaseException]) -> None:
    def fill() -> None:
        with build_folder(tmp_path / "a" / "b" / "data") as work:
            (work / "half").touch()
            raise error

    with pytest.raises(error):
        fill()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_held_by_one_process(tmp_path: Path) -> None:
    code = HELD + "with locks.lock(Path(sys.argv[1])):\n    print('held', flush=True)\n    time.sleep(600)\n"
    holder, line = start(code, tmp_path / "run")
    assert line == "held"
    with pytest.raises(InputError, match="another process works in"), lock(tmp_path / "run"):
        pytest.fail("two hold it")
    end(holder)
    with lock(tmp_path / "run"):
        pass


def test_a_folder_that_was_renamed_before_it_was_locked_is_not_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, run = fcntl.flock, tmp_path / "run"

    def late(handle: int, how: int) -> None:
        if run.exists():
            run.rename(tmp_path / "elsewhere")
        real(handle, how)

    monkeypatch.setattr(fcntl, "flock", late)
    with pytest.raises(InputError, match="another process works in"), lock(run):
        pytest.fail("a folder was held that is not there")


def test_an_unknown_kind_of_lock_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SELECTRL_LOCK", "leese")
    with pytest.raises(InputError, match=r"SELECTRL_LOCK is 'leese'; did you mean 'lease'\?"), lock(tmp_path / "a"):
        pytest.fail("held")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "free the disk"),
        (errno.EACCES, "ask its owner for access, or choose another place"),
        (errno.ENOENT, "check that its folder still exists"),
        (errno.ENOTDIR, "a part of it is a file where a folder is expected"),
        (errno.EIO, "check the disk that it is on"),
        (None, "check the path, or choose another"),
    ],
)
def test_the_remedy_fits_the_reason(tmp_path: Path, number: int | None, remedy: str) -> None:
    def refuse(path: Path) -> Any:
        raise OSError("no reason") if number is None else OSError(number, os.strerror(number))

    with pytest.raises(InputError, match=remedy):
        write_atomically(tmp_path / "a", refuse)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("replaced", [False, True])
@pytest.mark.parametrize("late", [False, True])
def test_a_held_folder_that_is_renamed_during_a_write(tmp_path: Path, replaced: bool, late: bool) -> None:
    """Neither the old folder nor a new one of its name keeps a half or an empty file."""
    folder, away = tmp_path / "run", tmp_path / "away"

    def rename(path: Path) -> None:
        if late:
            path.write_text("whole")
        folder.rename(away)
        if replaced:
            folder.mkdir()
        if not late:
            path.write_text("whole")

    with lock(folder), pytest.raises(InputError, match=r"was renamed or removed during the work in it; .*away: move"):
        write_atomically(folder / "a.json", rename)
    assert sorted(path.name for path in tmp_path.rglob("*")) == (["away", "run"] if replaced else ["away"])


def test_a_held_folder_that_is_removed_during_a_write(tmp_path: Path) -> None:
    def remove(path: Path) -> None:
        shutil.rmtree(tmp_path / "run")
        path.write_text("whole")

    with lock(tmp_path / "run"), pytest.raises(InputError, match="nothing of it is left"):
        write_atomically(tmp_path / "run" / "a.json", remove)
    assert list(tmp_path.iterdir()) == []


def test_names_as_long_as_the_file_system_allows(tmp_path: Path) -> None:
    write_tensors(tmp_path / ("a" * 255), {"x": np.ones(2)})
    assert load_file(tmp_path / ("a" * 255))["x"].tolist() == [1, 1]
