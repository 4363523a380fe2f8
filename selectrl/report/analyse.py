"""The numbers of a report: one summary per row, one comparison per pair of methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations, permutations
from typing import TypeAlias

import attrs
import numpy as np

from selectrl.functional.estimates import (
    Floats,
    area,
    improvement,
    improvement_interval,
    iqm,
    paired_interval,
    slopes,
    stratified_bootstrap,
)
from selectrl.report.records import Evaluation, Family, Row

Interval: TypeAlias = tuple[float, float] | None

ENOUGH_SEEDS = 5
"""With fewer shared seeds nobody can see whether they scatter as an interval assumes."""

TAIL, LATE = 0.2, 0.5
"""The slope at a learning curve's end is taken over this last share of training, or over its last three tests, if
these lie in that one."""


@attrs.frozen(kw_only=True)
class Effect:
    """A mean paired difference.

    Attributes:
        value: the mean.
        interval: its 95% bootstrap interval over seeds and tasks; absent where there is a single value.
        seeds: how many seeds are paired.
    """

    value: float
    interval: Interval
    seeds: int

    @property
    def sign(self) -> int:
        """1 or -1 where the interval excludes zero, else 0: not told apart."""
        if self.interval is None or self.interval[0] <= 0 <= self.interval[1]:
            return 0
        return 1 if self.interval[0] > 0 else -1


@attrs.frozen(kw_only=True, eq=False)
class Summary:
    """What the tables say of one row; returns are undiscounted, averaged over repeats.

    Attributes:
        row: the row.
        mean: mean over seeds and tasks after the whole budget of context.
        mean_interval: its bootstrap interval over seeds; absent with one seed.
        std: sample standard deviation over seeds; absent with one seed.
        iqm: interquartile mean over seeds and tasks.
        iqm_interval: its bootstrap interval over seeds, stratified by task; absent with one seed.
        context_free: mean of the scored episode before any context.
        gain: whole budget minus context-free, paired by seed and task.
        area: mean height of the few-shot curve.
        area_interval: its bootstrap interval over seeds; absent with one seed.
        tail: slope at the end of the learning curve, per 1,000 steps; absent where fewer than three tests are late.
        offline: mean with context from the test tasks' data, where that was evaluated with its own row's settings.
        gap: offline minus the row, paired by seed and task.
        against_own: the row minus the method's own collector, paired by seed and task; absent on that itself.
    """

    row: Row
    mean: float
    mean_interval: Interval
    std: float | None
    iqm: float
    iqm_interval: Interval
    context_free: float
    gain: Effect
    area: float | None
    area_interval: Interval
    tail: Effect | None
    offline: float | None
    gap: Effect | None
    against_own: Effect | None


@attrs.frozen(kw_only=True, eq=False)
class Comparison:
    """Two rows, after the whole budget of context.

    Attributes:
        a: name of one.
        b: name of the other.
        effect: a minus b; absent where the two must not be compared.
        reason: why they must not.
        tasks: ids of the tasks.
        seeds: the seeds that both have; empty where none is common and means over seeds are compared.
        differences: a minus b, (seed, task).
        improvement: probability that a run of a beats a run of b on the same task.
        improvement_interval: its bootstrap interval.
    """

    a: str
    b: str
    effect: Effect | None
    reason: str = ""
    tasks: tuple[int, ...] = ()
    seeds: tuple[int, ...] = ()
    differences: Floats = attrs.field(factory=lambda: np.zeros((0, 0)))
    improvement: float = 0.5
    improvement_interval: Interval = None

    @property
    def sign(self) -> int:
        """1 or -1 where a is shown to be above or below b, else 0, as without two shared seeds: it may be luck."""
        return self.effect.sign if self.effect and self.effect.seeds >= 2 else 0

    @property
    def wins(self) -> int:
        """On how many tasks a is above b, over the mean of seeds."""
        return int((self.differences.mean(axis=0) > 0).sum())


@attrs.frozen(kw_only=True, eq=False)
class Analysis:
    """One environment, analysed.

    Attributes:
        family: its rows.
        summaries: one per row, best mean first within the methods' own collectors.
        comparisons: of the methods under their own collectors, by ordered pair.
        given: of the methods with context from the data, which takes exploration out of the comparison.
        alike: of methods under one collector that is not the own one of both, by the row of the pair's better mean.
    """

    family: Family
    summaries: tuple[Summary, ...]
    comparisons: Mapping[tuple[str, str], Comparison]
    given: Mapping[tuple[str, str], Comparison]
    alike: tuple[tuple[Row, Comparison], ...]

    @property
    def methods(self) -> tuple[Summary, ...]:
        """The summaries of the methods under their own collectors, best mean first."""
        return tuple(one for one in self.summaries if one.row.own)

    @property
    def verdicts(self) -> tuple[Comparison, ...]:
        """Each pair of methods once, the one with the better mean first, pairs of the best method first."""
        names = [one.row.method for one in self.methods]
        return tuple(self.comparisons[pair] for pair in combinations(names, 2))

    @property
    def unbeaten(self) -> tuple[str, ...]:
        """The methods that no other method is shown to be above."""
        names = [one.row.method for one in self.methods]
        return tuple(a for a in names if all(self.comparisons[a, b].sign >= 0 for b in names if b != a))


def analyse(family: Family) -> Analysis:
    """Summarise every row, and compare every two methods under their own collectors and with context from the data."""
    summaries = sorted((_summary(row, family) for row in family.rows), key=lambda one: -one.mean)
    rows = [one.row for one in summaries]
    return Analysis(
        family=family,
        summaries=tuple(summaries),
        comparisons=_pairwise([row for row in rows if row.own]),
        given=_pairwise([row for row in rows if row is family.offline(row.method)]),
        alike=tuple((a, compare(a, b)) for a, b in combinations(rows, 2) if _alike(a, b)),
    )


def compare(a: Row, b: Row) -> Comparison:
    """Return a minus b over the seeds that both have; without a common seed, over tasks of the seeds' means."""
    reason = _apart(a.evaluation, b.evaluation)
    if reason:
        return Comparison(a=a.method, b=b.method, effect=None, reason=reason)
    left, right, seeds = _paired(a, b)
    sides = a.scores[..., -1].T, b.scores[..., -1].T  # (task, seed)
    return Comparison(
        a=a.method,
        b=b.method,
        effect=_effect(left[..., -1], right[..., -1], len(seeds)),
        tasks=a.evaluation.tasks,
        seeds=seeds,
        differences=left[..., -1] - right[..., -1],
        improvement=improvement(*sides),
        improvement_interval=improvement_interval(*sides),
    )


