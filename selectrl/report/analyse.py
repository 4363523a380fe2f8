"""The numbers of a report: one summary per row, one comparison per pair of methods."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import TypeAlias

import attrs
import numpy as np

from selectrl.functional.estimates import Floats, area, iqm, paired_interval, stratified_bootstrap
from selectrl.report.records import Evaluation, Family, Row

Interval: TypeAlias = tuple[float, float] | None

ENOUGH_SEEDS = 5
"""With fewer shared seeds they agree on a sign too often by chance: a quarter of the time with three."""


@attrs.frozen(kw_only=True)
class Effect:
    """A mean paired difference.

    Attributes:
        value: the mean.
        interval: its 95% bootstrap interval over seeds and tasks; absent where there is a single pair.
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
        offline: mean with context from the test tasks' data, where that was evaluated.
        gap: offline minus the row, paired by seed and task.
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
    offline: float | None
    gap: Effect | None


@attrs.frozen(kw_only=True, eq=False)
class Comparison:
    """Two rows, after the whole budget of context.

    Attributes:
        a: name of one.
        b: name of the other.
        effect: a minus b; absent where the two must not be compared.
        reason: why they must not.
    """

    a: str
    b: str
    effect: Effect | None
    reason: str = ""


@attrs.frozen(kw_only=True, eq=False)
class Analysis:
    """One environment, analysed.

    Attributes:
        family: its rows.
        summaries: one per row, best mean first within the methods' own collectors.
        comparisons: by ordered pair of methods.
    """

    family: Family
    summaries: tuple[Summary, ...]
    comparisons: Mapping[tuple[str, str], Comparison]

    @property
    def methods(self) -> tuple[Summary, ...]:
        """The summaries of the methods under their own collectors, best mean first."""
        return tuple(one for one in self.summaries if one.row.own)

    def sign(self, a: str, b: str) -> int:
        """Return 1 where a is above b, -1 where it is below, 0 where the two are not told apart or not compared."""
        effect = self.comparisons[a, b].effect
        return effect.sign if effect else 0

    @property
    def unbeaten(self) -> tuple[str, ...]:
        """The methods that no other method is shown to be above."""
        names = [one.row.method for one in self.methods]
        return tuple(a for a in names if all(self.sign(a, b) >= 0 for b in names if b != a))


def analyse(family: Family) -> Analysis:
    """Summarise every row and compare every two methods under their own collectors."""
    summaries = sorted((_summary(row, family) for row in family.rows), key=lambda one: -one.mean)
    comparisons: dict[tuple[str, str], Comparison] = {}
    for a, b in combinations([one.row for one in summaries if one.row.own], 2):
        for one, other in ((a, b), (b, a)):
            comparisons[one.method, other.method] = compare(one, other)
    return Analysis(family=family, summaries=tuple(summaries), comparisons=comparisons)


def compare(a: Row, b: Row) -> Comparison:
    """Return a minus b over the seeds that both have; without a common seed, over tasks of the seeds' means."""
    reason = _apart(a.evaluation, b.evaluation)
    if reason:
        return Comparison(a=a.name, b=b.name, effect=None, reason=reason)
    left, right, seeds = _paired(a, b)
    return Comparison(a=a.name, b=b.name, effect=_effect(left[..., -1], right[..., -1], seeds))


def _summary(row: Row, family: Family) -> Summary:
    scores = row.scores  # (seed, task, point)
    final, first = scores[..., -1], scores[..., 0]
    several = len(scores) > 1
    steps = row.evaluation.context_steps
    offline = next((r for r in family.rows if r.method == row.method and r.evaluation.offline), None)
    return Summary(
        row=row,
        mean=float(final.mean()),
        mean_interval=stratified_bootstrap(final.T, np.mean, together=True) if several else None,
        std=float(final.mean(axis=1).std(ddof=1)) if several else None,
        iqm=iqm(final),
        iqm_interval=stratified_bootstrap(final.T, iqm, together=True) if several else None,
        context_free=float(first.mean()),
        gain=_effect(final, first, len(scores)),
        area=area(np.array(steps, float), scores.mean(axis=(0, 1))) if len(steps) > 1 else None,
        offline=float(offline.scores[..., -1].mean()) if offline and offline is not row else None,
        gap=compare(offline, row).effect if offline and offline is not row else None,
    )


def _effect(a: Floats, b: Floats, seeds: int) -> Effect:
    interval = paired_interval(a, b) if a.size > 1 else None
    return Effect(value=float((a - b).mean()), interval=interval, seeds=seeds)


def _paired(a: Row, b: Row) -> tuple[Floats, Floats, int]:
    """Return the scores of both over common seeds, or over the one mean of all seeds where none is common."""
    shared = sorted(set(a.seeds) & set(b.seeds))
    if not shared:
        return a.scores.mean(axis=0, keepdims=True), b.scores.mean(axis=0, keepdims=True), 0
    picks = [[row.seeds.index(seed) for seed in shared] for row in (a, b)]
    return a.scores[picks[0]], b.scores[picks[1]], len(shared)


def _apart(a: Evaluation, b: Evaluation) -> str:
    """Return why two evaluations must not be compared, or nothing."""
    if a.tasks != b.tasks:
        return "other test tasks"
    for name in ("protocol", "budget"):
        if a.settings[name] != b.settings[name]:
            return f"{name} {a.settings[name]} against {b.settings[name]}"
    return ""
