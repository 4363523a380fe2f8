"""Stores with a byte changed anywhere: what was written is what is read, or an error; never something else.

Tensors have theirs in ``tests/data`` and ``tests/runs``.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzz.targets import write_trained
from selectrl.data.manifest import read_manifest
from selectrl.errors import SelectRLError
from selectrl.experiment.execution import Execution
from selectrl.experiment.run import Run
from selectrl.runs.diagnostics import DiagnosticsRecord
from selectrl.runs.evaluation import EvaluationRecord
from selectrl.runs.experiment import ExperimentRecord


class Store(NamedTuple):
    file: str
    read: Callable[[Path], Any]


STORES = {
    "dataset": Store("data/point_robot/tiny/manifest.json", read_manifest),
    "run": Store("run/experiment.json", ExperimentRecord.read_file),
    "evaluation": Store("run/evaluations/proximal.json", EvaluationRecord.read_file),
    "diagnostics": Store("run/diagnostics.json", DiagnosticsRecord.read_file),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stores")
    write_trained(folder)
    run = Run.open(folder / "run", Execution(data=folder / "data"))
    run.evaluate()
    run.diagnose()
    return folder


@pytest.mark.parametrize("name", STORES)
@settings(max_examples=100)
@given(data=st.data())
def test_a_changed_byte_is_an_error_or_no_change(name: str, folder: Path, data: st.DataObject) -> None:
    path, read = folder / STORES[name].file, STORES[name].read
    sound, content = read(path), path.read_bytes()
    place = data.draw(st.integers(0, len(content) - 1))
    changed = bytearray(content)
    changed[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(changed)
    try:
        found = read(path)
    except SelectRLError:
        return
    finally:
        path.write_bytes(content)
    if isinstance(found, dict):
        found = {key: value for key, value in found.items() if key in sound}  # else a name that was the seal's
    assert found == sound


@pytest.mark.parametrize("name", STORES)
def test_another_figure_is_refused(name: str, folder: Path) -> None:
    path, read = folder / STORES[name].file, STORES[name].read
    content = path.read_text()
    value = json.loads(content)
    value["seed" if "seed" in value else "schema"] += 1
    path.write_text(json.dumps(value))
    try:
        with pytest.raises(SelectRLError, match="its seal does not fit"):
            read(path)
    finally:
        path.write_text(content)
