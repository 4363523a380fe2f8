"""A folder that is renamed, removed or replaced while a command works in it: nothing is written under its old name."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from stress.kill_storm import print_of

from selectrl.evaluate.harness import MetaTest
from selectrl.runs import checkpoint

Call = Callable[..., Any]


def stopped(done: Any, run: Path) -> str:
    """Check that a command ended in one sentence about the folder, and return its end."""
    assert done.code == 2, done
    (line,) = [line for line in done.err.splitlines() if line.startswith("selectrl: ")]
    start = f"selectrl: {run} was renamed or removed during the work in it; "
    assert line.startswith(start), done
    return line.removeprefix(start)


@pytest.mark.parametrize("step", [1, 12, 39])
@pytest.mark.parametrize("level", [0, 2])
def test_a_renamed_folder_holds_the_work_and_says_so(
    step: int, level: int, call: Call, at_step: Call, words: list[str], whole: dict[str, str], tmp_path: Path
) -> None:
    run = tmp_path / "runs" / "point_robot" / "run" / "seed0"
    folder = [run, *run.parents][level]
    away = folder.with_name("away")
    with at_step(step, lambda: folder.rename(away)):
        done = call("train", *words, "--out", tmp_path / "runs")
    now = away / run.relative_to(folder)
    assert stopped(done, run) == (
        f"the work up to the last checkpoint is in {now}: move it back and give the same command again"
    )
    assert not folder.exists()
    assert checkpoint.read_step(now) == step // 10 * 10
    away.rename(folder)
    assert call("train", *words, "--out", tmp_path / "runs").code == 0
    assert print_of(tmp_path / "runs") == whole


@pytest.mark.parametrize("replaced", [False, True])
def test_a_removed_folder_is_not_made_again(
    replaced: bool, call: Call, at_step: Call, words: list[str], whole: dict[str, str], tmp_path: Path
) -> None:
    run = tmp_path / "point_robot" / "run" / "seed0"

    def remove() -> None:
        shutil.rmtree(run)
        if replaced:
            run.mkdir()

    with at_step(12, remove):
        done = call("train", *words, "--out", tmp_path)
    assert "nothing of it is left" in stopped(done, run)
    assert not list(run.parent.rglob("*.*"))
    assert call("train", *words, "--out", tmp_path).code == 0
    assert print_of(tmp_path) == whole


def test_a_folder_that_is_renamed_during_its_evaluation(
    call: Call, words: list[str], data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "point_robot" / "run" / "seed0"
    assert call("train", *words, "--out", tmp_path).code == 0
    tested, away = MetaTest.run, tmp_path / "away"

    def test_and_rename(self: MetaTest, *arguments: Any) -> Any:
        result = tested(self, *arguments)
        run.rename(away)
        return result

    before = print_of(run)
    with monkeypatch.context() as patch:
        patch.setattr(MetaTest, "run", test_and_rename)
        done = call("evaluate", run, "--data", data, "--label", "again")
    assert str(away) in stopped(done, run)
    assert not run.exists()
    assert print_of(away) == before
