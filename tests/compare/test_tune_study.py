"""A search whose study database is damaged, foreign or cannot be written ends in one sentence."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from selectrl.compare import tune
from selectrl.errors import InputError

ASKED = {"bindings": "{}", "knobs": "[]"}


def change(statement: str) -> Callable[[Path], None]:
    def change(file: Path) -> None:
        with sqlite3.connect(file) as connection:
            connection.execute(statement)
        connection.close()

    return change


def cut(size: int) -> Callable[[Path], None]:
    return lambda file: file.write_bytes(file.read_bytes()[:size]) and None


def into_a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


DAMAGE = {
    "garbage": (lambda file: file.write_bytes(b"garbage\n" * 50), "file is not a database"),
    "truncated": (cut(20_000), "malformed"),
    "the first page alone": (cut(4096), "malformed"),
    "a folder": (into_a_folder, "unable to open database file"),
    "values are missing": (change("delete from trial_values"), ""),
    "no JSON": (change("update study_user_attributes set value_json='{'"), "JSONDecodeError"),
    "another state": (change("update trials set state='X'"), "LookupError"),
    "no bindings": (change("delete from trial_user_attributes"), "KeyError"),
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A study with one finished trial, in a folder whose name ends a URL."""
    folder = tmp_path / "a?b#c%20 d"
    folder.mkdir()
    study = tune._study(folder, ASKED)
    trial = study.ask()
    trial.set_user_attr("bindings", {})
    study.tell(trial, 1.0)
    assert (folder / "study.db").exists()
    return folder / "study.db"


def test_a_sound_one_is_opened_again(file: Path) -> None:
    assert tune._study(file.parent, ASKED).best_value == 1.0


@pytest.mark.parametrize("case", DAMAGE)
def test_a_damaged_one_is_named(case: str, file: Path) -> None:
    damage, reason = DAMAGE[case]
    damage(file)
    with pytest.raises(InputError, match=r"^cannot use the study .*study\.db \(.*\); .*(restore it|--out)") as caught:
        tune._study(file.parent, ASKED)
    assert reason in str(caught.value)


def test_a_full_disk_is_said_so(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connect = sqlite3.connect

    def full(file: Path) -> sqlite3.Connection:
        connection = connect(file)
        connection.execute("PRAGMA max_page_count = 1")  # as many as it has
        return connection

    monkeypatch.setattr(sqlite3, "connect", full)
    study = tune._study(file.parent, ASKED)
    with pytest.raises(InputError, match=r"disk is full\); free the disk"), tune._database(file):
        study.set_user_attr("x", "y" * 10**6)


def test_a_study_that_another_program_holds_asks_to_close_it(tmp_path: Path) -> None:
    file = tmp_path / "study.db"
    with sqlite3.connect(file, isolation_level=None) as other:
        other.execute("BEGIN EXCLUSIVE")
        with (
            pytest.raises(InputError, match=r"database is locked\); close the other program that has it open"),
            tune._database(file, sqlite3.Error),
            sqlite3.connect(file, timeout=0) as own,
        ):
            own.execute("CREATE TABLE t (a)")
    other.close()
    own.close()
