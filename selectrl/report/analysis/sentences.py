"""Sentences about numbers: never more than the interval carries, and ties called ties."""

from __future__ import annotations

import numpy as np

from selectrl.report.analysis.analyse import Analysis, Summary
from selectrl.report.analysis.comparison import Comparison
from selectrl.report.analysis.estimate import ENOUGH_SEEDS, Estimate
from selectrl.report.analysis.formats import NONE, count, interval, join, number
from selectrl.report.analysis.metrics import GAIN, GAP, MEAN, OFFLINE
from selectrl.report.analysis.projection import TaskAxis


def effect(one: Estimate | None, digits: int) -> str:
    """Return ``difference, low to high``, or a dash."""
    return f"{number(one.value, digits, sign=True)}, {interval(one.interval, digits, sign=True)}" if one else NONE


def order(analysis: Analysis) -> str:
    """Return one sentence on the order of the methods, the verdict where there are two, nothing where there is one."""
    names = [one.row.method for one in analysis.methods]
    if len(names) == 2:
        return verdict(analysis.verdicts[0], analysis.digits)
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
    row, mean, gap, offline = one.row, one[MEAN], one.get(GAP), one.get(OFFLINE)
    spread = (
        f"95% interval {interval(mean.interval, digits)} over {count(len(row.seeds), 'seed')}"
        if mean.interval
        else "one seed, so no interval"
    )
    said = [
        f"After {count(row.evaluation.context_steps[-1], 'step')} of context its mean return is "
        f"{number(mean.value, digits)} ({spread}).",
        gained(one[GAIN], digits),
    ]
    if gap and offline:
        said.append(f"With context from the data it would have {number(offline.value, digits)}{_cost(gap, digits)}.")
    return " ".join(said)


def by_task_words(analysis: Analysis, axis: TaskAxis) -> str:
    """Say how each method does at the ends of the range of tasks and in its middle; a circle has no ends."""
    ranks = np.argsort(np.argsort(axis.values))
    ends = np.minimum(ranks, len(ranks) - 1 - ranks) < max(1, len(ranks) // 10)
    if axis.cyclic or len(ranks) < 5:
        return ""
    digits = analysis.digits
    tasks, told = analysis.methods[0].row.evaluation.tasks, []
    for one in analysis.methods:
        scores = one.row.scores[..., -1].mean(axis=0)
        if one.row.evaluation.tasks == tasks:
            outer, inner = (number(float(scores[which].mean()), digits) for which in (ends, ~ends))
            told.append(f"{one.row.method} {outer} against {inner}")
    return f"At the {count(int(ends.sum()), 'task')} at the two ends against all others: {join(told)}."


def gained(gain: Estimate, digits: int) -> str:
    """Return what context did to the return."""
    if gain.interval is None:
        return f"Context changes it by {number(gain.value, digits, sign=True)} (a single pair, so no interval)."
    if gain.sign == 0:
        return f"No effect of context could be shown ({effect(gain, digits)})."
    ends = sorted(map(abs, gain.interval))
    size = f"{number(abs(gain.value), digits)} ({interval((ends[0], ends[1]), digits)})"
    return f"Context {'raises' if gain.sign > 0 else 'lowers'} it by {size}."


def _cost(gap: Estimate, digits: int) -> str:
    """Return what collecting its own context costs a method, if that could be shown."""
    return f"; collecting it costs {number(gap.value, digits)}" if gap.sign > 0 else ""
