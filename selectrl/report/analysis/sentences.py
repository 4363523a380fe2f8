"""Sentences about numbers: never more than the interval carries, and ties called ties."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from selectrl.report.analysis.analyse import Analysis, Summary
from selectrl.report.analysis.comparison import PairComparison
from selectrl.report.analysis.estimate import ENOUGH_SEEDS, Estimate
from selectrl.report.analysis.formats import NONE, count, interval, join, number
from selectrl.report.analysis.metrics import GAIN, GAP, MEAN, OFFLINE
from selectrl.report.analysis.projection import TaskAxis


def effect(estimate: Estimate | None, digits: int) -> str:
    """Return ``difference, low to high``, or a dash."""
    return (
        f"{number(estimate.value, digits, sign=True)}, {interval(estimate.interval, digits, sign=True)}"
        if estimate
        else NONE
    )


def order(analysis: Analysis) -> str:
    """Return one sentence on the order of the methods, the verdict where there are two, nothing where there is one."""
    names = [summary.row.method for summary in analysis.methods]
    if len(names) == 2:
        return verdict(analysis.verdicts[0], analysis.digits)
    top = analysis.unbeaten
    pairs = list(analysis.comparisons.values())
    effects = [pair.effect for pair in pairs if pair.effect]
    if not effects:
        return ""
    if not any(effect.interval for effect in effects):
        return f"No order of {join(names)} can be shown: too few seeds for an interval."
    if len(top) == 1 and all(analysis.comparisons[top[0], other].sign > 0 for other in names if other != top[0]):
        few = any(effect.seeds < ENOUGH_SEEDS for effect in effects)
        where = " in these runs" if few else ""
        return f"{top[0]} scores above every other method{where}: the 95% interval of each difference excludes zero."
    if len(top) == len(names) == len({pair.a for pair in pairs if pair.effect}):
        return _no_difference(names, pairs, analysis.digits)
    lower = [name for name in names if name not in top]
    below = f"; {join(lower)} {'is' if len(lower) == 1 else 'are each'} below at least one" if lower else ""
    return f"No method is shown to be above {join(top, 'or')}{below}." if top else "The methods have no clear order."


def _no_difference(names: Sequence[str], pairs: Sequence[PairComparison], digits: int) -> str:
    """Return one sentence on methods of which no two are shown to differ."""
    margin = pairs[0].margin
    if margin is not None and all(pair.is_equal for pair in pairs):
        return f"{join(names)} are equal within ±{number(margin, digits)}."
    have_intervals = all(pair.effect and pair.effect.interval for pair in pairs)
    why = (
        "the 95% interval of each difference includes zero"
        if have_intervals
        else "some have too few shared seeds to tell"
    )
    return f"There is no significant difference between any two of {join(names)}: {why}."


def verdict(comparison: PairComparison, digits: int) -> str:
    """Return the verdict on two methods, which claims no more than the interval of their difference supports."""
    effect = comparison.effect
    if effect is None:
        return f"{comparison.a} and {comparison.b} are not compared: {comparison.reason}."
    size = number(effect.value, digits, sign=True)
    paired = f"{count(effect.seeds, 'shared seed')} × {count(len(comparison.tasks), 'task')}"
    if effect.interval is None:
        names = f"{comparison.a} and {comparison.b}"
        return f"The difference between {names} is {size} ({paired}): too few seeds for an interval."
    measured = f"{intervals(effect, digits, sign=True)}; {paired}"
    if comparison.sign != 0:
        where = " in these runs" if effect.seeds < ENOUGH_SEEDS else ""
        word = "above" if comparison.sign > 0 else "below"
        return (
            f"{comparison.a} scores {word} {comparison.b} by {number(abs(effect.value), digits)}{where} ({measured})."
        )
    if comparison.is_equal:
        equal = f"{comparison.a} and {comparison.b} are equal within ±{number(comparison.margin, digits)}"
        return f"{equal}: the difference is {size} ({measured})."
    return f"No significant difference between {comparison.a} and {comparison.b}: {size} ({measured})."


def intervals(estimate: Estimate, digits: int, *, sign: bool = False) -> str:
    """Return both 95% intervals of an estimate, each with its question; empty without an interval."""
    these, other = (
        ends and interval(ends, digits, sign=sign) for ends in (estimate.interval, estimate.interval_other_tasks)
    )
    parts = [f"95% interval {these} on these tasks"] if these else []
    parts += [f"{other} on other tasks of the family"] if other else []
    return ", ".join(parts)


def details(comparison: PairComparison) -> str:
    """Return the small print of a verdict: tasks won, and the probability that a seed of one beats one of the other."""
    if comparison.effect is None:
        return ""
    ends = f", {interval(comparison.improvement_interval, 2)}" if comparison.improvement_interval else ""
    won = f"{comparison.a} is ahead on {comparison.wins} of {count(len(comparison.tasks), 'task')}"
    probability = f"P({comparison.a} > {comparison.b}) = {number(comparison.improvement, 2)}{ends}"
    return f"{won}; {probability}."


def sentence(analysis: Analysis, summary: Summary, digits: int) -> str:
    """Return the return of one method, and the gain by context."""
    row, mean, gap, offline = summary.row, summary[MEAN], summary.get(GAP), summary.get(OFFLINE)
    seeds = count(len(row.seeds), "seed")
    spread = f"{intervals(mean, digits)}; {seeds}" if mean.interval else f"{seeds}, too few for an interval"
    parts = [
        f"After {count(row.evaluation.context_steps[-1], 'step')} of context its mean return is "
        f"{number(mean.value, digits)} ({spread}).",
        gained(summary[GAIN], digits),
    ]
    if gap and offline:
        parts.append(f"With context from the data it is {number(offline.value, digits)}{_cost(gap, digits)}.")
    return " ".join(parts)


def by_task_words(analysis: Analysis, axis: TaskAxis) -> str:
    """Say how each method does at the ends of the range of tasks and in its middle; a circle has no ends."""
    ranks = np.argsort(np.argsort(axis.values))
    ends = np.minimum(ranks, len(ranks) - 1 - ranks) < max(1, len(ranks) // 10)
    if axis.cyclic or len(ranks) < 5:
        return ""
    digits = analysis.digits
    tasks, phrases = analysis.methods[0].row.evaluation.tasks, []
    for summary in analysis.methods:
        scores = summary.row.scores[..., -1].mean(axis=0)
        if summary.row.evaluation.tasks == tasks:
            outer, inner = (number(float(scores[which].mean()), digits) for which in (ends, ~ends))
            phrases.append(f"{summary.row.method} {outer} against {inner}")
    return f"At the {count(int(ends.sum()), 'task')} at the two ends against all others: {join(phrases)}."


def gained(gain: Estimate, digits: int) -> str:
    """Return the change of the return by context."""
    if gain.interval is None:
        return f"Context changes it by {number(gain.value, digits, sign=True)} (too few seeds for an interval)."
    if gain.sign == 0:
        return f"No effect of context could be shown ({effect(gain, digits)})."
    ends = sorted(map(abs, gain.interval))
    size = f"{number(abs(gain.value), digits)} ({interval((ends[0], ends[1]), digits)})"
    return f"Context {'raises' if gain.sign > 0 else 'lowers'} it by {size}."


def _cost(gap: Estimate, digits: int) -> str:
    """Return the loss by collecting its own context, if it is significant."""
    return f"; collecting it costs {number(gap.value, digits)}" if gap.sign > 0 else ""
