"""Disks that fill up or turn read-only, data that vanish, clocks that jump, memory and workers that are taken away.

Each ends in one sentence with exit code 1 or 2 and leaves the disk sound: the same command, given again when the fault
is mended, ends in the same bits as one that nothing disturbed.
"""

from __future__ import annotations

import errno
import fcntl
import itertools
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from stress.kill_storm import print_of

Call = Callable[..., Any]


def last(done: Any, *codes: int) -> str:
    """Check that a command failed in one sentence, and return it."""
    assert done.code in codes, done
    assert "Traceback" not in done.err
    assert "internal error" not in done.err
    said = [line for line in done.err.splitlines() if line.startswith("selectrl: ")]
    assert len(said) == 1, done.err
    return said[0]


def mount(*words: object) -> None:
    """Mount something, or skip the test where that is not allowed."""
    if os.geteuid():
        pytest.skip("mounting takes root")
    done = subprocess.run(["mount", *map(str, words)], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"mounting is not allowed here: {done.stderr.strip()}")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of two megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount("-t", "tmpfs", "-o", "size=2m", "tmpfs", folder)
    yield folder
    subprocess.run(["umount", folder], check=True)


def fill(disk: Path, left: int) -> Path:
    """Leave so many bytes of a disk free."""
    ballast = disk / "ballast"
    ballast.write_bytes(b"x" * (shutil.disk_usage(disk).free - left))
    return ballast


@pytest.mark.parametrize("left", [0, 8_192, 28_672, 200_000])
def test_a_disk_that_is_full_from_the_start(
    left: int, disk: Path, call: Call, words: list[str], whole: dict[str, str]
) -> None:
    ballast = fill(disk, left)
    assert "No space left on device" in last(call("train", *words, "--out", disk), 2)
    assert not list(disk.rglob("*.tmp"))
    ballast.unlink()
    assert call("train", *words, "--out", disk).code == 0
    assert print_of(disk) == whole


@pytest.mark.parametrize("step", [4, 9, 27])
def test_a_disk_that_fills_up(
    step: int, disk: Path, call: Call, at_step: Call, words: list[str], whole: dict[str, str]
) -> None:
    with at_step(step, lambda: fill(disk, 0)):
        assert "No space left on device" in last(call("train", *words, "--out", disk), 2)
    (disk / "ballast").unlink()
    assert call("train", *words, "--out", disk).code == 0
    assert print_of(disk) == whole


def test_a_disk_that_turns_read_only(
    disk: Path, call: Call, at_step: Call, words: list[str], whole: dict[str, str]
) -> None:
    with at_step(17, lambda: mount("-o", "remount,ro", disk)):
        assert "Read-only file system" in last(call("train", *words, "--out", disk), 2)
    assert "Read-only file system" in last(call("train", *words, "--out", disk), 2)
    mount("-o", "remount,rw", disk)
    assert call("train", *words, "--out", disk).code == 0
    assert print_of(disk) == whole


def test_data_on_a_read_only_disk_are_read(
    disk: Path, call: Call, small: Call, data: Path, whole: dict[str, str], words: list[str], tmp_path: Path
) -> None:
    shutil.copytree(data, disk / "data", ignore=shutil.ignore_patterns(".*"))
    mount("-o", "remount,ro", disk)
    at = words.index("--data")
    done = call("train", *words[: at + 1], disk / "data", *words[at + 2 :], "--out", tmp_path / "runs")
    assert done.code == 0, done
    assert print_of(tmp_path / "runs") == whole


@pytest.mark.parametrize("step", [1, 22, 40])
def test_data_that_vanish(
    step: int, call: Call, at_step: Call, words: list[str], own_data: Path, whole: dict[str, str], tmp_path: Path
) -> None:
    """What training needs is in memory; what the tests at its end need is asked for again."""
    at, away = words.index("--data"), tmp_path / "away"
    command = ["train", *words[: at + 1], own_data, *words[at + 2 :], "--out", tmp_path / "runs"]
    with at_step(step, lambda: own_data.rename(away)):
        done = call(*command)
    if done.code:
        assert str(own_data) in last(done, 2)
    assert str(own_data) in last(call(*command), 2)
    away.rename(own_data)
    assert call(*command).code == 0
    assert print_of(tmp_path / "runs") == whole


