"""The log of a training: appended line by line, read by one parser, in which a torn line costs itself alone."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from selectrl.errors import RecordError, UnreadableError
from selectrl.runs.metrics import LossLine, Metrics, TestLine, parse_line

LOSSES = LossLine(phase="rl", step=5, phase_steps=10, steps_per_second=24.5, values={"critic/td": 0.5, "actor": 1e300})
TESTED = TestLine(
    step=5,
    collector="proximal",
    final_return=-2.0,
    context_free=-3.0,
    context_steps=(0, 20),
    curve=(-3.0, -2.0),
)


@pytest.mark.parametrize("line", [LOSSES, TESTED])
def test_a_line_is_read_as_it_was_written(tmp_path: Path, line: Any) -> None:
    metrics = Metrics.of(tmp_path)
    written = metrics.write(line)
    assert written == line.to_json() == json.loads((tmp_path / "metrics.jsonl").read_text())
    log = metrics.read()
    assert (log.lines, log.damaged) == (((1, line),), ())
    assert log.size == metrics.size() == metrics.flush()


def test_names_are_in_the_order_of_earlier_logs() -> None:
    assert list(LOSSES.to_json()) == ["kind", "phase", "step", "phase_steps", "steps_per_second", "values"]
    names = ["kind", "step", "collector", "return", "context_free", "context_steps", "curve"]
    assert list(TESTED.to_json()) == names


def test_there_are_no_lines_before_the_first_and_none_in_what_cannot_be_read(tmp_path: Path) -> None:
    metrics = Metrics.of(tmp_path)
    assert metrics.read() == ((), (), 0)
    os.mkfifo(metrics.path)
    with pytest.raises(UnreadableError, match="it is a pipe"):
        metrics.read()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "it is not valid JSON"),
        ('{"kind": "train", "phase": "rl", "st', "it is not valid JSON"),
        ("[]", "kind: expected one of train, test, got None"),
        ('{"kind": "loss"}', "kind: expected one of train, test, got 'loss'"),
        (json.dumps(LOSSES.to_json() | {"step": -1}), "step: expected a whole number from 0, got -1"),
        (json.dumps(LOSSES.to_json() | {"values": {"a": "1"}}), "values: expected a finite number, got '1'"),
        (json.dumps(LOSSES.to_json() | {"values": {"a": float("nan")}}), "it is not valid JSON"),
        (json.dumps(TESTED.to_json() | {"return": None}), "return: expected a finite number, got None"),
    ],
)
def test_a_damaged_line_costs_itself_alone(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(RecordError, match=reason):
        parse_line(text)
    lines = [json.dumps(LOSSES.to_json()), text, json.dumps(TESTED.to_json())]
    (tmp_path / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    log = Metrics.of(tmp_path).read()
    assert log.lines == ((1, LOSSES), (3, TESTED))
    assert log.damaged == (2,)


def test_a_reader_that_follows_sees_each_line_once_and_waits_for_the_end_of_one(tmp_path: Path) -> None:
    metrics = Metrics.of(tmp_path)
    metrics.write(LOSSES)
    first = metrics.read()
    with metrics.path.open("a") as file:
        file.write('{"kind": "te')
    second = metrics.read(first.size)
    assert (second.lines, second.size) == ((), first.size)
    metrics.cut(first.size)
    metrics.write(TESTED)
    third = metrics.read(second.size)
    assert [line for _, line in third.lines] == [TESTED]
    metrics.cut(first.size)  # a run that continues from an earlier checkpoint
    assert metrics.read(third.size) == ((), (), first.size)
    metrics.write(TESTED)
    assert [line for _, line in metrics.read(first.size).lines] == [TESTED]
