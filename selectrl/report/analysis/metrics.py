"""The metrics of a row: every table, figure, CSV column and JSON key of a report derives from its declaration here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

import attrs
import numpy as np

from selectrl.functional.estimates import Floats, iqm, stratified_bootstrap
from selectrl.report.analysis import samples
from selectrl.report.analysis.comparison import difference_interval
from selectrl.report.analysis.estimate import Estimate, Interval
from selectrl.report.records import Family, Row

Sample: TypeAlias = Callable[[Row, Family], Floats | None]
MakeInterval: TypeAlias = Callable[[Floats], Interval]


@attrs.frozen(kw_only=True, eq=False)
class Metric:
    """One number of a row.

    Attributes:
        name: its key in JSON and its column in CSV.
        title: title of its column in tables.
        of: the quantity, in words.
        unit: unit of its values.
        higher_is_better: whether more is better; None where neither direction is.
        sample: gives the values of a row, (seed,) or (seed, task); None where the row has none.
        statistic: makes the number from the values; None where they are too few.
        interval: makes the 95% interval from the values; None for a metric without one.
        signed: whether it is a difference, which is shown with its sign.
        decimals: decimals shown; None for as many as the environment's returns have.
        tables: the tables that have a column of it.
        optional: whether tables omit the column where no row has the number.
    """

    name: str
    title: str
    of: str
    unit: str = "return"
    higher_is_better: bool | None = True
    sample: Sample
    statistic: Callable[[Floats], float | None] = lambda values: float(values.mean())
    interval: MakeInterval | None = None
    signed: bool = False
    decimals: int | None = None
    tables: tuple[str, ...] = ()
    optional: bool = False

    @property
    def axis(self) -> str:
        """Label of an axis that shows it."""
        return f"{self.title} {self.unit} on the test tasks"

    def estimate(self, row: Row, family: Family) -> Estimate | None:
        """Estimate it for a row; None where the row has no values for it."""
        values = self.sample(row, family)
        value = None if values is None else self.statistic(values)
        if values is None or value is None:
            return None
        return Estimate(value=value, interval=self.interval(values) if self.interval else None, seeds=len(values))

    def fields(self, estimate: Estimate | None) -> Iterator[tuple[str, Any]]:
        """Yield its keys in JSON, which are its columns in CSV, with their values."""
        yield self.name, estimate.value if estimate else None
        if self.interval:
            yield f"{self.name}_interval", estimate.interval if estimate else None


def seed_interval(statistic: Callable[[Floats], Any]) -> MakeInterval:
    """Return the maker of a bootstrap interval over seeds, the same ones in every task."""

    def interval(values: Floats) -> Interval:
        runs = values.T if values.ndim == 2 else values[None]  # (task, seed)
        return stratified_bootstrap(runs, statistic, together=values.ndim == 2) if len(values) > 1 else None

    return interval


MEAN = Metric(
    name="mean",
    title="Mean",
    of="return after all of the context, over seeds and tasks",
    sample=samples.final,
    interval=seed_interval(np.mean),
    tables=("results", "collectors"),
)
STD = Metric(
    name="std",
    title="± std",
    of="standard deviation over seeds of the means over tasks",
    higher_is_better=None,
    sample=samples.seed_means,
    statistic=lambda values: float(values.std(ddof=1)) if len(values) > 1 else None,
    tables=("results", "collectors"),
)
IQM = Metric(
    name="iqm",
    title="IQM",
    of="interquartile mean of the return after all of the context, over seeds and tasks",
    sample=samples.final,
    statistic=iqm,
    interval=seed_interval(iqm),
    tables=("results",),
)
CONTEXT_FREE = Metric(
    name="context_free",
    title="No context",
    of="return of the scored episode before any context",
    sample=samples.first,
    tables=("results", "collectors"),
)
GAIN = Metric(
    name="gain",
    title="Gain",
    of="return with all of the context minus the return without any, paired by seed and task",
    sample=samples.gain,
    interval=difference_interval,
    signed=True,
    tables=("results", "collectors"),
)
AREA = Metric(
    name="area",
    title="Area",
    of="mean height of the few-shot curve",
    sample=samples.areas,
    interval=seed_interval(np.mean),
    tables=("results", "collectors"),
)
END_SLOPE = Metric(
    name="end_slope",
    title="End slope",
    of="slope at the end of the learning curve",
    unit="return per 1,000 steps",
    higher_is_better=None,
    sample=samples.end_slopes,
    interval=seed_interval(np.mean),
    signed=True,
    tables=("cost",),
)
OFFLINE = Metric(
    name="offline",
    title="From data",
    of="return with context from the test tasks' data, tested with the row's settings",
    sample=samples.offline,
    tables=("results",),
    optional=True,
)
GAP = Metric(
    name="gap",
    title="Gap",
    of="return with context from the data minus the return, paired by seed and task",
    higher_is_better=False,
    sample=samples.gap,
    interval=difference_interval,
    signed=True,
    tables=("results",),
    optional=True,
)
AGAINST_OWN = Metric(
    name="against_own",
    title="Against own",
    of="return minus the return with the method's own collector, paired by seed and task",
    sample=samples.against_own,
    interval=difference_interval,
    signed=True,
    tables=("collectors",),
)

METRICS: tuple[Metric, ...] = (
    MEAN,
    STD,
    IQM,
    CONTEXT_FREE,
    GAIN,
    AREA,
    END_SLOPE,
    OFFLINE,
    GAP,
    AGAINST_OWN,
)
"""Every metric, in the order of keys and columns; the first is the headline, by which methods are ordered."""


def columns(table: str, first: Sequence[Metric] = ()) -> list[Metric]:
    """Return the metrics with a column in a table, in the order of their declaration after those to come first."""
    return [*first, *(metric for metric in METRICS if table in metric.tables and metric not in first)]
