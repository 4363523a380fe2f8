"""The numbers of one environment: one summary per row, one comparison per pair of methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import attrs

from selectrl.report.analysis.comparison import PairComparison, collect_alike, compare, compare_methods
from selectrl.report.analysis.estimate import Estimate
from selectrl.report.analysis.formats import digits_for
from selectrl.report.analysis.metrics import MEAN, Metric, declared
from selectrl.report.records import Family, Row


@attrs.frozen(kw_only=True, eq=False)
class Summary:
    """The metrics of one row; returns are undiscounted, averaged over repeats.

    Attributes:
        row: the row.
        estimates: by metric's name, of the metrics that the row has values for.
    """

    row: Row
    estimates: Mapping[str, Estimate]

    def __getitem__(self, metric: Metric) -> Estimate:
        """Return the estimate of a metric that the row has values for."""
        return self.estimates[metric.name]

    def get(self, metric: Metric) -> Estimate | None:
        """Return the estimate of a metric, or None where the row has no values for it."""
        return self.estimates.get(metric.name)

    @property
    def mean(self) -> float:
        """The headline's value."""
        return self[MEAN].value


@attrs.frozen(kw_only=True, eq=False)
class Analysis:
    """One environment, analysed.

    Attributes:
        family: its rows.
        metrics: the metrics of its summaries, in the order of keys and columns.
        summaries: one per row, best mean first within the methods' own collectors.
        comparisons: of the methods under their own collectors, by ordered pair.
        given: of the methods with context from the data, which takes exploration out of the comparison.
        alike: of methods under one collector that is not the own one of both, by the row of the pair's better mean.
    """

    family: Family
    metrics: tuple[Metric, ...]
    summaries: tuple[Summary, ...]
    comparisons: Mapping[tuple[str, str], PairComparison]
    given: Mapping[tuple[str, str], PairComparison]
    alike: tuple[tuple[Row, PairComparison], ...]

    @property
    def methods(self) -> tuple[Summary, ...]:
        """The summaries of the methods under their own collectors, best mean first."""
        return tuple(summary for summary in self.summaries if summary.row.own)

    @property
    def digits(self) -> int:
        """The decimals with which the methods' returns are shown."""
        return digits_for(summary.mean for summary in self.methods)

    @property
    def verdicts(self) -> tuple[PairComparison, ...]:
        """Each pair of methods once, the one with the better mean first, pairs of the best method first."""
        names = [summary.row.method for summary in self.methods]
        return tuple(self.comparisons[pair] for pair in combinations(names, 2))

    @property
    def unbeaten(self) -> tuple[str, ...]:
        """The methods that no other method is shown to be above."""
        names = [summary.row.method for summary in self.methods]
        return tuple(a for a in names if all(self.comparisons[a, b].sign >= 0 for b in names if b != a))


def analyse(family: Family, last: int = 3) -> Analysis:
    """Summarise every row, and compare every two methods under their own collectors and with context from the data.

    Args:
        family: the rows of one environment.
        last: number of tests at the end of training whose mean return is reported.

    Raises:
        InputError: ``last`` is below 2.
    """
    metrics = declared(last)
    every = [_summary(row, family, metrics) for row in family.rows]
    summaries = sorted(every, key=lambda summary: -summary.mean if MEAN.higher_is_better else summary.mean)
    rows = [summary.row for summary in summaries]
    return Analysis(
        family=family,
        metrics=metrics,
        summaries=tuple(summaries),
        comparisons=compare_methods([row for row in rows if row.own]),
        given=compare_methods([row for row in rows if row is family.offline(row.method)]),
        alike=tuple((a, compare(a, b)) for a, b in combinations(rows, 2) if collect_alike(a, b)),
    )


def _summary(row: Row, family: Family, metrics: Sequence[Metric]) -> Summary:
    estimates = {metric.name: metric.estimate(row, family) for metric in metrics}
    return Summary(row=row, estimates={name: estimate for name, estimate in estimates.items() if estimate is not None})
