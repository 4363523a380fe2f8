"""The file of failed runs is read as strictly as any record: what cannot be read is not taken for no failures."""

from __future__ import annotations

from pathlib import Path

import pytest

from selectrl.compare.run import Failures
from selectrl.errors import RecordError, UnreadableError


def test_failures_are_remembered_and_forgotten(tmp_path: Path) -> None:
    assert Failures(tmp_path).reasons == {}
    Failures(tmp_path).add(Path("a"), "no")
    assert Failures(tmp_path).reasons == {"a": "no"}
    Failures(tmp_path).forget(Path("a"))
    assert Failures(tmp_path).reasons == {}


def test_damage_is_named_and_nothing_is_replaced(tmp_path: Path) -> None:
    file = tmp_path / "failures.json"
    file.write_text('{"a": 5}')
    with pytest.raises(RecordError, match=r"failures\.json: expected text, got 5"):
        Failures(tmp_path)
    assert file.read_text() == '{"a": 5}'
    file.unlink()
    file.mkdir()
    with pytest.raises(UnreadableError):
        Failures(tmp_path)
