"""Cells that show estimates and differences, and which metrics have a column in a table."""

from __future__ import annotations

from collections.abc import Sequence

from selectrl.report.analysis.analyse import Analysis, Summary
from selectrl.report.analysis.comparison import PairComparison
from selectrl.report.analysis.estimate import FEWEST_SEEDS, Estimate
from selectrl.report.analysis.formats import interval, number
from selectrl.report.analysis.metrics import Metric
from selectrl.report.pages.table import NONE, Cell

FEW = f"With fewer than {FEWEST_SEEDS} seeds there is no interval."


def shown_metrics(
    analysis: Analysis, table: str, summaries: Sequence[Summary], first: Sequence[Metric] = ()
) -> list[Metric]:
    """Return the metrics that a table of some summaries shows: an optional one only where a row has the number.

    They come in the order of their declaration, after those that are to come first.
    """
    declared = [*first, *(metric for metric in analysis.metrics if table in metric.tables and metric not in first)]
    return [metric for metric in declared if not metric.optional or any(summary.get(metric) for summary in summaries)]


def estimate_cell(summary: Summary, metric: Metric, digits: int) -> Cell:
    """Show a metric of a row with its interval; ``digits`` are the decimals of the environment's returns."""
    estimate = summary.get(metric)
    if estimate is None:
        return Cell(NONE)
    decimals = digits if metric.decimals is None else metric.decimals
    return Cell(number(estimate.value, decimals, sign=metric.signed), intervals(estimate, decimals, sign=metric.signed))


def intervals(estimate: Estimate, digits: int, *, sign: bool) -> str:
    """Return the interval on these tasks and, on a line below, that on other tasks; nothing with too few seeds."""
    both = (estimate.interval, estimate.interval_other_tasks)
    return "\n".join(interval(ends, digits, sign=sign) for ends in both if ends)


def difference_cell(comparison: PairComparison, digits: int) -> Cell:
    """Show the difference of two methods, or why they are not compared."""
    effect = comparison.effect
    if effect is None:
        return Cell(NONE, comparison.reason)
    small = [intervals(effect, digits, sign=True), f"P {number(comparison.improvement, 2)}"]
    value = number(effect.value, digits, sign=True)
    return Cell(value, "\n".join(text for text in small if text), strong=comparison.sign != 0)
