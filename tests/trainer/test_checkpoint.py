"""Checkpoints: what was written is what is read, or nothing is; a bad state never replaces a sound one."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from selectrl.errors import RunError
from selectrl.trainer import checkpoint

STATE = {"policy.w": torch.arange(6.0).reshape(2, 3), "optim.step": torch.tensor(7), "flag": torch.tensor([True])}
ABOUT = {"step": 7, "metrics": 120, "total": 20}


def same(left: dict[str, Tensor], right: dict[str, Tensor]) -> bool:
    return left.keys() == right.keys() and all(
        left[name].dtype == right[name].dtype and torch.equal(left[name], right[name]) for name in left
    )


def is_sound(found: tuple[dict[str, Tensor], object] | None) -> bool:
    return found is not None and same(found[0], STATE) and found[1] == ABOUT


def test_what_was_written_is_read(tmp_path: Path) -> None:
    assert is_sound(checkpoint.load(checkpoint.save(tmp_path, 7, STATE, ABOUT)))


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_a_changed_or_cut_file_is_read_as_written_or_not_at_all(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = checkpoint.save(tmp_path_factory.mktemp("run"), 7, STATE, ABOUT)
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        del content[place:]
    else:
        content[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    found = checkpoint.load(path)
    assert found is None or is_sound(found)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_state_that_is_not_finite_leaves_the_last_checkpoint(tmp_path: Path, value: float) -> None:
    checkpoint.save(tmp_path, 7, STATE, ABOUT)
    with pytest.raises(RunError, match=r"policy\.w holds NaN or infinity after step 8"):
        checkpoint.save(tmp_path, 8, {**STATE, "policy.w": torch.full((2, 3), value)}, {**ABOUT, "step": 8})
    assert is_sound(checkpoint.newest(tmp_path))
    assert len(list(tmp_path.iterdir())) == 1


def test_a_damaged_newest_gives_way_to_the_one_before(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, 7, STATE, ABOUT)
    checkpoint.save(tmp_path, 8, STATE, {**ABOUT, "step": 8}).write_bytes(b"cut")
    assert is_sound(checkpoint.newest(tmp_path))


def test_the_file_and_then_its_name_are_flushed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed = []

    def fsync(handle: int) -> None:
        flushed.append((stat.S_ISDIR(os.fstat(handle).st_mode), any(tmp_path.glob("checkpoint-*"))))

    monkeypatch.setattr(os, "fsync", fsync)
    checkpoint.save(tmp_path, 7, STATE, ABOUT)
    assert flushed == [(False, False), (True, True)]
