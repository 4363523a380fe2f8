"""From run directories to a report, in one call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from selectrl.errors import InputError
from selectrl.report import archive
from selectrl.report.analysis.analyse import Analysis, analyse
from selectrl.report.analysis.group import group
from selectrl.report.analysis.metrics import declared
from selectrl.report.figures import curves, returns
from selectrl.report.figures.drawing import Drawing
from selectrl.report.figures.ink import drawing
from selectrl.report.figures.latents import latent_map
from selectrl.report.figures.paths import picture
from selectrl.report.figures.style import Mark, marks
from selectrl.report.load import load
from selectrl.report.pages import export
from selectrl.report.pages.page import Section, page
from selectrl.report.pages.tables import tables
from selectrl.report.records import EQUAL_BUDGET, Omission, Report


def build(runs: Sequence[Path], out: Path, export_to: Path | None, last: int) -> Report:
    """Do the work of :func:`selectrl.report.build_report`."""
    declared(last)  # refuses a number of tests before anything is read
    planned = {} if export_to is None else archive.plan(runs, export_to)
    loaded, omissions = load(runs)
    if not loaded:
        first = omissions[0]
        others = f" ({len(omissions) - 1} more were left out)" if len(omissions) > 1 else ""
        remedy = "; finish a run first" if "finished: " in first.reason else ""  # the other reasons have their own
        raise InputError(f"no finished run to report: {first.name}: {first.reason}{others}{remedy}")
    families, left_out = group(loaded)
    omissions += left_out
    of_method = marks(row.method for family in families for row in family.rows)
    analyses = [analyse(family, last) for family in families]
    with drawing():
        overview = _overview(analyses, of_method)
        sections = []
        for analysis in analyses:
            figures, left_out = _figures(analysis, of_method)
            omissions += left_out
            sections.append(Section(analysis, figures, tables(analysis)))
        for item in [*overview, *(figure for section in sections for figure in section.drawings.values())]:
            export.write_figure(item, of_method, out / "figures")
        text = page(sections, overview, omissions, of_method)
    for table in (table for section in sections for table in section.tables.values()):
        export.write_table(table, out / "tables")
    export.write_numbers(analyses, omissions, out)
    index = out / "index.html"
    export.write_text(index, text)
    if export_to is not None:
        archive.copy(planned, export_to)
    return Report(page=index, left_out=tuple(omissions))


def _overview(analyses: Sequence[Analysis], of_method: Mapping[str, Mark]) -> list[Drawing]:
    """Draw the overview, one panel per environment, if there are several; protocols are never mixed."""
    usual = [analysis for analysis in analyses if analysis.family.protocol == EQUAL_BUDGET]
    if len(usual) < 2:
        return []
    drawn = [curves.learning(usual, of_method, "all_learning"), curves.few_shot(usual, of_method, "all_few_shot")]
    return [figure for figure in drawn if figure is not None]


def _figures(analysis: Analysis, of_method: Mapping[str, Mark]) -> tuple[dict[str, Drawing], list[Omission]]:
    """Draw the figures of one environment for which there are data."""
    paths, omissions = picture(analysis)
    name = analysis.family.name
    drawn = {
        "final": returns.final(analysis, of_method),
        "learning": curves.learning([analysis], of_method, f"{name}_learning"),
        "few_shot": curves.few_shot([analysis], of_method, f"{name}_few_shot"),
        "by_task": returns.by_task(analysis, of_method),
        "profile": returns.distribution(analysis, of_method),
        "picture": paths,
        "latents": latent_map(analysis),
        "training": curves.training(analysis, of_method),
    }
    return {kind: figure for kind, figure in drawn.items() if figure is not None}, omissions
