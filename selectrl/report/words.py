"""Sentences about numbers: never more than the interval carries, and ties called ties."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from selectrl.report.analyse import ENOUGH_SEEDS, Analysis, Comparison, Effect, Interval, Summary
from selectrl.report.group import difference
from selectrl.report.projection import TaskAxis
from selectrl.report.records import Row

MINUS, NONE = "−", "–"


def number(value: float | None, digits: int, *, sign: bool = False) -> str:
    """Return a number with a true minus sign, or a dash where there is none; ``sign`` shows a plus too."""
    if value is None:
        return NONE
    shown = f"{value:{'+' if sign else ''},.{digits}f}".replace("-", MINUS)
    zero = f"{0:.{digits}f}"
    return zero if shown.lstrip(f"+{MINUS}") == zero else shown


def interval(ends: Interval, digits: int, *, sign: bool = False) -> str:
    """Return ``low to high``, or a dash."""
    return NONE if ends is None else " to ".join(number(end, digits, sign=sign) for end in ends)


def effect(one: Effect | None, digits: int) -> str:
    """Return ``difference, low to high``, or a dash."""
    return f"{number(one.value, digits, sign=True)}, {interval(one.interval, digits, sign=True)}" if one else NONE


def digits_for(values: Iterable[float]) -> int:
    """Return how many decimals show about three significant digits of the largest value."""
    largest = max((abs(value) for value in values), default=0.0)
    return 2 if largest < 100 else 1 if largest < 1000 else 0


def join(words: Sequence[str], last: str = "and") -> str:
    """Return ``a``, ``a and b`` or ``a, b and c``."""
    return f" {last} ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def count(n: int, word: str) -> str:
    """Return ``1 seed`` or ``3 seeds``."""
    return f"{n:,} {word}{'' if n == 1 else 's'}"


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


def order(analysis: Analysis) -> str:
    """Return one sentence on the order of the methods, the verdict where there are two, nothing where there is one."""
    names = [one.row.method for one in analysis.methods]
    if len(names) == 2:
        return verdict(analysis.verdicts[0], digits_for(one.mean for one in analysis.methods))
    top = analysis.unbeaten
    effects = [comparison.effect for comparison in analysis.comparisons.values()]
    if not any(effects):
        return ""
    if len(top) == 1 and all(analysis.comparisons[top[0], other].sign > 0 for other in names if other != top[0]):
        few = any(effect.seeds < ENOUGH_SEEDS for effect in effects if effect)
        where = " in these runs" if few else ""
        return f"{top[0]} scores above every other method{where}: the 95% interval of each difference excludes zero."
    if len(top) == len(names) and all(effects):
        seeds = all(effect.seeds >= 2 for effect in effects if effect)
        why = (
            ": the 95% interval of each difference includes zero"
            if seeds
            else ", some of them for want of shared seeds"
        )
        return f"{join(names)} are not told apart{why}."
    lower = [name for name in names if name not in top]
    below = f"; {join(lower)} {'is' if len(lower) == 1 else 'are each'} below at least one" if lower else ""
    return f"No method is shown to be above {join(top, 'or')}{below}." if top else "The methods have no clear order."


def verdict(one: Comparison, digits: int) -> str:
    """Return what the runs say of two methods, never more than the interval of their difference carries."""
    if one.effect is None:
        return f"{one.a} and {one.b} are not compared: {one.reason}."
    seeds = one.effect.seeds
    paired = f"{count(seeds, 'shared seed')} × {count(len(one.tasks), 'task')}"
    spread = f"95% interval {interval(one.effect.interval, digits, sign=True)}, " if one.effect.interval else ""
    if one.sign == 0:
        size = number(one.effect.value, digits, sign=True)
        luck = "" if seeds >= 2 else " It takes two shared seeds to tell a method from a seed’s luck."
        return f"{one.a} and {one.b} are not told apart: the difference is {size} ({spread}{paired}).{luck}"
    where = " in these runs" if seeds < ENOUGH_SEEDS else ""
    word = "above" if one.sign > 0 else "below"
    size = number(abs(one.effect.value), digits)
    return f"{one.a} scores {word} {one.b} by {size}{where} ({spread}{paired})."


def beside(one: Comparison) -> str:
    """Return what stands beside a verdict: tasks won, and the probability that a seed of one beats one of the other."""
    if one.effect is None:
        return ""
    return (
        f"{one.a} is ahead on {one.wins} of {count(len(one.tasks), 'task')}; P({one.a} > {one.b}) = "
        f"{number(one.improvement, 2)}, {interval(one.improvement_interval, 2)}."
    )


def sentence(analysis: Analysis, one: Summary, digits: int) -> str:
    """Return what was measured of one method, and what context did for it."""
    row = one.row
    spread = (
        f"95% interval {interval(one.mean_interval, digits)} over {count(len(row.seeds), 'seed')}"
        if one.mean_interval
        else "one seed, so no interval"
    )
    said = [
        f"After {count(row.evaluation.context_steps[-1], 'step')} of context its mean return is "
        f"{number(one.mean, digits)} ({spread}).",
        gained(one.gain, digits),
    ]
    if one.gap:
        said.append(f"With context from the data it would have {number(one.offline, digits)}{_cost(one.gap, digits)}.")
    return " ".join(said)


def by_task_words(analysis: Analysis, axis: TaskAxis) -> str:
    """Say how each method does at the ends of the range of tasks and in its middle; a circle has no ends."""
    ranks = np.argsort(np.argsort(axis.values))
    ends = np.minimum(ranks, len(ranks) - 1 - ranks) < max(1, len(ranks) // 10)
    if axis.cyclic or len(ranks) < 5:
        return ""
    digits = digits_for(one.mean for one in analysis.methods)
    tasks, told = analysis.methods[0].row.evaluation.tasks, []
    for one in analysis.methods:
        scores = one.row.scores[..., -1].mean(axis=0)
        if one.row.evaluation.tasks == tasks:
            outer, inner = (number(float(scores[which].mean()), digits) for which in (ends, ~ends))
            told.append(f"{one.row.method} {outer} against {inner}")
    return f"At the {count(int(ends.sum()), 'task')} at the two ends against all others: {join(told)}."


def gained(gain: Effect, digits: int) -> str:
    """Return what context did to the return."""
    if gain.interval is None:
        return f"Context changes it by {number(gain.value, digits, sign=True)} (a single pair, so no interval)."
    if gain.sign == 0:
        return f"No effect of context could be shown ({effect(gain, digits)})."
    ends = sorted(map(abs, gain.interval))
    size = f"{number(abs(gain.value), digits)} ({interval((ends[0], ends[1]), digits)})"
    return f"Context {'raises' if gain.sign > 0 else 'lowers'} it by {size}."


def notes(analysis: Analysis) -> list[str]:
    """Return what stands between these numbers and a fair comparison, one sentence each."""
    rows = [one.row for one in analysis.methods]
    said = []
    fewest = min(len(row.seeds) for row in rows)
    if fewest < ENOUGH_SEEDS:
        read = " Read “above” and “below” as statements about these runs." if len(rows) > 1 else ""
        said.append(
            f"With as few as {count(fewest, 'seed')} to a method, nobody can see whether seeds scatter as intervals "
            f"assume, normally.{read} "
            f"A claim about methods takes {ENOUGH_SEEDS} seeds or more."
        )
    if len({row.seeds for row in rows}) > 1:
        said.append(
            "The methods do not have the same seeds; differences are taken over the seeds that two of them share."
        )
    for row in rows:
        others = _other_collectors(analysis, row)
        if others:
            said.append(f"{row.method} is reported under {row.label}, its first seed’s collector, not {join(others)}.")
    executions = [run.execution for row in rows for run in row.runs]
    prints = sorted({short(one.dataset.fingerprint if one else "not recorded") for one in executions})
    if len(prints) > 1:
        said.append(f"The runs were not trained on the same data (fingerprints {join(prints)}).")
    for row in rows:
        changed = sorted({part for run in row.runs for part in run.changed})
        if changed:
            said.append(f"The source code of {join(changed)} has changed since {row.method} was trained.")
    steps = [f"{row.method} {row.runs[0].steps}" for row in rows]
    if len({row.runs[0].steps for row in rows}) > 1:
        said.append(f"The methods were not trained for equally many steps ({join(steps)}).")
    environments = [row.runs[0].experiment["env"] for row in rows]
    told = next((d for other in environments if (d := difference(environments[0], other))), None)
    if told:
        said.append(f"The methods did not face the same environment ({told}).")
    rising = [one for one in analysis.methods if one.tail and one.tail.sign > 0]
    if rising:
        rates = [f"{one.row.method} ({effect(one.tail, 2)} per 1,000 steps)" for one in rising]
        said.append(f"Still rising at the end of training: {join(rates)}. Longer training may change the order.")
    fair = next((run.fairness for row in rows for run in row.runs if run.fairness), None)
    for check in fair.checks if fair else ():
        if not check.ok:
            said.append(f"A check of fairness failed: {check.what}{f' ({check.detail})' if check.detail else ''}.")
    examined = {method for one in (fair.differs if fair else ()) for method in one.values}
    unexamined = [row.method for row in rows if examined and row.method not in examined]
    if unexamined:
        said.append(f"The record of fairness is of a comparison without {join(unexamined)}.")
    settings = [
        {**row.evaluation.settings, "repeats": row.evaluation.repeats, "terminals": row.runs[0].terminals}
        for row in rows
    ]
    for name, words in (
        ("prior", "start from different priors"),
        ("test_seed", "were tested under different noise, seeds"),
        ("block", "collected context in blocks of other lengths"),
        ("gate", "first read the belief after other numbers of episodes"),
        ("repeats", "were tested with other numbers of repeats"),
        ("terminals", "learnt from other ends of episodes"),
    ):
        found = sorted({str(one[name]) for one in settings})
        if len(found) > 1:
            said.append(f"The methods {words}: {join(found)}.")
    return said


def _other_collectors(analysis: Analysis, own: Row) -> list[str]:
    """Return the collectors that seeds of a method bind instead of the one that it is reported under."""
    runs = {run.seed: run for row in analysis.family.rows if row.method == own.method for run in row.runs}
    bound = {seed: runs[seed].own.get(analysis.family.protocol, own.label) for seed in sorted(runs)}
    return [f"seed {seed}’s {label}" for seed, label in bound.items() if label != own.label]


def _cost(gap: Effect, digits: int) -> str:
    """Return what collecting its own context costs a method, if that could be shown."""
    return f"; collecting it costs {number(gap.value, digits)}" if gap.sign > 0 else ""


def short(fingerprint: object) -> str:
    """Return the head of a fingerprint, enough to tell two apart."""
    return str(fingerprint)[:12]
