"""Power cuts: what an ext4 disk holds at a random moment of a training is enough to continue it in the same bits.

The disk is a file. A copy of that file, taken while the training works, is the disk as a power cut would leave it: what
was not flushed is not in it.
"""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from stress.kill_storm import print_of

from selectrl.runs import checkpoint
from selectrl.runs.metrics import Metrics
from selectrl.trainer.engine import Engine

Call = Callable[..., Any]
CUTS, SIZE = 20, 12 * 2**20
MOMENTS = ((os, "fsync"), (Path, "replace"), (Path, "unlink"), (Engine, "step"), (Metrics, "write"))
"""Calls before and after each of which a cut may come."""


@contextmanager
def at_moments(act: Callable[[int], object]) -> Iterator[list[int]]:
    """Call a function at every moment, with its number; gives the list of the checkpoints' steps that are saved."""
    count, saved, acting = [0], [], [False]

    def moment() -> None:
        if not acting[0]:
            acting[0] = True
            act(count[0])
            acting[0] = False
            count[0] += 1

    def watched(call: Callable[..., Any]) -> Callable[..., Any]:
        def watch(*arguments: Any, **options: Any) -> Any:
            moment()
            result = call(*arguments, **options)
            moment()
            return result

        return watch

    def save(folder: Path, made: checkpoint.Checkpoint, call: Callable[..., Path] = checkpoint.save) -> Path:
        path = call(folder, made)
        saved.append(made.step)
        return path

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint, "save", save)
        for owner, name in MOMENTS:
            patch.setattr(owner, name, watched(getattr(owner, name)))
        yield saved


def system(*words: object) -> None:
    """Run a command of the system, or skip the test where it is missing or not allowed."""
    try:
        done = subprocess.run([*map(str, words)], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip(f"no {words[0]} here")
    if done.returncode:
        pytest.skip(f"{words[0]} is not allowed here: {done.stderr.strip()}")


@contextmanager
def mounted(disk: Path, folder: Path) -> Iterator[Path]:
    """Mount a file as a disk."""
    folder.mkdir(exist_ok=True)
    system("mount", "-o", "loop", disk, folder)
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """An empty disk."""
    if os.geteuid():
        pytest.skip("mounting takes root")
    path = tmp_path / "disk"
    with path.open("wb") as handle:
        handle.truncate(SIZE)
    system("mkfs.ext4", "-q", "-F", path)
    return path


def test_a_cut_at_any_moment_loses_at_most_the_last_interval(
    disk: Path, call: Call, words: list[str], whole: dict[str, str], tmp_path: Path
) -> None:
    moments: list[int] = []
    with at_moments(moments.append):
        assert call("train", *words, "--out", tmp_path / "counted").code == 0
    chosen = sorted(random.Random(0).sample(moments, CUTS))
    cuts: list[tuple[Path, int]] = []  # a copy of the disk, and the last step that was saved

    def cut(moment: int) -> None:
        if moment in chosen:
            cuts.append((tmp_path / f"cut{moment}", max(saved, default=0)))
            system("cp", "--sparse=always", disk, cuts[-1][0])

    with mounted(disk, tmp_path / "whole") as out, at_moments(cut) as saved:
        assert call("train", *words, "--out", out).code == 0
        assert print_of(out) == whole
    assert len(cuts) == CUTS
    for copy, step in cuts:
        with mounted(copy, tmp_path / "again") as out:
            before = checkpoint.read_step(out / "point_robot" / "run" / "seed0")
            done = call("train", *words, "--out", out)
            assert done.code == 0, (copy.name, done)
            assert not [line for line in done.err.splitlines() if line.startswith("selectrl: ")], (copy.name, done)
            assert before >= step, copy.name
            assert print_of(out) == whole, copy.name
        copy.unlink()


def test_metrics_are_on_the_disk_before_the_checkpoint_that_counts_on_them(
    call: Call, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The order that makes the above true, on any system."""
    flushed, fsync, replace = [0], os.fsync, os.replace
    checked = []

    def watch_fsync(handle: int) -> None:
        if (status := os.fstat(handle)).st_ino == identity():
            flushed[0] = status.st_size
        fsync(handle)

    def identity() -> int:
        path = tmp_path / "point_robot" / "run" / "seed0" / "metrics.jsonl"
        return path.stat().st_ino if path.exists() else -1

    def watch_replace(source: str, target: str, **folders: int) -> None:
        if target.startswith("checkpoint-"):
            saved = checkpoint.load(Path(f"/proc/self/fd/{folders['src_dir_fd']}") / source)
            assert saved is not None
            assert flushed[0] >= saved.metrics > 0
            checked.append(saved.step)
        replace(source, target, **folders)

    monkeypatch.setattr(os, "fsync", watch_fsync)
    monkeypatch.setattr(os, "replace", watch_replace)
    assert call("train", *words, "--out", tmp_path).code == 0
    assert checked == [10, 20, 30, 40]
