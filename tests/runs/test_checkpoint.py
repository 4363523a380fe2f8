"""Checkpoints: what was written is what is read, or nothing is; a damaged one is told of, never silently used."""

from __future__ import annotations

import json
import os
import stat
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor

from selectrl.errors import DamageWarning, InputError
from selectrl.runs import checkpoint
from selectrl.runs.checkpoint import Checkpoint

STATE = {"policy.w": torch.arange(6.0).reshape(2, 3), "optim.step": torch.tensor(7), "flag": torch.tensor([True])}
MADE = Checkpoint(STATE, step=7, total=20, metrics=120, phase="rl", record={"key": "k", "versions": {"torch": "2"}})


def same(left: dict[str, Tensor], right: dict[str, Tensor]) -> bool:
    return left.keys() == right.keys() and all(
        left[name].dtype == right[name].dtype and torch.equal(left[name], right[name]) for name in left
    )


def is_sound(found: Checkpoint | None) -> bool:
    return found is not None and same(found.state, STATE) and found.about == MADE.about


def test_what_was_written_is_read(tmp_path: Path) -> None:
    assert is_sound(checkpoint.load(checkpoint.save(tmp_path, MADE)))


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_a_changed_or_cut_file_is_read_as_written_or_not_at_all(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = checkpoint.save(tmp_path_factory.mktemp("run"), MADE)
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        del content[place:]
    else:
        content[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    found = checkpoint.load(path)
    assert found is None or is_sound(found)


@pytest.mark.parametrize(
    "wrong",
    [
        {"step": None},
        {"step": -1},
        {"step": True},
        {"total": "20"},
        {"metrics": 1.5},
        {"phase": 3},
        {"record": []},
        {"more": 1},
    ],
    ids=str,
)
def test_a_file_whose_record_says_what_cannot_be_is_left_out(tmp_path: Path, wrong: dict[str, Any]) -> None:
    """Its checksum may hold, for another version of the library may have written it."""
    about = {name: value for name, value in (MADE.about | wrong).items() if value is not None}
    text = json.dumps(about)
    path = tmp_path / "checkpoint-000000007.safetensors"
    save_file(STATE, path, {"about": text, "digest": checkpoint.digest(STATE, text)})
    assert checkpoint.load(path) is None


def test_a_damaged_newest_gives_way_to_the_one_before_and_is_told_of(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, MADE)
    damaged = checkpoint.save(tmp_path, MADE._replace(step=8))
    assert checkpoint.read_step(tmp_path) == 8
    damaged.write_bytes(b"cut")
    with pytest.warns(DamageWarning, match=f"{damaged.name} is damaged") as told:
        assert is_sound(checkpoint.read_newest(tmp_path))
    assert len(told) == 1


def test_two_are_kept(tmp_path: Path) -> None:
    for step in (7, 8, 9):
        checkpoint.save(tmp_path, MADE._replace(step=step))
    assert [path.name[11:20] for path in sorted(tmp_path.iterdir())] == ["000000008", "000000009"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert checkpoint.read_step(tmp_path) == 9


@pytest.mark.parametrize("damaged", [(60, 80), (60, 65), (15, 80)], ids=str)
def test_what_was_just_written_is_kept_whatever_is_damaged(tmp_path: Path, damaged: tuple[int, ...]) -> None:
    """At each step the newest checkpoints on the disk are the two that were written last."""
    for step in damaged:
        (tmp_path / f"checkpoint-{step:09d}.safetensors").write_bytes(b"damaged")
    with pytest.warns(DamageWarning):
        assert checkpoint.read_newest(tmp_path) is None
    checkpoint.set_later_aside(tmp_path, 0)
    (tmp_path / "metrics.jsonl").write_bytes(bytes(MADE.metrics))
    for step in range(10, 101, 10):
        checkpoint.save(tmp_path, MADE._replace(step=step))
        assert [found.step for found in checkpoint.read_resumable(tmp_path)] == [step - 10, step][::-1][: step // 10]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "checkpoint-000000090.safetensors",
        "checkpoint-000000100.safetensors",
        "metrics.jsonl",
    ]


def test_a_checkpoint_written_beside_later_ones_is_never_the_one_that_goes(tmp_path: Path) -> None:
    for step in (60, 80, 20):
        path = checkpoint.save(tmp_path, MADE._replace(step=step))
    assert is_saved_at(path, 20)


def is_saved_at(path: Path, step: int) -> bool:
    found = checkpoint.load(path)
    return found is not None and found.step == step


@pytest.mark.parametrize(("size", "expected"), [(300, [9, 8]), (299, [8]), (200, [8])])
def test_a_run_continues_from_a_checkpoint_whose_metrics_are_there(
    tmp_path: Path, size: int, expected: list[int]
) -> None:
    checkpoint.save(tmp_path, MADE._replace(step=8, metrics=200))
    checkpoint.save(tmp_path, MADE._replace(step=9, metrics=300))
    (tmp_path / "metrics.jsonl").write_bytes(bytes(size))
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assert [found.step for found in checkpoint.read_resumable(tmp_path)] == expected
    assert [str(one.message).partition("; ")[2] for one in told] == [
        "the run continues from step 8, and 1 steps are trained again"
    ] * (expected == [8])


def test_a_run_whose_metrics_are_gone_is_not_begun_again(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, MADE)
    with pytest.raises(InputError, match="is shorter than the run's checkpoint at step 7 records; restore it"):
        checkpoint.read_shared([tmp_path])


def test_steps_of_more_than_nine_digits_are_in_order(tmp_path: Path) -> None:
    for step in (999_999_999, 1_000_000_000):
        checkpoint.save(tmp_path, MADE._replace(step=step))
    assert checkpoint.read_step(tmp_path) == 1_000_000_000


def test_the_file_and_then_its_name_are_flushed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed = []

    def fsync(handle: int) -> None:
        flushed.append((stat.S_ISDIR(os.fstat(handle).st_mode), any(tmp_path.glob("checkpoint-*"))))

    monkeypatch.setattr(os, "fsync", fsync)
    checkpoint.save(tmp_path, MADE)
    assert flushed == [(False, False), (True, True)]
