"""``~`` is the home folder in every path of a command line, also where a shell leaves it, as in ``--out=~/runs``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from selectrl.cli.app import app

Call = Callable[..., Any]

LINES = [
    "collect ~/a.gin --env point_robot --data=~/b",
    "train ~/a.gin --data ~/b --out=~/c",
    "evaluate ~/a ~/b --data=~/c",
    "compare ~/a.gin --methods select --env point_robot --tuned=~/b --data=~/c --out=~/d",
    "ablate ~/a.gin --method select --env point_robot --vary encoder=csro --data=~/c --out=~/d",
    "tune ~/a.gin --method select --env point_robot --data=~/b --out=~/c",
    "report ~/a ~/b --out=~/c --export=~/d",
    "render ~/a ~/b --out=~/c.gif --data=~/d",
    "data info ~/a --plot=~/b.png",
    "data verify ~/a",
    "data import-csro ~/a --env point_robot --data=~/b",
    "data import-minari a/b --root=~/a --data=~/b",
    "data export-minari ~/a --namespace a/b --out=~/b",
    "cite ~/a.gin",
]


@pytest.mark.parametrize("line", LINES)
def test_it_is_the_home_in_every_path(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/somebody")
    _, bound, _ = app.parse_args(line.split(), exit_on_error=False, print_error=False)
    shown = str(bound.arguments)
    assert "~" not in shown
    assert shown.count("/somebody/") == line.count("~/")


def test_a_file_of_an_axis_too(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    done = call("ablate", "--method", "select", "--env", "point_robot", "--vary", "encoder=csro,~/mine.gin")
    assert f"cannot read {tmp_path / 'mine.gin'}" in done.sentence(2)


def test_no_folder_of_that_name_is_made(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = call("collect", "--env", "point_robot", "--data=~nobody.here/x")
    assert "write ./~nobody.here/x for a folder of that name" in done.sentence(2)
    assert list(tmp_path.iterdir()) == []
