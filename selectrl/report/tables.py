"""Tables as HTML; every cell is escaped here, once."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from selectrl.report.analyse import Analysis, Effect
from selectrl.report.group import flatten
from selectrl.report.records import Bindings, Row, Run
from selectrl.report.style import Mark
from selectrl.report.words import NONE, count, digits_for, interval, number, short


def swatch(mark: Mark) -> str:
    """Return the line of a method as a small drawing."""
    dash = f' stroke-dasharray="{" ".join(f"{1.8 * part:g}" for part in mark.dash)}"' if mark.dash else ""
    line = f'<line x1="0" y1="4" x2="26" y2="4" stroke="var(--{mark.variable})" stroke-width="2.6"{dash}/>'
    return f'<svg class="swatch" viewBox="0 0 26 8" aria-hidden="true">{line}</svg>'


def results(analysis: Analysis, marks: Mapping[str, Mark]) -> str:
    """Return the final table: one line per method under its own collector."""
    digits = digits_for(one.mean for one in analysis.methods)
    offline = any(one.offline is not None for one in analysis.methods)
    head = ["Method", "Seeds", "Mean", "± std", "IQM", "Without context", "Gain from context", "Area"]
    head += ["Context from data", "Gap to it"] if offline else []
    rows = []
    for one in analysis.methods:
        name = _method(one.row.method, marks)
        cells = [
            f"<strong>{name}</strong>" if one.row.method in analysis.unbeaten else name,
            str(len(one.row.seeds)),
            _ranged(number(one.mean, digits), interval(one.mean_interval, digits)),
            number(one.std, digits),
            _ranged(number(one.iqm, digits), interval(one.iqm_interval, digits)),
            number(one.context_free, digits),
            _effect(one.gain, digits),
            number(one.area, digits),
        ]
        cells += [number(one.offline, digits), _effect(one.gap, digits)] if offline else []
        rows.append(cells)
    return _table(head, rows)


def collectors(analysis: Analysis, marks: Mapping[str, Mark]) -> str:
    """Return one line per method and collector; nothing where each method has only its own."""
    if len(analysis.summaries) == len(analysis.methods):
        return ""
    digits = digits_for(one.mean for one in analysis.summaries)
    place = {one.row.method: i for i, one in enumerate(analysis.methods)}
    rows = []
    for one in sorted(analysis.summaries, key=lambda one: (place[one.row.method], not one.row.own, one.row.label)):
        own = ' <em class="own">own</em>' if one.row.own else ""
        bound = f"<small>{escape(arguments(one.row.evaluation.collector))}</small>"
        rows.append(
            [
                _method(one.row.method, marks),
                f"{escape(one.row.label)}{own}{bound}",
                _ranged(number(one.mean, digits), interval(one.mean_interval, digits)),
                number(one.std, digits),
                number(one.context_free, digits),
                _effect(one.gain, digits),
                number(one.area, digits),
            ]
        )
    head = ["Method", "Collector", "Mean", "± std", "Without context", "Gain from context", "Area"]
    return _table(head, rows, words=2)


def pairs(analysis: Analysis, marks: Mapping[str, Mark]) -> str:
    """Return line minus column for every two methods; nothing where there is only one."""
    names = [one.row.method for one in analysis.methods]
    if len(names) < 2:
        return ""
    digits = digits_for(one.mean for one in analysis.methods)

    def cell(a: str, b: str) -> str:
        if a == b:
            return '<span class="none">·</span>'
        comparison = analysis.comparisons[a, b]
        if comparison.effect is None:
            return f"<small>{escape(comparison.reason)}</small>"
        word = {1: "above", 0: "tied", -1: "below"}[comparison.effect.sign]
        return f'<span class="{word}">{_effect(comparison.effect, digits)}<small>{word}</small></span>'

    rows = [[_method(a, marks), *(cell(a, b) for b in names)] for a in names]
    return _table(["Method", *(f"− {name}" for name in names)], rows)


def cost(analysis: Analysis, marks: Mapping[str, Mark]) -> str:
    """Return what each method took."""
    rows = []
    for one in analysis.methods:
        runs = one.row.runs
        walls = [_number(run.execution.get("wall_seconds")) for run in runs]
        speeds = [run.speed for run in runs if run.speed is not None]
        spent = one.row.evaluation.env_steps
        rows.append(
            [
                _method(one.row.method, marks),
                f"{runs[0].steps:,}" if runs[0].steps else NONE,
                f"{runs[0].pretraining:,}",
                f"{sum(speeds) / len(speeds):,.1f}" if speeds else NONE,
                clock(sum(w for w in walls if w is not None) / len(walls) if None not in walls else None),
                f"{spent['collection']:,}" if "collection" in spent else NONE,
                f"{spent['scored']:,}" if "scored" in spent else NONE,
                escape(_distinct(_machine(run) for run in runs)),
            ]
        )
    head = ["Method", "Training steps", "Steps before", "Steps per second", "Time per seed"]
    return _table([*head, "Collected at test", "Scored at test", "Machine"], rows)


def provenance(rows: Sequence[Row]) -> str:
    """Return where the numbers come from: data, protocol, versions, commands."""
    runs = [run for row in rows for run in row.runs]
    lines: dict[str, str] = {
        "Data": _distinct(_dataset(run.dataset) for run in runs),
        "Random warm-up": _distinct(_warmup(run.dataset) for run in runs),
        "Test": _distinct(_protocol(row) for row in rows),
        "Test tasks": _distinct(", ".join(map(str, row.evaluation.tasks)) for row in rows),
        "Seeds": "; ".join(f"{row.method}: {', '.join(map(str, row.seeds))}" for row in rows),
    }
    for run in runs:
        versions = run.execution.get("versions")
        for package, version in versions.items() if isinstance(versions, dict) else ():
            known = lines.setdefault(f"{package}", str(version))
            if str(version) not in known.split(" / "):
                lines[package] = f"{known} / {version}"
    cells = "".join(f"<dt>{escape(term)}</dt><dd>{escape(said)}</dd>" for term, said in lines.items())
    commands = dict.fromkeys(str(run.execution["command"]) for run in runs if run.execution.get("command"))
    made = "".join(f"<pre>{escape(command)}</pre>" for command in commands)
    return f"<dl>{cells}</dl>" + (f"<h4>Commands</h4>{made}" if made else "")


def bindings(rows: Sequence[Row]) -> str:
    """Return every binding of every method, those first in which methods differ."""
    columns = [dict(flatten(row.runs[0].experiment)) for row in rows]
    paths = sorted({path for column in columns for path in column})

    def differs(path: str) -> bool:
        return len({json.dumps(column.get(path, NONE), default=str) for column in columns}) > 1

    ordered = sorted(paths, key=lambda path: (not differs(path), path))
    table = [
        [f"<code>{escape(path)}</code>", *(f"<code>{escape(_value(column, path))}</code>" for column in columns)]
        for path in ordered
    ]
    marks = ["differs" if differs(path) else "" for path in ordered]
    return _table(["Binding", *(row.method for row in rows)], table, words=len(rows) + 1, marks=marks)


def arguments(part: Bindings) -> str:
    """Return a part's bindings as ``name value`` pairs."""
    return ", ".join(f"{name} {_plain(value)}" for name, value in flatten(part) if name != "part" and value is not None)


