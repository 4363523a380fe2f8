"""The documentation site builds strictly, and says what the code says."""

from __future__ import annotations

import html
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tool_programs import load_tool

import selectrl
from selectrl.gin_edge import shipped
from selectrl.registry import REGISTRIES

ROOT = Path(__file__).parents[2]
QUIET = {"NO_MKDOCS_2_WARNING": "1", "DISABLE_MKDOCS_2_WARNING": "true", "OMP_NUM_THREADS": "1"}


def build(config: Path, site: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--config-file", str(config), "--site-dir", str(site)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | QUIET,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = build(ROOT / "mkdocs.yml", folder)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.mark.slow
class TestSite:
    def test_every_method_is_on_a_page(self, site):
        text = "".join(path.read_text() for path in (site / "methods").glob("*.html"))
        for name in shipped("methods"):
            assert f"<code>{name}.gin</code>" in text or f"Preset <code>{name}</code>" in text, name

    def test_every_part_is_on_the_page_of_its_kind(self, site):
        for registry in REGISTRIES:
            for entry in registry:
                text = html.unescape((site / "parts" / f"{registry.kind}.html").read_text())
                assert f"{registry.kind}.{entry.name}" in text
                assert entry.summary[1:] in text

    def test_every_public_name_is_in_the_reference(self, site):
        text = (site / "api" / "index.html").read_text()
        for name in selectrl.__all__:
            assert name.startswith("_") or f"selectrl.{name}</code>" in text, name

    def test_objectives_are_those_of_the_code(self, site):
        text = (site / "methods" / "select.html").read_text()
        rows = re.findall(r"<td><code>rl</code></td>\s*<td><code>(\w+)</code></td>", text)
        assert rows[:2] == ["club", "encoder"]
        assert rows[-1] == "policy"

    def test_no_page_loads_anything_from_elsewhere(self, site):
        for path in site.rglob("*.html"):
            text = path.read_text()
            assert not re.findall(r'<(?:script|link|img|iframe)[^>]+(?:src|href)="(?:https?:)?//[^"]+"', text), path

    def test_equations_and_diagrams_need_no_script(self, site):
        select = (site / "methods" / "select.html").read_text()
        assert select.count("<math ") > 12
        assert "<svg" in (site / "architecture.html").read_text().split('class="diagram"')[1]
        for path in site.rglob("*.html"):
            text = path.read_text()
            assert "arithmatex" not in text, path
            assert "mermaid-source" not in text, path
            assert path.parent.name == "tutorials" or not re.search(r":math:`|\.\. math::", text), path


def test_a_broken_link_fails_the_build(tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text("# Home\n\n[nowhere](nowhere.md)\n")
    config = tmp_path / "mkdocs.yml"
    lines = [f"INHERIT: {ROOT / 'mkdocs.yml'}", "docs_dir: docs", "nav: [index.md]", "plugins: [search]", "hooks: []"]
    config.write_text("\n".join([*lines, "extra_css: []", "extra: {polyfills: []}"]) + "\n")
    done = build(config, tmp_path / "site")
    assert done.returncode != 0
    assert "nowhere.md" in done.stderr
    (tmp_path / "docs" / "index.md").write_text("# Home\n")
    assert build(config, tmp_path / "site").returncode == 0


def test_docstrings_become_markdown():
    text = load_tool("pages/docstrings").to_markdown(
        "Keep :math:`x_i` of :class:`~a.B`.\n\n.. math:: x =\n   y\n\nAs in::\n\n    code\n"
    )
    assert text == "Keep $x_i$ of `a.B`.\n\n\n$$ x = y $$\n\nAs in:\n\n    code\n"


def test_an_equation_that_cannot_be_set_names_its_page():
    page = type("Page", (), {"file": type("File", (), {"src_uri": "methods/x.md"})})
    markup = load_tool("pages/markup")
    assert "<mfrac>" in markup.on_page_content(r'<span class="arithmatex">\(\frac12\)</span>', page)
    for wrong in (r"\nonsense{x}", "x_1_2"):
        with pytest.raises(ValueError, match=r"methods/x\.md"):
            markup.on_page_content(rf'<span class="arithmatex">\({wrong}\)</span>', page)


def test_the_composition_matrix_shows_every_outcome():
    row = {"encoder": "focal", "critic": "twin_q_v", "actor": "sac"}
    grid = {
        "env": "point_robot",
        "steps": 50,
        "compositions": [
            {**row, "outcome": "trained", "reason": ""},
            {**row, "actor": "brac", "outcome": "refused", "reason": "it needs a policy with a density"},
        ],
        "collectors": [{"encoder": "focal", "collector": "online", "outcome": "tested", "return": -15.25}],
    }
    text = "\n\n".join(load_tool("pages/generate").matrix(grid))
    assert "| encoder | `sac` | `brac` |" in text
    assert "| `focal` | trained | refused (1) |" in text
    assert "1. it needs a policy with a density" in text
    assert "| `focal` | -15.2 |" in text
