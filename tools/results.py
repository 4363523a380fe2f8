"""Draw the tables and figures of docs/results.md again from the records that it names.

Usage: ``python tools/results.py RECORDS REPORTS``, where RECORDS holds the opened archives; ``make results`` opens them
and runs it. Between ``<!-- NAME/TABLE -->`` and ``<!-- / -->`` the page has the table of that name of the report of
``RECORDS/NAME``, the report's sentences if TABLE is ``verdicts``, or the outcome of the searches in ``results/NAME`` if
TABLE is ``tuning``. The numbers and tables of each report are also copied to ``results/NAME``.
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
PAGE, FIGURES, RESULTS = ROOT / "docs" / "results.md", ROOT / "docs" / "figures", ROOT / "results"
BLOCK = re.compile(r"(<!-- (?P<folder>[\w.]+)/(?P<table>\w+) -->\n).*?(<!-- / -->)", re.DOTALL)
PICTURE = re.compile(r"\]\(figures/(?P<folder>[\w.]+)-(?P<figure>\w+)\.png\)")
#: Files of a report that are copied to the repository.
KEPT = ("report.json", "*.csv", "tables/*.md")


def verdicts(report: Path) -> str:
    """Return a report's sentences on its methods, and those on every pair in a folded block, in Markdown."""
    lines = []
    for environment in json.loads((report / "report.json").read_text(encoding="utf-8"))["environments"]:
        pairs = [_escaped(f"- {verdict}") for verdict in environment["verdicts"]]
        head = ['<details markdown="1">', f"<summary>Every pair under {environment['protocol']}</summary>", ""]
        order = _escaped(f"{environment['order']} ({environment['protocol']})")
        lines += [order, "", *head, *pairs, "", "</details>", ""]
    return "\n".join(lines).strip()


def tuning(folder: Path) -> str:
    """Return the outcome of `selectrl tune` for each method, as a table in Markdown."""
    head = ["Method", "Trials", "Steps", "Own bindings", "Best trial", "Bindings of the best trial"]
    rows = ["| " + " | ".join(head) + " |", "| --- | ---: | ---: | ---: | ---: | --- |"]
    for file in sorted(folder.rglob("tuned.json")):
        study = json.loads(file.read_text(encoding="utf-8"))
        best = "<br>".join(f"`{path} = {_short(value)}`" for path, value in study["bindings"].items()) or "its own"
        own = "failed" if study["own"] is None else number(study["own"], 2)
        cells = [_escaped(file.parent.name), f"{study['trials']}", f"{study['steps']:,}", own]
        rows.append("| " + " | ".join([*cells, number(study["return"], 2), best]) + " |")
    return "\n".join(rows)


def _short(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.3g}"


def _escaped(text: str) -> str:
    return text.replace("_", r"\_")


def keep(report: Path, folder: Path) -> None:
    """Replace a folder of the repository by the numbers and tables of a report."""
    if folder.exists():
        shutil.rmtree(folder)
    for path in [path for pattern in KEPT for path in report.glob(pattern)]:
        target = folder / path.relative_to(report)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)


def main(records: Path, reports: Path) -> int:
    """Write the reports, copy their numbers to the repository, and their tables and figures into the page."""
    text = PAGE.read_text(encoding="utf-8")
    places = [match for pattern in (BLOCK, PICTURE) for match in pattern.finditer(text)]
    for folder in sorted({match["folder"] for match in places if match.groupdict().get("table") != "tuning"}):
        build_report([records / folder], reports / folder)
        keep(reports / folder, RESULTS / folder)

    def block(match: re.Match[str]) -> str:
        report = reports / match["folder"]
        if match["table"] == "tuning":
            content = tuning(RESULTS / match["folder"])
        elif match["table"] == "verdicts":
            content = verdicts(report)
        else:
            content = (report / "tables" / f"{match['table']}.md").read_text(encoding="utf-8").strip()
        return f"{match[1]}\n{content}\n\n{match[4]}"

    FIGURES.mkdir(exist_ok=True)
    for match in PICTURE.finditer(text):
        picture = reports / match["folder"] / "figures" / f"{match['figure']}.png"
        shutil.copyfile(picture, FIGURES / f"{match['folder']}-{match['figure']}.png")
    PAGE.write_text(BLOCK.sub(block, text), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
