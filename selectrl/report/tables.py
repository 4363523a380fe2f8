"""What the tables say."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from selectrl.functional.estimates import paired_interval
from selectrl.report.analyse import Analysis, Comparison, Effect
from selectrl.report.group import arguments, flatten, plain
from selectrl.report.records import Row, Run
from selectrl.report.returns import axis_of
from selectrl.report.table import NONE, Cell, Table
from selectrl.report.words import clock, count, digits_for, interval, number, short
from selectrl.runs.reading import is_usable


def tables(analysis: Analysis) -> dict[str, Table]:
    """Return every table of one environment for which there are data, by what it is of."""
    makers: dict[str, Callable[[Analysis], Table | None]] = {
        "results": results,
        "pairs": pairs,
        "tasks": tasks,
        "given": given,
        "collectors": collectors,
        "alike": alike,
        "donors": donors,
        "cost": cost,
        "differs": differs,
    }
    made = {name: make(analysis) for name, make in makers.items()}
    return {name: table for name, table in made.items() if table is not None}


def results(analysis: Analysis) -> Table:
    """One line per method under its own collector."""
    digits = digits_for(one.mean for one in analysis.methods)
    offline = any(one.offline is not None for one in analysis.methods)
    head = ["Method", "Seeds", "Mean", "± std", "IQM", "No context", "Gain", "Area"]
    head += ["From data", "Gap"] if offline else []
    rows = []
    for one in analysis.methods:
        cells = [
            Cell(one.row.method, method=one.row.method, strong=one.row.method in analysis.unbeaten),
            Cell(str(len(one.row.seeds))),
            _ranged(one.mean, one.mean_interval, digits),
            Cell(number(one.std, digits)),
            _ranged(one.iqm, one.iqm_interval, digits),
            Cell(number(one.context_free, digits)),
            _effect(one.gain, digits),
            _ranged(one.area, one.area_interval, digits),
        ]
        cells += [Cell(number(one.offline, digits)), _effect(one.gap, digits)] if offline else []
        rows.append(cells)
    note = (
        "After all of the context. Small print: 95% bootstrap intervals. Bold: not shown to be below any other method. "
        "The gain is the return with all of the context minus the return without any, paired by seed and task."
        + " “From data” is the return with context from the test tasks’ own data, the gap how far above the mean it is."
        * offline
    )
    return Table(name=f"{analysis.family.name}_results", title="Results", note=note, head=head, rows=rows)


def pairs(analysis: Analysis) -> Table | None:
    """Line minus column for every two methods; nothing where there is only one."""
    note = (
        "Line minus column, paired by seed and task, with its 95% interval. P is the probability that a "
        "seed of the line beats one of the column on the same task."
    )
    names = [one.row.method for one in analysis.methods]
    return _matrix(analysis, "pairs", "Differences between methods", note, names, analysis.comparisons)


def given(analysis: Analysis) -> Table | None:
    """The same with context from the data; nothing where fewer than two methods were tested with it."""
    note = (
        "Line minus column when every method reads the same stored context: what encoder, critic, actor and the "
        "actor’s constraint are worth once exploration is taken out, with the 95% interval."
    )
    names = list(dict.fromkeys(a for a, _ in analysis.given))
    return _matrix(analysis, "given", "Differences with context from the data", note, names, analysis.given)


def tasks(analysis: Analysis) -> Table | None:
    """Every method on every task, and the difference between the best two; nothing where there is one task."""
    rows = [one.row for one in analysis.methods]
    ids = rows[0].evaluation.tasks
    rows = [row for row in rows if row.evaluation.tasks == ids]
    axis = axis_of(analysis)
    places = axis.values if axis else np.arange(len(ids))
    digits = digits_for(one.mean for one in analysis.methods)
    first = next(iter(analysis.verdicts), None)
    pair = first if first and first.effect else None
    lines = []
    for i in np.argsort(places, kind="stable"):
        cells = [Cell(str(ids[i])), *([Cell(f"{places[i]:.3g}")] if axis else [])]
        for row in rows:
            scores = row.scores[:, i, -1]
            std = f"± {number(float(scores.std(ddof=1)), digits)}" if len(scores) > 1 else ""
            cells.append(Cell(number(float(scores.mean()), digits), std))
        cells += [_task_difference(pair, i, digits)] if pair else []
        lines.append(cells)
    if len(lines) < 2:
        return None
    return Table(
        name=f"{analysis.family.name}_tasks",
        title="Task by task",
        note="After all of the context; small print: one standard deviation over seeds"
        + (", and for differences the 95% interval over seeds. " if pair else ". ")
        + (f"The tasks stand in the order of: {axis.name}." if axis else ""),
        head=[
            "Task",
            *(["Parameter"] if axis else []),
            *(r.method for r in rows),
            *([f"{pair.a} − {pair.b}"] if pair else []),
        ],
        rows=lines,
        words=1,
    )


def collectors(analysis: Analysis) -> Table | None:
    """One line per method and collector; nothing where each method has only its own."""
    if len(analysis.summaries) == len(analysis.methods):
        return None
    digits = digits_for(one.mean for one in analysis.summaries)
    place = {one.row.method: i for i, one in enumerate(analysis.methods)}
    rows = []
    for one in sorted(analysis.summaries, key=lambda one: (place[one.row.method], not one.row.own, one.row.label)):
        rows.append(
            [
                Cell(one.row.method, method=one.row.method),
                Cell(one.row.label + (", own" if one.row.own else ""), _collection(one.row)),
                _ranged(one.mean, one.mean_interval, digits),
                Cell(number(one.std, digits)),
                _effect(one.against_own, digits),
                Cell(number(one.context_free, digits)),
                _effect(one.gain, digits),
                _ranged(one.area, one.area_interval, digits),
            ]
        )
    return Table(
        name=f"{analysis.family.name}_collectors",
        title="The same policy under other collectors",
        note="One trained policy, tested with context from each collector; “against own” is the difference that the "
        "collector alone makes, paired by seed and task. Data of the test tasks are read by “offline” only.",
        head=["Method", "Collector", "Mean", "± std", "Against own", "No context", "Gain", "Area"],
        rows=rows,
        words=2,
    )


def _collection(row: Row) -> str:
    """Return the bindings of a row's collector, and data and source code where these are not the training's."""
    data, code = row.evaluation.other_data, row.evaluation.other_code
    others = [f"on other data, fingerprint {short(data)}"] if data else []
    others += [f"with other source code of {code} than it was trained with"] if code else []
    return ", ".join(text for text in (arguments(row.evaluation.collector), *others) if text)


def alike(analysis: Analysis) -> Table | None:
    """One line per two methods that were tested with one collector; nothing where no two were."""
    if not analysis.alike:
        return None
    digits = digits_for(one.mean for one in analysis.methods)
    rows = []
    for row, one in sorted(analysis.alike, key=lambda pair: str(pair[0].evaluation.collector)):
        collector = row.evaluation.collector
        label = Cell(str(collector.get("part", NONE)).rpartition(".")[2], arguments(collector))
        rows.append([label, Cell(one.a, method=one.a), Cell(one.b, method=one.b), _difference(one, digits)])
    return Table(
        name=f"{analysis.family.name}_alike",
        title="Two methods under one collector",
        note="The first minus the second where both collect alike, which one of them at least does not by itself: what "
        "is left of their difference without the collector’s share. P is the probability that a seed of the first "
        "beats one of the second on the same task. Bold: it excludes zero, over two shared seeds or more.",
        head=["Collector", "First", "Second", "Difference"],
        rows=rows,
        words=3,
    )


def donors(analysis: Analysis) -> Table | None:
    """How far z follows a donor's states and actions; nothing where it was not measured."""
    rows = []
    for one in analysis.methods:
        values = [run.diagnostics.follow for run in one.row.runs if run.diagnostics]
        found = np.array([value for value in values if value is not None])
        if len(found):
            std = f"± {found.std(ddof=1):.2f}" if len(found) > 1 else ""
            cells = [Cell(one.row.method, method=one.row.method), Cell(f"{number(float(found.mean()), 2)}", std)]
            rows.append([*cells, Cell(str(len(found)))])
    if not rows:
        return None
    return Table(
        name=f"{analysis.family.name}_donors",
        title="What the task variable reads: rewards, or who collected",
        note="Contexts with another task’s states and actions and the true task’s rewards. 0: z stays where the "
        "rewards say; 1: z goes where the donor’s states and actions say, which is the shift that exploration runs "
        "into. Small print: one standard deviation over seeds.",
        head=["Method", "z follows the donor by", "Seeds"],
        rows=rows,
    )


