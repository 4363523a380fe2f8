"""Cells that show estimates and differences, and which metrics have a column in a table."""

from __future__ import annotations

from collections.abc import Sequence

from selectrl.report.analysis.analyse import Summary
from selectrl.report.analysis.comparison import Comparison
from selectrl.report.analysis.formats import interval, number
from selectrl.report.analysis.metrics import Metric, columns
from selectrl.report.pages.table import NONE, Cell


def shown_metrics(table: str, summaries: Sequence[Summary], first: Sequence[Metric] = ()) -> list[Metric]:
    """Return the metrics that a table of these summaries shows: an optional one only where a row has the number."""
    return [
        metric
        for metric in columns(table, first)
        if not metric.optional or any(summary.get(metric) for summary in summaries)
    ]


def estimate_cell(summary: Summary, metric: Metric, digits: int) -> Cell:
    """Show a metric of a row with its interval; ``digits`` are the decimals of the environment's returns."""
    estimate = summary.get(metric)
    if estimate is None:
        return Cell(NONE)
    decimals = digits if metric.decimals is None else metric.decimals
    ends = interval(estimate.interval, decimals, sign=metric.signed) if estimate.interval else ""
    return Cell(number(estimate.value, decimals, sign=metric.signed), ends)


def difference_cell(comparison: Comparison, digits: int) -> Cell:
    """Show the difference of two methods, or why they are not compared."""
    effect = comparison.effect
    if effect is None:
        return Cell(NONE, comparison.reason)
    small = f"{interval(effect.interval, digits, sign=True)}; P {number(comparison.improvement, 2)}"
    return Cell(number(effect.value, digits, sign=True), small, strong=comparison.sign != 0)
