"""From run directories to a report, in one call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from selectrl.errors import InputError
from selectrl.report import export, figures
from selectrl.report import picture as pictures
from selectrl.report.analyse import Analysis, analyse
from selectrl.report.group import group
from selectrl.report.ink import drawing, inline, render
from selectrl.report.load import load
from selectrl.report.page import Plate, page, story
from selectrl.report.picture import Story
from selectrl.report.style import Mark, marks
from selectrl.report.words import digits_for


def build(runs: Sequence[Path], out: Path) -> Path:
    """Do the work of :func:`selectrl.report.build_report`."""
    loaded, omissions = load(runs)
    if not loaded:
        first = omissions[0]
        others = f" ({len(omissions) - 1} more were left out)" if len(omissions) > 1 else ""
        raise InputError(f"no finished run to report: {first.path}: {first.reason}{others}; finish a run first")
    families, odd = group(loaded)
    omissions += odd
    analyses = [analyse(family) for family in families]
    of_method = marks(row.method for family in families for row in family.rows)
    plates: list[tuple[Analysis, list[Plate]]] = []
    with drawing():
        for analysis in analyses:
            found, odd = pictures.stories(analysis)
            omissions += odd
            plates.append((analysis, _plates(analysis, found, of_method, out / "figures")))
    export.write_numbers(analyses, omissions, out)
    index = out / "index.html"
    export.write_text(index, page(plates, omissions, of_method))
    return index


def _plates(analysis: Analysis, stories: Sequence[Story], of_method: Mapping[str, Mark], folder: Path) -> list[Plate]:
    """Draw and export the figures of one environment, and return them as the page shows them."""
    plates = []
    curves = [draw(analysis, of_method) for draw in (figures.final, figures.learning, figures.few_shot)]
    for drawn in curves:
        if drawn is not None:
            body = inline(export.write_figure(drawn, folder), drawn.name, drawn.alt)
            plates.append(Plate(name=drawn.name, title=drawn.title, caption=drawn.caption, body=body))
    if stories:
        drawn = pictures.picture(stories, of_method)
        export.write_figure(drawn, folder)
        body = _panels(stories, of_method)
        plates.append(Plate(name=drawn.name, title=drawn.title, caption=drawn.caption, body=body, wide=True))
    return plates


def _panels(stories: Sequence[Story], of_method: Mapping[str, Mark]) -> str:
    """Return the picture's panels one by one, so that the page lays them out as its width allows."""
    low, high = pictures.limits(stories)
    digits = digits_for(one.summary.mean for one in stories)
    rows = []
    for i, one in enumerate(stories):
        panels = []
        for kind in pictures.KINDS:
            heading = pictures.heading(one, kind, digits)
            alt = f"{one.summary.row.name}, paths of the robot. {heading}."
            svg = render(pictures.single(one, kind, low, high), "svg") if one.paths[kind] else b""
            panels.append((kind, heading, inline(svg, f"p{i}{kind[0]}", alt) if svg else ""))
        rows.append(story(one.summary, of_method[one.summary.row.method], panels))
    return "".join(rows)
