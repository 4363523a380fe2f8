"""Runs and evaluations of one report that are not alike: collectors, tasks, budgets and settings."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from selectrl.report import build_report
from selectrl.report.analysis.analyse import Analysis, analyse
from selectrl.report.analysis.group import group
from selectrl.report.analysis.metrics import END_SLOPE, GAP, OFFLINE
from selectrl.report.analysis.notes import notes
from selectrl.report.analysis.projection import axis_of, task_axis
from selectrl.report.analysis.sentences import by_task_words
from selectrl.report.load import load
from selectrl.report.pages.pair_tables import given

Make = Callable[..., Path]


def analysed(root: Path) -> Analysis:
    """Return the one analysis of runs of which nothing is left out."""
    (family,), omissions = group(load([root])[0])
    assert not omissions
    return analyse(family)


def edit(file: Path, **changes: object) -> None:
    """Change some of a JSON object's values."""
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def bind(folder: Path, part: str, **values: object) -> None:
    """Change some of a run's bindings."""
    experiment = json.loads((folder / "experiment.json").read_text())["experiment"]
    edit(folder / "experiment.json", experiment=experiment | {part: experiment[part] | values})


def test_seeds_that_bind_other_collectors_are_one_method_under_its_first_seeds(tmp_path: Path, make_run: Make) -> None:
    """Training does not depend on the collector, so such seeds lie in one folder."""
    make_run(tmp_path, "select", 0)
    make_run(tmp_path, "select", 1, own="non_prior", labels=("non_prior",))
    make_run(tmp_path, "focal", 0)
    analysis = analysed(tmp_path)
    rows = [(row.label, row.own, row.seeds) for row in analysis.family.rows if row.method == "select"]
    assert rows == [("proximal", True, (0,)), ("non_prior", False, (1,))]
    assert len(analysis.verdicts) == 1
    assert "select is reported under proximal, its first seed’s collector, not seed 1’s non_prior." in notes(analysis)


def test_tasks_stand_at_their_own_parameters(tmp_path: Path, make_run: Make) -> None:
    """Another method, first by name, was tested on as many other tasks."""
    best = make_run(tmp_path, "select", 0, skill=0.95)
    other = make_run(tmp_path, "focal", 0, skill=0.2)
    for folder in (best, other):
        bind(folder, "env", tasks=80)
    edit(other / "evaluations/proximal.json", tasks=list(range(42, 80, 4)))
    file = other / "evaluations/proximal.safetensors"
    save_file(load_file(file) | {"parameters": np.arange(10, dtype=np.float32)[:, None]}, file)
    analysis = analysed(tmp_path)
    axis = axis_of(analysis)
    assert axis is not None
    known = task_axis(load_file(best / "evaluations/proximal.safetensors")["parameters"].astype(float))
    np.testing.assert_allclose(axis.values, known.values)
    told = by_task_words(analysis, axis)
    assert "select " in told
    assert "focal" not in told
    (best / "evaluations/proximal.safetensors").unlink()
    assert axis_of(analysed(tmp_path)) is None


def test_context_from_the_data_is_that_of_the_own_rows_settings(tmp_path: Path, make_run: Make) -> None:
    """Beside it lies one of a larger budget, whose label is the first by name."""
    returns = {}
    for method in ("select", "focal"):
        folder = make_run(tmp_path, method, 0, labels=("proximal", "offline"))
        file = folder / "evaluations/offline.json"
        record = json.loads(file.read_text())
        returns[method] = np.array(record["returns"])[..., -1].mean()
        more = {"label": "larger", "budget": 800, "returns": (np.array(record["returns"]) + 100).tolist()}
        file.with_name("larger.json").write_text(json.dumps(record | more))
    analysis = analysed(tmp_path)
    assert {one.row.method: one[OFFLINE].value for one in analysis.methods} == pytest.approx(returns)
    assert all(one.get(GAP) for one in analysis.methods)
    table = given(analysis)
    assert table is not None
    assert sorted(row[0].text for row in table.rows) == ["focal", "select"]
    difference = analysis.given["select", "focal"].effect
    assert difference is not None
    assert difference.value == pytest.approx(returns["select"] - returns["focal"])


def test_settings_that_methods_do_not_share_are_noted(tmp_path: Path, make_run: Make) -> None:
    alike, unlike, out = (tmp_path / name for name in ("alike", "unlike", "out"))
    for method in ("alpha", "beta"):
        make_run(alike, method, 0)
    assert [note for note in notes(analysed(alike)) if note.startswith("The methods")] == []
    folder = make_run(unlike, "alpha", 0)
    edit(folder / "evaluations/proximal.json", gate=1)
    folder = make_run(unlike, "beta", 0, repeats=2)
    edit(folder / "evaluations/proximal.json", gate=2, block=40)
    bind(folder, "data", terminals="paper")
    assert [note for note in notes(analysed(unlike)) if note.startswith("The methods")] == [
        "The methods collected context in blocks of other lengths: 20 and 40.",
        "The methods first read the belief after other numbers of episodes: 1 and 2.",
        "The methods were tested with other numbers of repeats: 2 and 3.",
        "The methods learnt from other ends of episodes: paper and true.",
    ]
    assert "10 test tasks × each method’s own repeats" in build_report([unlike], out).page.read_text()


def test_a_curve_belongs_to_what_was_tested_in_training_alone(tmp_path: Path, make_run: Make) -> None:
    folder = make_run(tmp_path, "m", 0)
    file = folder / "evaluations/proximal.json"
    record = json.loads(file.read_text())
    wider = {"label": "wider", "collector": record["collector"] | {"sigma": 0.5}}
    file.with_name("wider.json").write_text(json.dumps(record | wider))
    bind(folder, "test", budget=400, prior="zero", seed=0)
    file.with_name("longer.json").write_text(json.dumps(record | {"label": "longer", "budget": 800}))
    file.with_name("renamed.json").write_text(json.dumps(record | {"label": "renamed", "test_seed": 0}))
    analysis = analysed(tmp_path)
    tails = {one.row.label: one.get(END_SLOPE) is not None for one in analysis.summaries}
    assert tails == {"proximal": True, "renamed": True, "longer": False, "wider": False}
