"""A metric is one declared value: every table, CSV column and JSON key derives from the declaration."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from selectrl.errors import InputError
from selectrl.report import build_report
from selectrl.report.analysis import metrics, samples
from selectrl.report.analysis.analyse import analyse
from selectrl.report.analysis.group import group
from selectrl.report.analysis.metrics import METRICS, Metric
from selectrl.report.load import load
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
    assert {table for metric in METRICS for table in metric.tables} == {"results", "collectors", "tests"}


def test_an_optional_metric_has_a_column_only_where_a_row_has_the_number(two_methods: Path) -> None:
    (family,), _ = group(load([two_methods])[0])
    analysis = analyse(family)
    select, focal = analysis.methods
    assert select.get(metrics.OFFLINE)
    assert focal.get(metrics.OFFLINE) is None
    assert metrics.OFFLINE in shown_metrics(analysis, "results", [select, focal])
    assert metrics.OFFLINE not in shown_metrics(analysis, "results", [focal])
    first = shown_metrics(analysis, "collectors", [focal], first=(metrics.AGAINST_OWN,))
    assert first[:2] == [metrics.AGAINST_OWN, metrics.MEAN]


def test_the_mean_of_the_last_tests_stands_next_to_the_last(two_methods: Path, tmp_path: Path) -> None:
    build_report([two_methods], tmp_path, last=4)
    rows = json.loads((tmp_path / "report.json").read_text())["environments"][0]["rows"]
    row = next(row for row in rows if row["method"] == "focal")
    logs = [(two_methods / f"point_robot/focal/seed{seed}/metrics.jsonl").read_text() for seed in (0, 1, 2)]
    tests = [[e["return"] for e in map(json.loads, log.splitlines()) if e["kind"] == "test"] for log in logs]
    assert row["last_4_tests"] == pytest.approx(np.mean(tests, axis=0)[-4:].mean())
    assert row["last_test"] == pytest.approx(np.mean(tests, axis=0)[-1])
    text = (tmp_path / "tables" / "point_robot_tests.md").read_text()
    assert "| Method | Last 4 tests | Last test | End slope |" in text
    with pytest.raises(InputError, match="last: expected 2 tests or more, got 1"):
        build_report([two_methods], tmp_path / "refused", last=1)
    assert not (tmp_path / "refused").exists()


def test_docs_name_every_metric() -> None:
    page = (Path(__file__).parents[2] / "docs" / "report.md").read_text(encoding="utf-8")
    named = {"Last 3 tests": "Last N tests"}
    for metric in METRICS:
        assert f"| {named.get(metric.title, metric.title)} |" in page, metric.title
