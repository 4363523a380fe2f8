"""The origin of numbers and the conditions of a fair comparison, as HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from selectrl.report.analysis.formats import count, distinct, short
from selectrl.report.analysis.group import plain
from selectrl.report.records import EQUAL_BUDGET, Row
from selectrl.runs.execution import ExecutionRecord
from selectrl.runs.fairness import FairnessRecord


def provenance(rows: Sequence[Row]) -> str:
    """Return data, protocol, versions and commands."""
    runs = [run for row in rows for run in row.runs]
    lines: dict[str, str] = {
        "Data": distinct(_dataset(run.execution) for run in runs),
        "Random warm-up": distinct(_warmup(run.execution) for run in runs),
        "Test": distinct(_protocol(row) for row in rows),
        "Test tasks": distinct(", ".join(map(str, row.evaluation.tasks)) for row in rows),
        "Versions": distinct(_versions(run.execution) for run in runs),
        "Seeds": "; ".join(f"{row.method}: {', '.join(map(str, row.seeds))}" for row in rows),
    }
    commands = dict.fromkeys(run.execution.command for run in runs if run.execution and run.execution.command)
    blocks = "".join(f"<pre>{escape(command)}</pre>" for command in commands)
    return _list(lines) + (f"<h4>Commands</h4>{blocks}" if blocks else "")


def fairness(fair: FairnessRecord) -> str:
    """Return the bindings that all methods share, and the checks of fairness."""
    checks = "".join(
        f"<li>{'✓' if check.ok else '✗'} {escape(check.what)}"
        f"{f' <small>{escape(check.detail)}</small>' if check.detail else ''}</li>"
        for check in fair.checks
    )
    return _list({name: plain(value) for name, value in fair.same.items()}) + f'<ul class="checks">{checks}</ul>'


def quirks(rows: Sequence[Row]) -> str:
    """Return the quirks of each method's published protocol, empty without any."""
    quirks = {row.method: row.evaluation.quirks for row in rows if row.evaluation.quirks}
    return _list({method: "; ".join(each) for method, each in quirks.items()}) if quirks else ""


def _list(lines: Mapping[str, str]) -> str:
    return f"<dl>{''.join(f'<dt>{escape(term)}</dt><dd>{escape(text)}</dd>' for term, text in lines.items())}</dl>"


def _dataset(execution: ExecutionRecord | None) -> str:
    if execution is None:
        return "not recorded"
    return f"{execution.dataset.name}, fingerprint {short(execution.dataset.fingerprint)}"


def _warmup(execution: ExecutionRecord | None) -> str:
    if execution is None:
        return "not recorded whether the data hold random warm-up episodes"
    kept = execution.dataset.keep_warmup
    return f"{count(kept, 'random warm-up episode')} per task kept in the data" if kept else "none kept in the data"


def _versions(execution: ExecutionRecord | None) -> str:
    versions = execution.versions if execution else {}
    return ", ".join(f"{package} {version}" for package, version in versions.items()) or "not recorded"


def _protocol(row: Row) -> str:
    evaluation = row.evaluation
    settings = evaluation.settings
    return (
        f"{'' if evaluation.protocol == EQUAL_BUDGET else f'{row.method}: '}protocol {evaluation.protocol}, prior "
        f"{settings['prior']}, budget {settings['budget']} steps in blocks of {settings['block']}, "
        f"{count(evaluation.repeats, 'repeat')} on {count(len(evaluation.tasks), 'task')}"
    )
