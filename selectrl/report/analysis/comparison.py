"""Two rows compared after the whole budget of context, paired by seed and task."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

import attrs
import numpy as np

from selectrl.arrays import DoubleArray
from selectrl.functional.estimates import improvement, improvement_interval
from selectrl.report.analysis.estimate import FEWEST_SEEDS, Estimate, Interval, other_tasks, these_tasks
from selectrl.report.analysis.families import reference_returns
from selectrl.report.records import Evaluation, Row


@attrs.frozen(kw_only=True, eq=False)
class PairComparison:
    """Two rows, after the whole budget of context.

    Attributes:
        a: name of the first.
        b: name of the second.
        effect: a minus b; absent where the two must not be compared.
        reason: why they must not.
        tasks: ids of the tasks.
        seeds: the seeds that both have; empty where none is common and means over seeds are compared.
        differences: a minus b, (seed, task).
        improvement: probability that a run of a beats a run of b on the same task.
        improvement_interval: its bootstrap interval; absent with too few seeds.
        margin: a difference this small does not matter in the environment; absent where none is declared.
    """

    a: str
    b: str
    effect: Estimate | None
    reason: str = ""
    tasks: tuple[int, ...] = ()
    seeds: tuple[int, ...] = ()
    differences: DoubleArray = attrs.field(factory=lambda: np.zeros((0, 0)))
    improvement: float = 0.5
    improvement_interval: Interval = None
    margin: float | None = None

    @property
    def sign(self) -> int:
        """1 or -1 where a is shown to be above or below b, else 0, as without enough shared seeds."""
        return self.effect.sign if self.effect else 0

    @property
    def is_equal(self) -> bool:
        """Whether a and b are shown to be equal: the interval of their difference lies inside the margin."""
        ends = self.effect.interval if self.effect else None
        return ends is not None and self.margin is not None and max(map(abs, ends)) <= self.margin

    @property
    def wins(self) -> int:
        """The number of tasks on which a is above b, over the mean of seeds."""
        return int((self.differences.mean(axis=0) > 0).sum())


def compare(a: Row, b: Row) -> PairComparison:
    """Return a minus b over the seeds that both have; without a common seed, over tasks of the seeds' means."""
    reason = obstacle(a.evaluation, b.evaluation)
    if reason:
        return PairComparison(a=a.method, b=b.method, effect=None, reason=reason)
    differences, seeds = paired_differences(a, b)
    sides = a.scores[..., -1].T, b.scores[..., -1].T  # (task, seed)
    effect = Estimate(
        value=float(differences.mean()),
        interval=these_tasks(differences),
        interval_other_tasks=other_tasks(differences),
        seeds=len(seeds),
    )
    enough = min(len(a.seeds), len(b.seeds)) >= FEWEST_SEEDS
    references = reference_returns(a)
    return PairComparison(
        a=a.method,
        b=b.method,
        effect=effect,
        tasks=a.evaluation.tasks,
        seeds=seeds,
        differences=differences,
        improvement=improvement(*sides),
        improvement_interval=improvement_interval(*sides) if enough else None,
        margin=references.margin if references else None,
    )


def compare_methods(rows: Sequence[Row]) -> dict[tuple[str, str], PairComparison]:
    """Compare every two rows, both ways round; rows of one method are not compared."""
    pairs = [(a, b) for a, b in permutations(rows, 2) if a.method != b.method]
    return {(a.method, b.method): compare(a, b) for a, b in pairs}


def collect_alike(a: Row, b: Row) -> bool:
    """Say whether two methods collected alike for a test that is not the own one of both and read no data."""
    first, second = a.evaluation, b.evaluation
    same = first.collector == second.collector and first.settings == second.settings
    return same and a.method != b.method and not (a.own and b.own) and not first.offline


def paired_differences(a: Row, b: Row) -> tuple[DoubleArray, tuple[int, ...]]:
    """Return a minus b after all context over common seeds, (seed, task), or of the means where no seed is common."""
    shared = tuple(sorted(set(a.seeds) & set(b.seeds)))
    if not shared:
        return (a.scores.mean(axis=0, keepdims=True) - b.scores.mean(axis=0, keepdims=True))[..., -1], ()
    left, right = (row.scores[[row.seeds.index(seed) for seed in shared]] for row in (a, b))
    return left[..., -1] - right[..., -1], shared


def obstacle(a: Evaluation, b: Evaluation) -> str:
    """Return why two evaluations must not be compared, or nothing."""
    if a.tasks != b.tasks:
        return "other test tasks"
    budgets = a.settings["budget"], b.settings["budget"]
    return "" if budgets[0] == budgets[1] else f"budget {budgets[0]} against {budgets[1]}"
