"""Draw the tables and figures of docs/results.md again from the folders below results/ that it names.

``make results`` runs it. Between ``<!-- NAME/TABLE -->`` and ``<!-- / -->`` the page has the table so named of the
report of ``results/NAME``, its sentences if TABLE is ``verdicts``, or what the searches that lie there found if it is
``tuning``; pictures are of the same reports.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

from selectrl.report import build_report
from selectrl.report.analysis.formats import number

ROOT = Path(__file__).parents[1]
PAGE, FIGURES = ROOT / "docs" / "results.md", ROOT / "docs" / "figures"
BLOCK = re.compile(r"(<!-- (?P<folder>[\w.]+)/(?P<table>\w+) -->\n).*?(<!-- / -->)", re.DOTALL)
PICTURE = re.compile(r"\]\(figures/(?P<folder>[\w.]+)-(?P<figure>\w+)\.png\)")


def verdicts(report: Path) -> str:
    """Return what a report says of its methods, and behind a fold of every pair, in Markdown."""
    found = json.loads((report / "report.json").read_text(encoding="utf-8"))["environments"]
    lines = []
    for one in found:
        pairs = [_escaped(f"- {verdict}") for verdict in one["verdicts"]]
        head = ['<details markdown="1">', f"<summary>Every pair under {one['protocol']}</summary>", ""]
        lines += [_escaped(f"{one['order']} ({one['protocol']})"), "", *head, *pairs, "", "</details>", ""]
    return "\n".join(lines).strip()


def tuning(folder: Path) -> str:
    """Return what `selectrl tune` found for each method, as a table in Markdown."""
    head = ["Method", "Trials", "Steps", "Its own bindings", "The best", "Which are"]
    rows = ["| " + " | ".join(head) + " |", "| --- | ---: | ---: | ---: | ---: | --- |"]
    for file in sorted(folder.rglob("tuned.json")):
        found = json.loads(file.read_text(encoding="utf-8"))
        which = "<br>".join(f"`{path} = {_short(value)}`" for path, value in found["bindings"].items()) or "its own"
        own = "failed" if found["own"] is None else number(found["own"], 2)
        cells = [_escaped(file.parent.name), f"{found['trials']}", f"{found['steps']:,}", own]
        rows.append("| " + " | ".join([*cells, number(found["return"], 2), which]) + " |")
    return "\n".join(rows)


def _short(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.3g}"


def _escaped(text: str) -> str:
    return text.replace("_", r"\_")


def main(out: Path) -> int:
    """Write reports to a folder, and what the page takes of them into the page."""
    text = PAGE.read_text(encoding="utf-8")
    drawn = [one for pattern in (BLOCK, PICTURE) for one in pattern.finditer(text)]
    for folder in sorted({one["folder"] for one in drawn if one.groupdict().get("table") != "tuning"}):
        build_report([ROOT / "results" / folder], out / folder)

    def block(found: re.Match[str]) -> str:
        report = out / found["folder"]
        if found["table"] == "tuning":
            told = tuning(ROOT / "results" / found["folder"])
        elif found["table"] == "verdicts":
            told = verdicts(report)
        else:
            told = (report / "tables" / f"{found['table']}.md").read_text(encoding="utf-8").strip()
        return f"{found[1]}\n{told}\n\n{found[4]}"

    FIGURES.mkdir(exist_ok=True)
    for one in PICTURE.finditer(text):
        picture = out / one["folder"] / "figures" / f"{one['figure']}.png"
        shutil.copyfile(picture, FIGURES / f"{one['folder']}-{one['figure']}.png")
    PAGE.write_text(BLOCK.sub(block, text), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