def _pairwise(rows: Sequence[Row]) -> dict[tuple[str, str], Comparison]:
    """Compare every two rows, both ways round; rows of one method are not compared."""
    pairs = [(a, b) for a, b in permutations(rows, 2) if a.method != b.method]
    return {(a.method, b.method): compare(a, b) for a, b in pairs}


def _alike(a: Row, b: Row) -> bool:
    """Whether two methods collected alike for a test that is not the own one of both and read no data."""
    one, other = a.evaluation, b.evaluation
    same = one.collector == other.collector and one.settings == other.settings
    return same and a.method != b.method and not (a.own and b.own) and not one.offline


def _summary(row: Row, family: Family) -> Summary:
    scores = row.scores  # (seed, task, point)
    final, first = scores[..., -1], scores[..., 0]
    several = len(scores) > 1
    steps = np.array(row.evaluation.context_steps, float)
    areas = np.array([area(steps, one) for one in scores.mean(axis=1)] if len(steps) > 1 else [])  # (seed,)
    own, offline = family.own(row.method), family.offline(row.method)
    return Summary(
        row=row,
        mean=float(final.mean()),
        mean_interval=stratified_bootstrap(final.T, np.mean, together=True) if several else None,
        std=float(final.mean(axis=1).std(ddof=1)) if several else None,
        iqm=iqm(final),
        iqm_interval=stratified_bootstrap(final.T, iqm, together=True) if several else None,
        context_free=float(first.mean()),
        gain=_effect(final, first, len(scores)),
        area=float(areas.mean()) if areas.size else None,
        area_interval=stratified_bootstrap(areas[None], np.mean) if len(areas) > 1 else None,
        tail=_tail(row),
        offline=float(offline.scores[..., -1].mean()) if offline and offline is not row else None,
        gap=compare(offline, row).effect if offline and offline is not row else None,
        against_own=None if row.own else compare(row, own).effect,
    )


def _tail(row: Row) -> Effect | None:
    """Return the slope at the end of training, which says whether it was long enough; tests may be too few for it."""
    steps, returns = row.learning
    if len(steps) < 3:
        return None
    count = max(int((steps >= (1 - TAIL) * steps[-1]).sum()), 3)
    if steps[-count] < (1 - LATE) * steps[-1]:
        return None
    each = 1000 * slopes(steps[-count:], returns[:, -count:])  # (seed,)
    ends = stratified_bootstrap(each[None], np.mean) if len(each) > 1 else None
    return Effect(value=float(each.mean()), interval=ends, seeds=len(each))


def _effect(a: Floats, b: Floats, seeds: int) -> Effect:
    interval = paired_interval(a, b) if a.size > 1 else None
    return Effect(value=float((a - b).mean()), interval=interval, seeds=seeds)


def _paired(a: Row, b: Row) -> tuple[Floats, Floats, tuple[int, ...]]:
    """Return the scores of both over common seeds, or over the one mean of all seeds where none is common."""
    shared = tuple(sorted(set(a.seeds) & set(b.seeds)))
    if not shared:
        return a.scores.mean(axis=0, keepdims=True), b.scores.mean(axis=0, keepdims=True), ()
    picks = [[row.seeds.index(seed) for seed in shared] for row in (a, b)]
    return a.scores[picks[0]], b.scores[picks[1]], shared


def _apart(a: Evaluation, b: Evaluation) -> str:
    """Return why two evaluations must not be compared, or nothing."""
    if a.tasks != b.tasks:
        return "other test tasks"
    budgets = a.settings["budget"], b.settings["budget"]
    return "" if budgets[0] == budgets[1] else f"budget {budgets[0]} against {budgets[1]}"