def clock(seconds: float | None) -> str:
    """Return seconds as ``42 s``, ``3 min 20 s`` or ``2 h 05 min``."""
    if seconds is None:
        return NONE
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    return (
        f"{whole // 60} min {whole % 60:02d} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    )


def _table(
    head: Sequence[str], rows: Iterable[Sequence[str]], *, words: int = 1, marks: Sequence[str] | None = None
) -> str:
    """Return a table in its own scroller; the first ``words`` columns hold words, the others numbers."""
    kinds = ["" if i < words else ' class="n"' for i in range(len(head))]
    top = "".join(f'<th scope="col"{kind}>{escape(name)}</th>' for name, kind in zip(head, kinds, strict=True))
    body = []
    for i, row in enumerate(rows):
        cells = "".join(f"<td{kind}>{cell}</td>" for kind, cell in list(zip(kinds, row, strict=True))[1:])
        mark = f' class="{marks[i]}"' if marks and marks[i] else ""
        body.append(f'<tr{mark}><th scope="row">{row[0]}</th>{cells}</tr>')
    table = f"<table><thead><tr>{top}</tr></thead><tbody>{''.join(body)}</tbody></table>"
    return f'<div class="scroll" tabindex="0" role="region" aria-label="Table">{table}</div>'


def _method(name: str, marks: Mapping[str, Mark]) -> str:
    return f'<span class="method">{swatch(marks[name])}{escape(name)}</span>'


def _ranged(value: str, ends: str) -> str:
    return value if ends == NONE else f"{value} <small>{ends}</small>"


def _effect(effect: Effect | None, digits: int) -> str:
    if effect is None:
        return NONE
    return _ranged(number(effect.value, digits, sign=True), interval(effect.interval, digits, sign=True))


def _distinct(values: Iterable[str]) -> str:
    return " / ".join(dict.fromkeys(values))


def _dataset(dataset: Bindings) -> str:
    if not dataset:
        return "not recorded"
    name = dataset.get("name") or dataset.get("folder") or "unnamed"
    return f"{name}, fingerprint {short(dataset.get('fingerprint', 'not recorded'))}"


def _warmup(dataset: Bindings) -> str:
    kept = dataset.get("keep_warmup")
    if not isinstance(kept, int):
        return "not recorded whether the data hold random warm-up episodes"
    return f"{count(kept, 'random warm-up episode')} per task kept in the data" if kept else "none kept in the data"


def _protocol(row: Row) -> str:
    evaluation = row.evaluation
    settings = evaluation.settings
    return (
        f"protocol {settings['protocol']}, prior {settings['prior']}, budget {settings['budget']} steps in blocks of "
        f"{settings['block']}, {count(evaluation.returns.shape[1], 'repeat')} on {count(len(evaluation.tasks), 'task')}"
    )


def _machine(run: Run) -> str:
    device, threads = run.execution.get("device"), run.execution.get("threads")
    return f"{device or NONE}" + (f", {count(threads, 'thread')}" if isinstance(threads, int) else "")


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _value(column: Mapping[str, Any], path: str) -> str:
    return _plain(column[path]) if path in column else NONE


def _plain(value: Any) -> str:
    if value is None:
        return "none"
    return f"{value:g}" if isinstance(value, float) else value if isinstance(value, str) else json.dumps(value)
