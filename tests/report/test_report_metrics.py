"""A metric is one declared value: every table, CSV column and JSON key derives from the declaration."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from selectrl.report import build_report
from selectrl.report.analysis import metrics, samples
from selectrl.report.analysis.analyse import Summary
from selectrl.report.analysis.estimate import Estimate
from selectrl.report.analysis.metrics import METRICS, Metric
from selectrl.report.pages.cells import shown_metrics

SUCCESS = Metric(
    name="success",
    title="Success",
    of="share of test tasks on which the return is above -6",
    unit="share",
    sample=lambda row, family: (samples.final(row, family) > -6).astype(float),
    decimals=3,
    tables=("results", "collectors"),
    interval=metrics.MEAN.interval,
)


def test_a_further_metric_is_one_declaration(
    two_methods: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "METRICS", (*METRICS, SUCCESS))
    build_report([two_methods], tmp_path)
    rows = json.loads((tmp_path / "report.json").read_text())["environments"][0]["rows"]
    select = next(row for row in rows if row["method"] == "select" and row["own"])
    assert 0 < select["success"] < 1
    assert select["success_interval"][0] < select["success"] < select["success_interval"][1]
    with (tmp_path / "results.csv").open(newline="") as file:
        written = next(row for row in csv.DictReader(file) if row["method"] == "select" and row["own"] == "True")
    assert float(written["success"]) == select["success"]
    shown = f"{select['success']:.3f}"
    for table in ("results", "collectors"):
        for suffix in ("md", "tex"):
            text = (tmp_path / "tables" / f"point_robot_{table}.{suffix}").read_text()
            assert "Success" in text, (table, suffix)
            assert shown in text, (table, suffix)
    assert f'<td class="n">{shown} <small>' in (tmp_path / "index.html").read_text()


def test_names_and_titles_are_distinct() -> None:
    assert len({metric.name for metric in METRICS}) == len({metric.title for metric in METRICS}) == len(METRICS)


def test_a_metric_names_only_tables_that_have_metrics() -> None:
    assert {table for metric in METRICS for table in metric.tables} == {"results", "collectors", "cost"}


def test_an_optional_metric_has_a_column_only_where_a_row_has_the_number() -> None:
    number = Estimate(value=1.0, interval=None, seeds=1)
    bare, full = (Summary(row=None, estimates=estimates) for estimates in ({}, {"offline": number}))  # type: ignore[arg-type]
    assert metrics.OFFLINE not in shown_metrics("results", [bare])
    assert metrics.MEAN in shown_metrics("results", [bare])
    assert metrics.OFFLINE in shown_metrics("results", [bare, full])
    assert shown_metrics("collectors", [bare], first=(metrics.AGAINST_OWN,))[:2] == [metrics.AGAINST_OWN, metrics.MEAN]