def cost(analysis: Analysis) -> Table:
    """What each method took, and whether it was done."""
    digits = digits_for(one.mean for one in analysis.methods)
    rows = []
    for one in analysis.methods:
        runs = one.row.runs
        speeds = [run.speed for run in runs if run.speed is not None]
        recorded = [run.execution for run in runs if run.execution]
        memory = _mean([one.peak_rss_mib for one in recorded], len(runs))
        spent = one.row.evaluation.env_steps
        cells = [
            f"{runs[0].steps:,}" if runs[0].steps else NONE,
            f"{runs[0].pretraining:,}",
            f"{sum(speeds) / len(speeds):,.1f}" if speeds else NONE,
            clock(_mean([one.wall_seconds for one in recorded], len(runs))),
            f"{memory:,.0f}" if memory is not None else NONE,
            f"{spent['collection']:,}" if "collection" in spent else NONE,
            f"{spent['scored']:,}" if "scored" in spent else NONE,
            distinct(_machine(run) for run in runs),
        ]
        rows.append([Cell(one.row.method, method=one.row.method), _effect(one.tail, digits), *map(Cell, cells)])
    head = ["Method", "End slope", "Training steps", "Steps before", "Steps per second", "Time per seed"]
    return Table(
        name=f"{analysis.family.name}_cost",
        title="Cost",
        note="Means over seeds. The end slope is what the return gained per 1,000 steps in the last fifth of training, "
        "over three tests at least; where its 95% interval excludes zero, the return was still changing. Environment "
        "steps at test are those of one task and one repeat.",
        head=[*head, "Peak memory, MiB", "Collected at test", "Scored at test", "Machine"],
        rows=rows,
    )


