"""The README's commands and snippets run, at sizes made small by bindings appended to them."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")

SMALL = {
    "collect": """behaviour.sac.steps=240 behaviour.sac.warmup=100 behaviour.sac.period=60 behaviour.sac.first_label=120
        behaviour.sac.last_label=180 behaviour.sac.episodes=2 behaviour.sac.keep_warmup=2 behaviour.sac.hidden=(8,)
        behaviour.sac.batch=8""",
    "train": """train.steps=4 train.meta_batch=3 train.batch=8 train.context=8 train.test_every=2 test.repeats=2
        test.budget=40""",
    "ablate": """train.steps=4 train.meta_batch=3 train.batch=8 train.context=8 train.test_every=2 test.repeats=2
        test.budget=40""",
}


def commands() -> list[str]:
    """Every ``selectrl`` command line of the README's bash blocks, in order, comments cut."""
    blocks = re.findall(r"```bash\n(.*?)```", TEXT, re.DOTALL)
    lines = [line.split("#")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line.startswith("selectrl ")]


def run(arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(arguments, cwd=folder, capture_output=True, text=True, timeout=300, env=environment)


@pytest.mark.slow
def test_commands_run_in_order(tmp_path):
    gin = re.search(r"```python\n# (\S+\.gin)\n(.*?)```", TEXT, re.DOTALL)
    assert gin is not None
    (tmp_path / gin[1]).write_text(gin[2])
    found = commands()
    assert {line.split()[1] for line in found} >= {"collect", "train", "evaluate", "report"}
    collected = [line for line in found if line.split()[1] == "collect"]
    for line in collected + [line for line in found if line not in collected]:
        words = shlex.split(line)
        extra = [word for binding in SMALL.get(words[1], "").split() for word in ("--set", binding)]
        done = run([sys.executable, "-m", "selectrl", *words[1:], *extra], tmp_path)
        assert done.returncode == 0, f"{line}\n{done.stderr}"
    assert (tmp_path / "report" / "index.html").is_file()
    assert len(list((tmp_path / "runs").rglob("experiment.json"))) == 9


def test_the_first_python_snippet_runs_in_an_empty_folder(tmp_path):
    """All of it, as a script, with bindings for small sizes added to those that it has."""
    snippet = next(block for block in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL) if "import selectrl" in block)
    small = snippet.replace('preset="laptop"', f'preset="laptop", settings={SMALL["collect"].split()!r}', 1)
    small = small.replace('settings=["actors', f'settings=[*{SMALL["train"].split()!r}, "actors', 1)
    assert small.count("settings=[") == 2
    (tmp_path / "snippet.py").write_text(small)
    done = run([sys.executable, "snippet.py"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert float(done.stdout) < 0  # the mean return, and nothing else is printed
    (folder,) = (tmp_path / "runs").rglob("seed0")
    assert "actors.weighted_bc.alpha = 5.0" in (folder / "config.gin").read_text()
    names = {str(path.relative_to(folder)) for path in folder.rglob("*")}
    assert {"diagnostics.json", "evaluations/proximal.json", "evaluations/offline.json"} <= names


def test_tables_are_those_of_the_registry():
    done = run([sys.executable, str(ROOT / "tools" / "readme.py"), "--check"], ROOT)
    assert done.returncode == 0, done.stderr


def test_files_that_it_names_exist():
    for target in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert (ROOT / target).exists(), target
