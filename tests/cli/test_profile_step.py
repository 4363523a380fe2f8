"""``selectrl train --profile-step``: shares of a step's parts, and a trace that names them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]

PARTS = [
    "draw",
    "encode",
    "objective club",
    "optimiser encoder.club",
    "objective encoder",
    "optimiser encoder.net",
    "objective critic",
    "optimiser critic.q_net",
    "optimiser critic.v_net",
    "objective policy",
    "optimiser policy",
    "track critic.q_net",
    "track policy",
]


def test_the_trace_and_the_shares_name_every_part(call: Call, small: Call, tmp_path: Path) -> None:
    done = call("train", *small(), "--name", "mine", "--out", str(tmp_path), "--profile-step", "--json")
    found = json.loads(done.out)
    assert (done.code, done.err) == (0, "")
    assert found["ms_per_step"] > 0
    assert list(found["shares"]) == [*PARTS, "rest"]
    assert sum(found["shares"].values()) == pytest.approx(1)
    assert all(share > 0 for share in found["shares"].values())
    longest = found["operations"]
    assert list(longest.values()) == sorted(longest.values(), reverse=True)
    assert len(longest) == 10
    assert not longest.keys() & {*PARTS, "steps"}
    assert any(name.startswith("aten::") for name in longest)
    assert list((tmp_path / "point_robot" / "mine").iterdir()) == [Path(found["trace"])]
    trace = json.loads(Path(found["trace"]).read_text())
    named = [event["name"] for event in trace["traceEvents"] if event.get("cat") == "user_annotation"]
    assert {name: named.count(name) for name in PARTS} == {
        name: 3 if "policy" in name or "track" in name else 6 for name in PARTS
    }


def test_people_read_a_table_and_a_run_begins_there_as_ever(call: Call, small: Call, tmp_path: Path) -> None:
    words = ("train", *small(), "--name", "mine", "--out", str(tmp_path))
    done = call(*words, "--profile-step")
    assert done.code == 0
    assert all(part in done.out for part in (*PARTS, "aten::", "seed0-trace.json", "ui.perfetto.dev"))
    assert call(*words, "--json").code == 0
