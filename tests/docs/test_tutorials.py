"""The tutorials' commands and snippets run, in their order, at sizes made small by bindings appended to them.

In a page a ``bash`` block is run line by line; a line whose comment says ``refused`` must end with 2. A block with a
title is written to a file of that name; other ``python`` blocks are run. A page runs in one process, so that torch
is imported once.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs" / "tutorials").glob("*.md"))
BLOCK = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.DOTALL | re.MULTILINE)
SNIPPET = re.compile(r'^--8<-- "([^"]+)"$', re.MULTILINE)
LOOP = re.compile(r"for (\w+) in (.*?); do (.*); done")

SMALL = {
    "collect": """behaviour.sac.steps=240 behaviour.sac.warmup=100 behaviour.sac.period=60 behaviour.sac.first_label=120
        behaviour.sac.last_label=180 behaviour.sac.episodes=2 behaviour.sac.keep_warmup=2 behaviour.sac.hidden=(8,)
        behaviour.sac.batch=8""",
    "train": """train.steps=4 train.meta_batch=3 train.batch=8 train.context=8 train.test_every=4 test.repeats=2
        test.budget=40""",
}


def blocks(page: Path) -> list[tuple[str, str, str]]:
    """Language, title and text of every fenced block, snippets put in."""
    text = SNIPPET.sub(lambda found: (ROOT / found[1]).read_text().rstrip(), page.read_text(encoding="utf-8"))
    return [(language, title or "", body) for language, title, body in BLOCK.findall(text)]


def lines(body: str) -> Iterator[tuple[list[str], bool]]:
    """Words of every command of a ``bash`` block, loops unrolled, and whether the page says that it is refused."""
    for line in body.splitlines():
        command, _, comment = line.partition("  # ")
        loop = LOOP.fullmatch(command)
        variable, values, inner = loop.groups() if loop else ("", "once", command)
        for value in values.split():
            yield shlex.split(inner.replace(f"${variable}", value) if loop else inner), "refused" in comment


def small(words: list[str]) -> list[str]:
    """A command with the bindings that make it small."""
    sets = [word for binding in SMALL.get(words[1], "").split() for word in ("--set", binding)]
    return [*words[1:], *sets, *(["--jobs", "1"] if words[1] == "train" else [])]


def install(project: Path) -> None:
    """Leave beside a package what pip would say of it, so that its entry points are found and nothing is installed."""
    said = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    info = project / f"{said['name'].replace('-', '_')}-{said['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {said['name']}\nVersion: {said['version']}\n")
    points = said["entry-points"]["selectrl.components"].items()
    (info / "entry_points.txt").write_text("\n".join(["[selectrl.components]", *(f"{k} = {v}" for k, v in points)]))
    sys.path.insert(0, str(project.resolve()))


def play(page: Path) -> None:
    """Do what a page says, in the working directory."""
    for language, title, body in blocks(page):
        if title:
            Path(title).parent.mkdir(parents=True, exist_ok=True)
            Path(title).write_text(body, encoding="utf-8")
        elif language == "python":
            exec(compile(body, str(page), "exec"), {})
        elif language == "bash":
            for words, refused in lines(body):
                perform(words, 2 if refused else 0)


def perform(words: list[str], code: int) -> None:
    """Run one command and look at its exit code."""
    from selectrl.cli.app import run

    if words[:2] == ["pip", "install"]:
        install(Path(words[-1]))
        return
    done = pytest.main(words[1:]) if words[0] == "pytest" else run(small(words))
    assert words[0] in ("pytest", "selectrl")
    assert done == code, f"{' '.join(words)} ended with {done}"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dataset is collected on the first page that asks for it; the others find it complete."""
    return tmp_path_factory.mktemp("data")


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_tutorial_runs(page, data, tmp_path):
    (tmp_path / "data").symlink_to(data)
    done = subprocess.run(
        [sys.executable, __file__, page],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert list(tmp_path.rglob("experiment.json"))
    assert (tmp_path / "report" / "index.html").is_file()


def test_the_tutorials_are_those_that_the_site_lists():
    listed = set(re.findall(r"tutorials/(\w+)\.md", (ROOT / "mkdocs.yml").read_text()))
    assert listed == {page.stem for page in PAGES}


def test_a_wrong_command_is_noticed(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("```bash\nselectrl list --kind nothing\n```\n")
    with contextlib.redirect_stderr(io.StringIO()), pytest.raises(AssertionError, match="ended with 2"):
        play(page)


def test_loops_are_unrolled_and_made_small():
    (first, refused), (second, _) = lines("for a in 1 2; do selectrl train --name x-$a; done  # refused\n")
    assert (first[-1], second[-1], refused) == ("x-1", "x-2", True)
    assert "train.steps=4" in small(first)


if __name__ == "__main__":
    play(Path(sys.argv[1]))
