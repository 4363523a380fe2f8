"""A test of a process of its own passes, fails and is skipped there, and changes no other test's process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SUITE = """
import os
import pytest

START = os.umask(0o022)
os.umask(START)

@pytest.mark.own_process
def test_changes():
    os.umask(0o077)
    OUTCOME

def test_after():
    assert os.umask(START) == START
"""


@pytest.mark.parametrize(
    ("outcome", "summary"),
    [
        ("pass", "2 passed"),
        ("assert 2 + 2 == 5", "1 failed, 1 passed"),
        ("pytest.skip('no such system')", "1 passed, 1 skipped"),
        ("os._exit(0)", "1 failed, 1 passed"),
    ],
)
def test_outcomes(outcome: str, summary: str, tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(SUITE.replace("OUTCOME", outcome))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment |= {"PYTHONPATH": str(Path(__file__).parent)}
    words = [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "own_process", "-p", "no:cacheprovider", "test_it.py"]
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert f"{summary} in " in done.stdout
    assert ("assert (2 + 2) == 5" in done.stdout) == ("==" in outcome)
    assert ("no such system" in done.stdout) == ("skip" in outcome)
