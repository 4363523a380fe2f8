"""The page: one self-contained HTML file that needs neither network nor script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from itertools import groupby
from string import Template
from typing import NamedTuple

from selectrl.report.analysis.analyse import Analysis
from selectrl.report.analysis.formats import count, join, number
from selectrl.report.analysis.metrics import MEAN
from selectrl.report.analysis.notes import notes
from selectrl.report.analysis.sentences import details, order, sentence, verdict
from selectrl.report.figures.drawing import Drawing, single
from selectrl.report.figures.ink import inline, render
from selectrl.report.figures.style import DARK, LIGHT, Mark, variables
from selectrl.report.pages.provenance import fairness, provenance, quirks
from selectrl.report.pages.run_tables import bindings
from selectrl.report.pages.table import Table, html, named
from selectrl.report.records import EQUAL_BUDGET, Omission
from selectrl.runs.layout import DIAGNOSTICS, EVALUATIONS, METRICS
from selectrl.version import __version__

MOST_VERDICTS = 6
"""Pairs that the page opens with; the others are folded away."""


class Wanted(NamedTuple):
    """Something that an environment's section shows where there are data for it.

    Attributes:
        words: its name in a sentence.
        why: why there may be no data for it.
        files: of a run, which it is drawn from.
    """

    words: str
    why: str
    files: str


TESTS, TRACES, DIAGNOSED = (
    f"{EVALUATIONS}/*.json",
    f"{EVALUATIONS}/*.safetensors",
    f"{DIAGNOSTICS.removesuffix('.json')}.*",
)

WANTED = {
    "learning": Wanted("learning curves", "no meta-test was logged while training", METRICS),
    "few_shot": Wanted("few-shot curves", "no method was given context", ""),
    "by_task": Wanted("returns by task parameter", "evaluations hold no parameters", TRACES),
    "picture": Wanted("paths of the robot", "kept beside evaluations, where worlds move in a plane", TRACES),
    "latents": Wanted("the map of task variables", "no latents were kept", f"{TRACES} {DIAGNOSED}"),
    "donors": Wanted("the donor swap", "not measured, or dynamics vary", DIAGNOSED),
    "collectors": Wanted("other collectors", "each method was tested with its own only", TESTS),
    "alike": Wanted("methods under one collector", "no two were tested with the same but as their own", TESTS),
    "given": Wanted("differences with context from the data", "fewer than two methods were tested with it", TESTS),
    "training": Wanted("what losses logged", f"no {METRICS}", METRICS),
}


class Section(NamedTuple):
    """One environment of the page.

    Attributes:
        analysis: its numbers.
        drawings: its figures by name.
        tables: its tables by name.
    """

    analysis: Analysis
    drawings: Mapping[str, Drawing]
    tables: Mapping[str, Table]


def page(
    sections: Sequence[Section],
    overview: Sequence[Drawing],
    omissions: Sequence[Omission],
    marks: Mapping[str, Mark],
) -> str:
    """Return the whole page."""
    families = [section.analysis.family for section in sections]
    titles = list(dict.fromkeys(family.title for family in families if family.protocol == EQUAL_BUDGET))
    titles = titles or [family.title for family in families]
    methods = {row.method for family in families for row in family.rows}
    runs = {run.path for family in families for row in family.rows for run in row.runs}
    better = "higher" if MEAN.higher_is_better else "lower"
    template = Template(files("selectrl.report.pages").joinpath("page.html").read_text(encoding="utf-8"))
    return template.substitute(
        title=escape(f"SELECT-RL: {join(titles)}"),
        subtitle=escape(
            f"Offline meta-reinforcement learning on {join(titles)}: {count(len(methods), 'method')}, "
            f"{count(len(runs), 'run')}. Every number is a {MEAN.unit} on tasks never trained on; {better} is better."
        ),
        light=variables(LIGHT),
        dark=variables(DARK),
        answers=_answers(sections),
        sections="\n".join(
            [*(_wide(item, marks) for item in overview), *(_section(section, omissions, marks) for section in sections)]
        ),
        left_out=_left_out(omissions),
        version=escape(__version__),
    )


def _answers(sections: Sequence[Section]) -> str:
    """Return one sentence an environment, where there are several, as a way to its section."""
    items = "".join(
        f'<li><a href="#{escape(section.analysis.family.name)}">{escape(section.analysis.family.title)}</a>: '
        f"{escape(order(section.analysis) or 'one method, nothing to compare.')}</li>"
        for section in sections
    )
    return f'<nav aria-label="Environments"><ul class="answers">{items}</ul></nav>' if len(sections) > 1 else ""


def _section(section: Section, omissions: Sequence[Omission], marks: Mapping[str, Mark]) -> str:
    analysis, drawings, tables = section
    family, rows = analysis.family, [summary.row for summary in analysis.methods]
    fair = next((run.fairness for row in rows for run in row.runs if run.fairness), None)
    missing = [
        _missing(item, analysis, omissions) for name, item in WANTED.items() if name not in {**drawings, **tables}
    ]
    ranking = order(analysis)

    def pair(*names: str) -> str:
        drawn = "".join(_small(drawings[name], marks) for name in names if name in drawings)
        return f'<div class="cols">{drawn}</div>' if drawn else ""

    def wide(name: str) -> str:
        return _wide(drawings[name], marks) if name in drawings else ""

    def table(name: str) -> str:
        return _table(tables[name], marks) if name in tables else ""

    warnings = "".join(f"<li>{escape(note)}</li>" for note in notes(analysis))
    parts = [
        f'<section id="{escape(family.name)}"><h2>{escape(family.title)}</h2>',
        f'<p class="sub">{escape(_facts(analysis))}</p>',
        f'<p class="order">{escape(ranking)}</p>' if ranking else "",
        f'<ul class="warnings">{warnings}</ul>' if warnings else "",
        _verdicts(analysis),
        f'<div class="cols">{_methods(analysis, marks)}{_small(drawings["final"], marks)}</div>',
        pair("learning", "few_shot"),
        table("results"),
        pair("by_task", "profile"),
        *map(wide, ("picture", "latents")),
        *map(table, ("donors", "collectors", "alike", "given", "pairs")),
        f"<details><summary>Every task</summary>{table('tasks')}</details>" if "tasks" in tables else "",
        wide("training"),
        table("tests"),
        table("cost"),
        f"<h3>Fairness</h3>{fairness(fair)}" if fair else "",
        table("differs"),
        f"<h3>Published protocols</h3>{quirks(rows)}" if quirks(rows) else "",
        "<h3>Provenance</h3>",
        provenance(rows),
        f"<details><summary>Bindings of every method</summary>{html(bindings(rows), marks)}</details>",
        f'<p class="note">Not shown, without data: {escape("; ".join(missing))}.</p>' if missing else "",
        "</section>",
    ]
    return "\n".join(part for part in parts if part)


def _missing(wanted: Wanted, analysis: Analysis, omissions: Sequence[Omission]) -> str:
    """Say why something is not shown: a file that it needs could not be used, or there may be no data for it."""
    runs = {run.path for row in analysis.family.rows for run in row.runs}
    unused = [
        omission.name
        for omission in omissions
        if runs.intersection(omission.path.parents) and any(map(omission.path.match, wanted.files.split()))
    ]
    why = (
        f"{unused[0]}{f' and {len(unused) - 1} more' if unused[1:] else ''} could not be used" if unused else wanted.why
    )
    return f"{wanted.words} ({why})"


def _facts(analysis: Analysis) -> str:
    first = analysis.methods[0].row.evaluation
    budgets = {summary.row.evaluation.context_steps[-1] for summary in analysis.methods}
    alike = len({summary.row.evaluation.repeats for summary in analysis.methods}) == 1
    each = count(first.repeats, "repeat") if alike else "each method’s own repeats"
    facts = [
        count(len(analysis.methods), "method"),
        f"{count(len(first.tasks), 'test task')} × {each}",
        f"{count(first.context_steps[-1], 'step')} of context" if len(budgets) == 1 else "each method’s own budget",
        f"protocol {first.protocol}",
    ]
    return " · ".join(facts)


def _verdicts(analysis: Analysis) -> str:
    """Return one sentence a pair; the first are shown, the others folded away."""
    digits = analysis.digits
    if len(analysis.verdicts) == 1:  # its verdict is the section's opening sentence
        return f'<p class="note">{escape(details(analysis.verdicts[0]))}</p>'
    items = [
        f"<li>{escape(verdict(comparison, digits))} <small>{escape(details(comparison))}</small></li>"
        for comparison in analysis.verdicts
    ]
    shown = len(items) if len(items) <= MOST_VERDICTS else len(analysis.methods) - 1
    rest = f'<details><summary>The other pairs</summary><ul class="verdicts">{"".join(items[shown:])}</ul></details>'
    return (f'<ul class="verdicts">{"".join(items[:shown])}</ul>' if items else "") + (rest if items[shown:] else "")


def _methods(analysis: Analysis, marks: Mapping[str, Mark]) -> str:
    digits = analysis.digits
    items = "".join(
        f"<li><h3>{named(summary.row.method, marks)}<b>{number(summary.mean, digits)}</b></h3>"
        f"<p>{escape(sentence(analysis, summary, digits))}</p></li>"
        for summary in analysis.methods
    )
    return f'<ol class="methods">{items}</ol>'


def _small(drawing: Drawing, marks: Mapping[str, Mark]) -> str:
    """Return a figure of one panel, for a column."""
    (panel, *_) = drawing.panels
    heading = f'<span class="heading">{escape(panel.heading)}</span>' if panel.heading else ""
    body = f"{heading}{_svg(drawing, 0)}{_legend(drawing, marks)}"
    return f"<figure><h3>{escape(drawing.title)}</h3>{body}<figcaption>{_caption(drawing)}</figcaption></figure>"


def _wide(drawing: Drawing, marks: Mapping[str, Mark]) -> str:
    """Return a figure of many panels over the whole width, in groups where it has them."""
    body, i = [], 0
    for (group, note), members in groupby(drawing.panels, key=lambda panel: (panel.group, panel.note)):
        cells = []
        for panel in members:
            cells.append(
                f'<div class="panel {panel.kind}"><span>{escape(panel.heading)}</span>{_svg(drawing, i)}</div>'
            )
            i += 1
        panels = f'<div class="panels">{"".join(cells)}</div>'
        head = f"<h4>{escape(group)}<small>{escape(note)}</small></h4>"
        body.append(f'<div class="story">{head}{panels}</div>' if group else panels)
    top = f"<figcaption>{_caption(drawing)}</figcaption>{_legend(drawing, marks)}"
    return f'<h3>{escape(drawing.title)}</h3><figure class="wide">{top}{"".join(body)}</figure>'


def _svg(drawing: Drawing, i: int) -> str:
    panel = drawing.panels[i]
    if panel.draw is None:
        return ""
    return inline(render(single(panel, drawing.size), "svg"), f"{drawing.name}{i}", panel.alt)


def _caption(drawing: Drawing) -> str:
    kinds = ("png", "pdf", "svg", "csv")
    links = " · ".join(f'<a href="figures/{escape(drawing.name)}.{kind}">{kind.upper()}</a>' for kind in kinds)
    return f'{escape(drawing.caption)} <span class="files">{links}</span>'


def _legend(drawing: Drawing, marks: Mapping[str, Mark]) -> str:
    names = "".join(f"<li>{named(name, marks)}</li>" for name in drawing.methods)
    return f'<ul class="legend">{names}</ul>' if names else ""


def _table(table: Table, marks: Mapping[str, Mark]) -> str:
    kinds = {"tex": "LaTeX", "md": "Markdown"}
    links = " · ".join(f'<a href="tables/{escape(table.name)}.{kind}">{word}</a>' for kind, word in kinds.items())
    note = f'<p class="note">{escape(table.note)} <span class="files">{links}</span></p>'
    return f"<h3>{escape(table.title)}</h3>{note}{html(table, marks)}"


def _left_out(omissions: Sequence[Omission]) -> str:
    items = "".join(
        f"<li><code>{escape(omission.name)}</code>: {escape(omission.reason)}</li>" for omission in omissions
    )
    return f'<h3>Left out</h3><ul class="left">{items}</ul>' if items else ""