def differs(analysis: Analysis) -> Table | None:
    """What a comparison says its methods do not share; nothing where it says nothing."""
    fair = next((run.fairness for one in analysis.methods for run in one.row.runs if run.fairness), None)
    if fair is None or not fair.differs:
        return None
    names = list(dict.fromkeys(name for one in fair.differs for name in one.values))
    lines = [
        [
            Cell(one.what, code=True),
            *(Cell(plain(one.values[n]) if n in one.values else NONE, code=True) for n in names),
        ]
        for one in fair.differs
    ]
    return Table(
        name=f"{analysis.family.name}_differs",
        title="What differs between the methods",
        note="Bindings and settings that the methods of this comparison do not share.",
        head=["What", *names],
        rows=lines,
        words=len(names) + 1,
    )


def bindings(rows: Sequence[Row]) -> Table:
    """Every binding of every method, those first in which methods differ."""
    columns = [dict(flatten(row.runs[0].experiment)) for row in rows]
    paths = sorted({path for column in columns for path in column})

    def differ(path: str) -> bool:
        return len({json.dumps(column.get(path, NONE), default=str) for column in columns}) > 1

    ordered = sorted(paths, key=lambda path: (not differ(path), path))
    return Table(
        name="bindings",
        title="Bindings of every method",
        note="",
        head=["Binding", *(row.method for row in rows)],
        rows=[
            [Cell(path, code=True), *(Cell(plain(c[path]) if path in c else NONE, code=True) for c in columns)]
            for path in ordered
        ],
        words=len(rows) + 1,
        lit=frozenset(i for i, path in enumerate(ordered) if differ(path)),
    )


def distinct(values: Iterable[str]) -> str:
    """Return each value once, with a stroke between."""
    return " / ".join(dict.fromkeys(values))


def _matrix(
    analysis: Analysis,
    name: str,
    title: str,
    note: str,
    methods: Sequence[str],
    comparisons: Mapping[tuple[str, str], Comparison],
) -> Table | None:
    if len(methods) < 2:
        return None
    digits = digits_for(one.mean for one in analysis.methods)

    def cell(a: str, b: str) -> Cell:
        return Cell("·") if a == b else _difference(comparisons[a, b], digits)

    return Table(
        name=f"{analysis.family.name}_{name}",
        title=title,
        note=f"{note} Bold: it excludes zero, over two shared seeds or more.",
        head=["Method", *(f"− {b}" for b in methods)],
        rows=[[Cell(a, method=a), *(cell(a, b) for b in methods)] for a in methods],
    )


def _difference(one: Comparison, digits: int) -> Cell:
    if one.effect is None:
        return Cell(NONE, one.reason)
    said = f"{interval(one.effect.interval, digits, sign=True)}; P {number(one.improvement, 2)}"
    return Cell(number(one.effect.value, digits, sign=True), said, strong=one.sign != 0)


def _task_difference(pair: Comparison, task: int, digits: int) -> Cell:
    values = pair.differences[:, task]
    ends = paired_interval(values, np.zeros_like(values)) if len(values) > 1 else None
    return Cell(number(float(values.mean()), digits, sign=True), interval(ends, digits, sign=True) if ends else "")


def _ranged(value: float | None, ends: tuple[float, float] | None, digits: int) -> Cell:
    return Cell(number(value, digits), interval(ends, digits) if ends else "")


def _effect(effect: Effect | None, digits: int) -> Cell:
    if effect is None:
        return Cell(NONE)
    ends = interval(effect.interval, digits, sign=True) if effect.interval else ""
    return Cell(number(effect.value, digits, sign=True), ends)


def _machine(run: Run) -> str:
    return f"{run.execution.device}, {count(run.execution.threads, 'thread')}" if run.execution else NONE


def _mean(values: Sequence[float], runs: int) -> float | None:
    """Return the mean of what every run recorded, None where one did not or where a number is too large for a mean."""
    return sum(values) / runs if len(values) == runs and all(map(is_usable, values)) else None
