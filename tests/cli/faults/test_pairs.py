"""Two commands on one folder: a few pairs of those that `make pairs` goes through."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from stress import pairs


def test_pairs_of_commands_neither_lose_nor_spoil_anything(tmp_path: Path) -> None:
    """In a process of its own, because forks of one in which torch has run may hang."""
    tests = Path(pairs.__file__).parents[1]
    path = os.pathsep.join([str(tests), str(tests / "support"), str(tests.parent)])
    words = [sys.executable, "-m", "stress.pairs", "--pairs", "6", "--seed", "239", "--folder", str(tmp_path)]
    environment = os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "pairs given: 6 of 196" in done.stdout


def test_the_commands_are_those_of_the_readme() -> None:
    readme = (Path(pairs.__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    rows = [line for line in readme.splitlines() if line.startswith("| `selectrl ")]
    given = [" ".join(words[: 1 + (words[0] == "data")]) for words in pairs.WORDS.values()]
    shown = [[word.removeprefix("selectrl ") for word in re.findall(r"`([^`]*)`", row.split("|")[1])] for row in rows]
    assert len(shown) == len(given) == 14
    for names, name in zip(shown, given, strict=True):
        assert name in names


def test_a_sample_is_the_same_for_the_same_seed() -> None:
    assert pairs.sampled(6, 1) == pairs.sampled(6, 1) != pairs.sampled(6, 2)
    assert set(pairs.sampled(1000, 0)) == set(pairs.PAIRS)
