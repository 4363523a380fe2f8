"""The page of results, and the numbers and tables that the repository keeps of the reports."""

from __future__ import annotations

import json
import re

import pytest
from tool_programs import load_tool

results = load_tool("results")
PAGE = results.PAGE.read_text(encoding="utf-8")
BLOCKS = [match for match in results.BLOCK.finditer(PAGE) if match["table"] != "tuning"]


def test_the_page_has_blocks_and_pictures():
    assert len(BLOCKS) > 10
    assert results.PICTURE.search(PAGE)


@pytest.mark.parametrize("match", BLOCKS, ids=lambda match: f"{match['folder']}/{match['table']}")
def test_a_block_is_what_the_repository_keeps_of_its_report(match):
    kept = results.RESULTS / match["folder"]
    if match["table"] == "verdicts":
        expected = results.verdicts(kept)
    else:
        expected = (kept / "tables" / f"{match['table']}.md").read_text(encoding="utf-8").strip()
    assert match[0] == f"{match[1]}\n{expected}\n\n{match[4]}"


def test_a_search_is_the_one_that_the_repository_keeps():
    searches = [match for match in results.BLOCK.finditer(PAGE) if match["table"] == "tuning"]
    assert searches
    for match in searches:
        assert results.tuning(results.RESULTS / match["folder"]) in match[0]


def test_every_picture_of_the_page_is_there():
    for match in results.PICTURE.finditer(PAGE):
        assert (results.FIGURES / re.sub(r"\]\(figures/|\)$", "", match[0])).is_file()


def test_a_kept_report_replaces_the_one_before(tmp_path):
    report, kept = tmp_path / "report", tmp_path / "kept"
    (report / "tables").mkdir(parents=True)
    (report / "figures").mkdir()
    (report / "report.json").write_text(json.dumps({"schema": 1}))
    for name in ("results.csv", "index.html", "tables/a.md", "tables/a.tex", "figures/a.csv"):
        (report / name).write_text(name)
    (kept / "tables").mkdir(parents=True)
    (kept / "tables" / "old.md").write_text("old")
    results.keep(report, kept)
    files = {str(path.relative_to(kept)) for path in kept.rglob("*") if path.is_file()}
    assert files == {"report.json", "results.csv", "tables/a.md"}
