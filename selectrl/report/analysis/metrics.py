"""The metrics of a row: every table, figure, CSV column and JSON key of a report derives from its declaration here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import attrs

from selectrl.arrays import DoubleArray
from selectrl.errors import InputError
from selectrl.functional.estimates import iqm, stratified_bootstrap
from selectrl.report.analysis import samples
from selectrl.report.analysis.estimate import FEWEST_SEEDS, Estimate, Interval, other_tasks, these_tasks
from selectrl.report.records import Family, Row

Sample: TypeAlias = Callable[[Row, Family], DoubleArray | None]
MakeInterval: TypeAlias = Callable[[DoubleArray], Interval]


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
        interval: makes the 95% interval on these tasks from the values; None for a metric without one.
        interval_other_tasks: makes the 95% interval on other tasks of the family; None for a metric without one.
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
    statistic: Callable[[DoubleArray], float | None] = lambda values: float(values.mean())
    interval: MakeInterval | None = None
    interval_other_tasks: MakeInterval | None = None
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
        return Estimate(
            value=value,
            interval=self.interval(values) if self.interval else None,
            interval_other_tasks=self.interval_other_tasks(values) if self.interval_other_tasks else None,
            seeds=len(values),
        )

    def fields(self, estimate: Estimate | None) -> Iterator[tuple[str, Any]]:
        """Yield its keys in JSON, which are its columns in CSV, with their values."""
        yield self.name, estimate.value if estimate else None
        if self.interval:
            yield f"{self.name}_interval", estimate.interval if estimate else None
        if self.interval_other_tasks:
            yield f"{self.name}_interval_other_tasks", estimate.interval_other_tasks if estimate else None


def iqm_interval(values: DoubleArray) -> Interval:
    """Return the bootstrap interval over seeds, the same ones in every task, of the IQM of values (seed, task)."""
    return stratified_bootstrap(values.T, iqm, together=True) if len(values) >= FEWEST_SEEDS else None


MEAN = Metric(
    name="mean",
    title="Mean",
    of="return after all of the context, over seeds and tasks",
    sample=samples.final,
    interval=these_tasks,
    interval_other_tasks=other_tasks,
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
    interval=iqm_interval,
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
    interval=these_tasks,
    interval_other_tasks=other_tasks,
    signed=True,
    tables=("results", "collectors"),
)
AREA = Metric(
    name="area",
    title="Area",
    of="mean height of the few-shot curve",
    sample=samples.areas,
    interval=these_tasks,
    tables=("results", "collectors"),
)


def last_tests(count: int) -> Metric:
    """Declare the mean return of the last tests in training."""
    return Metric(
        name=f"last_{count}_tests",
        title=f"Last {count} tests",
        of=f"mean return of the last {count} tests in training, which are of {count} checkpoints",
        sample=lambda row, family: samples.last_tests(row, count),
        interval=these_tasks,
        tables=("tests",),
    )


LAST_TESTS = last_tests(3)
LAST_TEST = Metric(
    name="last_test",
    title="Last test",
    of="return of the last test in training",
    sample=lambda row, family: samples.last_tests(row, 1),
    interval=these_tasks,
    tables=("tests",),
)
END_SLOPE = Metric(
    name="end_slope",
    title="End slope",
    of="slope at the end of the learning curve",
    unit="return per 1,000 steps",
    higher_is_better=None,
    sample=samples.end_slopes,
    interval=these_tasks,
    signed=True,
    tables=("tests",),
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
    interval=these_tasks,
    interval_other_tasks=other_tasks,
    signed=True,
    tables=("results",),
    optional=True,
)
AGAINST_OWN = Metric(
    name="against_own",
    title="Against own",
    of="return minus the return with the method's own collector, paired by seed and task",
    sample=samples.against_own,
    interval=these_tasks,
    interval_other_tasks=other_tasks,
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
    LAST_TESTS,
    LAST_TEST,
    END_SLOPE,
    OFFLINE,
    GAP,
    AGAINST_OWN,
)
"""Every metric, in the order of keys and columns; the first is the headline, by which methods are ordered."""


def declared(last: int) -> tuple[Metric, ...]:
    """Return every metric, with the mean over the last ``last`` tests in training.

    Raises:
        InputError: ``last`` is below 2.
    """
    if last < 2:
        raise InputError(f"last: expected 2 tests or more, got {last}; the last test is reported anyway")
    return tuple(last_tests(last) if metric is LAST_TESTS else metric for metric in METRICS)
