"""The page: one self-contained HTML file that needs neither network nor script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from string import Template

import attrs

from selectrl.report import tables
from selectrl.report.analyse import Analysis, Summary
from selectrl.report.records import Omission
from selectrl.report.style import DARK, LIGHT, Mark, variables
from selectrl.report.words import count, digits_for, join, notes, number, order, sentence
from selectrl.version import __version__


@attrs.frozen(kw_only=True)
class Plate:
    """A figure as the page shows it.

    Attributes:
        name: stem of the exported files.
        title: short name.
        caption: what to see.
        body: its SVG, or panels of SVG; already HTML.
        wide: whether it takes the whole width.
    """

    name: str
    title: str
    caption: str
    body: str
    wide: bool = False


def page(
    analyses: Sequence[tuple[Analysis, Sequence[Plate]]], omissions: Sequence[Omission], marks: Mapping[str, Mark]
) -> str:
    """Return the whole page."""
    titles = [analysis.family.title for analysis, _ in analyses]
    methods = {row.method for analysis, _ in analyses for row in analysis.family.rows}
    runs = {run.path for analysis, _ in analyses for row in analysis.family.rows for run in row.runs}
    links = [f'<a href="#{escape(a.family.env)}">{escape(a.family.title)}</a>' for a, _ in analyses]
    template = Template(files("selectrl.report").joinpath("page.html").read_text(encoding="utf-8"))
    return template.substitute(
        title=escape(f"SELECT-RL: {join(titles)}"),
        subtitle=escape(
            f"Offline meta-reinforcement learning on {join(titles)}: {count(len(methods), 'method')}, "
            f"{count(len(runs), 'run')}. Every number is a return on tasks never trained on; higher is better."
        ),
        light=variables(LIGHT),
        dark=variables(DARK),
        nav=f'<nav aria-label="Environments">{"".join(links)}</nav>' if len(links) > 1 else "",
        sections="\n".join(_section(analysis, plates, marks) for analysis, plates in analyses),
        left_out=_left_out(omissions),
        version=escape(__version__),
    )


def story(summary: Summary, mark: Mark, panels: Sequence[tuple[str, str, str]]) -> str:
    """Return one row of the picture: ``(kind, heading, svg)`` panels under the row's name."""
    arguments = tables.arguments(summary.row.evaluation.collector)
    collector = f"{summary.row.label}{f' ({arguments})' if arguments else ''}"
    cells = "".join(
        f'<div class="panel {kind}"><span>{escape(heading)}</span>{svg}</div>' for kind, heading, svg in panels
    )
    name = f'<span class="method">{tables.swatch(mark)}{escape(summary.row.method)}</span>'
    return (
        f'<div class="story"><h4>{name}<small>{escape(collector)}</small></h4><div class="panels">{cells}</div></div>'
    )


def _section(analysis: Analysis, plates: Sequence[Plate], marks: Mapping[str, Mark]) -> str:
    family = analysis.family
    first = analysis.methods[0].row.evaluation
    digits = digits_for(one.mean for one in analysis.methods)
    facts = [
        count(len(analysis.methods), "method"),
        f"{count(len(first.tasks), 'test task')} × {count(first.returns.shape[1], 'repeat')}",
        f"{count(first.context_steps[-1], 'step')} of context",
        f"protocol {first.settings['protocol']}",
    ]
    said = order(analysis)
    warnings = "".join(f"<li>{escape(note)}</li>" for note in notes(analysis))
    items = "".join(
        f'<li><h3><span class="method">{tables.swatch(marks[one.row.method])}{escape(one.row.method)}</span>'
        f"<b>{number(one.mean, digits)}</b></h3><p>{escape(sentence(analysis, one, digits))}</p></li>"
        for one in analysis.methods
    )
    small, wide = [p for p in plates if not p.wide], [p for p in plates if p.wide]
    rows = [one.row for one in analysis.methods]
    parts = [
        f'<section id="{escape(family.env)}"><h2>{escape(family.title)}</h2>',
        f'<p class="sub">{escape(" · ".join(facts))}</p>',
        f'<p class="order">{escape(said)}</p>' if said else "",
        f'<ul class="warnings">{warnings}</ul>' if warnings else "",
        f'<div class="cols"><ol class="methods">{items}</ol>{"".join(map(_figure, small[:1]))}</div>',
        f'<div class="cols">{"".join(map(_figure, small[1:]))}</div>' if small[1:] else "",
        "<h3>Results</h3>",
        f'<p class="note">{RESULTS}</p>{tables.results(analysis, marks)}',
        *(f"<h3>{escape(plate.title)}</h3>{_figure(plate)}" for plate in wide),
        _titled("Differences between methods", PAIRS, tables.pairs(analysis, marks)),
        _titled("The same policy under other collectors", COLLECTORS, tables.collectors(analysis, marks)),
        _titled("Cost", COST, tables.cost(analysis, marks)),
        "<h3>Provenance</h3>",
        tables.provenance(rows),
        f"<details><summary>Bindings of every method</summary>{tables.bindings(rows)}</details></section>",
    ]
    return "\n".join(part for part in parts if part)


def _figure(plate: Plate) -> str:
    links = " · ".join(
        f'<a href="figures/{escape(plate.name)}.{k}">{k.upper()}</a>' for k in ("png", "pdf", "svg", "csv")
    )
    title = "" if plate.wide else f"<h3>{escape(plate.title)}</h3>"
    caption = f'{escape(plate.caption)} <span class="files">{links}</span>'
    if plate.wide:
        return f'<figure class="wide"><figcaption>{caption}</figcaption>{plate.body}</figure>'
    return f"<figure>{title}{plate.body}<figcaption>{caption}</figcaption></figure>"


def _titled(title: str, note: str, table: str) -> str:
    return f'<h3>{title}</h3><p class="note">{note}</p>{table}' if table else ""


def _left_out(omissions: Sequence[Omission]) -> str:
    items = "".join(f"<li><code>{escape(_path(one))}</code>: {escape(one.reason)}</li>" for one in omissions)
    return f'<h3>Left out</h3><ul class="left">{items}</ul>' if items else ""


def _path(omission: Omission) -> str:
    return str(omission.path).encode("utf-8", "replace").decode("utf-8")


RESULTS = (
    "After all of the context. Small print: 95% bootstrap intervals. Bold: not shown to be below any other method. "
    "The gain is the return with all of the context minus the return without any, paired by seed and task."
)
PAIRS = (
    "Line minus column, paired by seed and task, with its 95% interval. Where the interval includes zero it is a tie."
)
COLLECTORS = (
    "One trained policy, tested with context from each collector. Data of the test tasks are read by “offline” only."
)
COST = "Environment steps at test are those of one task and one repeat."