def test_clocks_that_jump(
    call: Call, at_step: Call, words: list[str], whole: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wall clock runs backwards, and the files of the first half lie in the future."""
    now = itertools.count(0, -3600)
    monkeypatch.setattr(time, "time", lambda: float(next(now)))
    monkeypatch.setattr(time, "time_ns", lambda: next(now) * 10**9)

    def stop() -> None:
        raise KeyboardInterrupt

    with at_step(25, stop), pytest.raises(KeyboardInterrupt):
        call("train", *words, "--out", tmp_path)
    for count, path in enumerate(sorted(tmp_path.rglob("*"))):
        os.utime(path, (4e9 - count, 4e9 - count))
    assert call("train", *words, "--out", tmp_path).code == 0
    assert print_of(tmp_path) == whole


@pytest.mark.own_process
def test_memory_that_is_not_there(call: Call, small: Call, words: list[str], tmp_path: Path) -> None:
    size = psutil.Process().memory_info().vms
    resource.setrlimit(resource.RLIMIT_AS, (size + 200 * 2**20, resource.getrlimit(resource.RLIMIT_AS)[1]))
    done = call("train", *small({"train.batch": 2_000_000}), "--out", tmp_path)
    assert "memory ran out" in last(done, 1)
    assert "run fewer in parallel (--jobs) or bind smaller batches" in last(done, 1)


def test_no_folder_for_temporary_files(call: Call, words: list[str], tmp_path: Path) -> None:
    """Torch asks for one when it is loaded, in a process of its own."""
    code = (
        "import sys, tempfile; tempfile._candidate_tempdir_list = lambda: []\n"
        "from selectrl.cli.app import run; sys.exit(run(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", code, "train", *words, "--out", tmp_path]
    env = {
        name: value for name, value in os.environ.items() if not name.startswith("TORCHINDUCTOR")
    }  # torch sets these
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "no folder for temporary files that can be written to; set the environment variable TMPDIR" in done.stderr


@pytest.mark.parametrize("kind", ["gin file", "manifest", "task", "record", "evaluation"])
def test_a_pipe_in_place_of_a_file(
    kind: str, call: Call, words: list[str], own_data: Path, whole: dict[str, str], tmp_path: Path
) -> None:
    """Nothing waits for somebody to write into it."""
    at, out = words.index("--data"), tmp_path / "runs"
    command = ["train", *words[: at + 1], own_data, *words[at + 2 :], "--out", out]
    assert call(*command).code == 0
    path = {
        "gin file": tmp_path / "mine.gin",
        "manifest": own_data / "point_robot" / "tiny" / "manifest.json",
        "task": own_data / "point_robot" / "tiny" / "task_001.safetensors",
        "record": out / "point_robot" / "run" / "seed0" / "experiment.json",
        "evaluation": next(out.rglob("evaluations/*.json")),
    }[kind]
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    if kind == "gin file":
        command.insert(1, path)
    assert str(path) in last(call(*command), 2)
    assert path.is_fifo()


def test_a_file_system_without_locks(
    call: Call, words: list[str], whole: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(handle: int, how: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "flock", refuse)
        sentence = last(call("train", *words, "--out", tmp_path / "refused"), 2)
        assert "is on a file system without locks (No locks available)" in sentence
        assert "another process" not in sentence
        assert "SELECTRL_LOCK=lease" in sentence
        patch.setenv("SELECTRL_LOCK", "lease")
        assert call("train", *words, "--out", tmp_path / "leased").code == 0
        assert print_of(tmp_path / "leased") == whole
        assert not list(tmp_path.rglob("*lease"))
    assert call("train", *words, "--out", tmp_path / "refused").code == 0
    assert print_of(tmp_path / "refused") == whole


def test_a_lock_ends_with_the_process_that_held_it(
    call: Call, words: list[str], whole: dict[str, str], tmp_path: Path
) -> None:
    """The killed process leaves its folder as it was; nothing has to be cleared away by hand."""
    run = tmp_path / "point_robot" / "run" / "seed0"
    run.mkdir(parents=True)
    code = (
        "import fcntl, os, sys, time; handle = os.open(sys.argv[1], os.O_RDONLY)\n"
        "fcntl.flock(handle, fcntl.LOCK_EX); print('held', flush=True); time.sleep(600)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, run], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    assert f"another process works in {run}" in last(call("train", *words, "--out", tmp_path), 2)
    holder.kill()
    holder.wait()
    holder.stdout.close()
    assert call("train", *words, "--out", tmp_path).code == 0
    assert print_of(tmp_path) == whole
