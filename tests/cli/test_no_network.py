"""No command reaches for the network, in whatever process: every socket but those of the machine itself is refused."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from journey import JOURNEY

#: Python imports a module of this name in every process that begins with its folder on the path.
WATCH = """
import os, socket, sys

def hook(event, arguments):
    local = event in ("socket.connect", "socket.bind", "socket.sendto") and arguments[0].family == socket.AF_UNIX
    if event.startswith("socket.") and event != "socket.__new__" and event != "socket.gethostname" and not local:
        with open(os.environ["NETWORK_LOG"], "a") as log:
            print(event, arguments, file=log)
        raise OSError("no network here")

sys.addaudithook(hook)
"""


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the processes of a test reached for; the watch is in all of them."""
    (tmp_path / "watch").mkdir()
    (tmp_path / "watch" / "sitecustomize.py").write_text(WATCH)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "watch"), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("NETWORK_LOG", str(tmp_path / "log"))
    (tmp_path / "log").touch()
    return tmp_path / "log"


def test_a_whole_journey_needs_none(command: Callable[..., Any], log: Path, tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    for arguments in JOURNEY:
        done = command(*(word.replace("steps=200", "steps=20") for word in arguments), cwd=tmp_path / "work")
        assert done.code == 0, done
    assert (tmp_path / "work" / "report" / "index.html").is_file()
    assert log.read_text() == ""


@pytest.mark.parametrize("code", ["socket.create_connection(('127.0.0.1', 9))", "socket.gethostbyname('localhost')"])
def test_the_watch_sees_one_that_does(code: str, log: Path) -> None:
    done = subprocess.run([sys.executable, "-c", f"import socket; {code}"], capture_output=True, text=True, check=False)
    assert "no network here" in done.stderr
    assert log.read_text().startswith("socket.")
