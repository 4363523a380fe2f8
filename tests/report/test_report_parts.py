from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from selectrl.errors import InputError
from selectrl.report import archive, build_report, read
from selectrl.report.analysis.analyse import Analysis, analyse
from selectrl.report.analysis.group import group
from selectrl.report.analysis.metrics import END_SLOPE
from selectrl.report.analysis.notes import notes
from selectrl.report.analysis.projection import axis_of, principal, task_axis
from selectrl.report.analysis.sentences import by_task_words
from selectrl.report.figures.drawing import ONE, reference
from selectrl.report.figures.ink import blank, drawing, settle
from selectrl.report.figures.latents import maps
from selectrl.report.load import load
from selectrl.report.pages.page import WANTED
from selectrl.report.pages.provenance import fairness
from selectrl.report.pages.run_tables import donors
from selectrl.report.pages.table import Cell, Table, html, latex, markdown
from selectrl.report.pages.tables import tables

Make = Callable[..., Path]


def analysed(root: Path) -> list[Analysis]:
    families, omissions = group(load([root])[0])
    assert not omissions
    return [analyse(family) for family in families]


def test_protocols_stand_apart(tmp_path: Path, make_run: Make) -> None:
    for method in ("csro", "select"):
        folder = make_run(tmp_path, method, 0, labels=("proximal", "offline"))
        record = json.loads((folder / "evaluations/proximal.json").read_text())
        record |= {"protocol": "paper", "quirks": ["two repeats"]}
        (folder / "evaluations/published.json").write_text(json.dumps(record))
    usual, paper = analysed(tmp_path)
    assert [usual.family.name, paper.family.name] == ["point_robot", "point_robot_paper"]
    assert {row.label for row in usual.family.rows} == {"proximal", "offline"}
    assert [(row.label, row.own, row.evaluation.quirks) for row in paper.family.rows] == [
        ("published", True, ("two repeats",))
    ] * 2
    assert all(len(one.row.learning[0]) for one in usual.methods)
    assert not any(len(one.row.learning[0]) for one in paper.methods)  # it was tested under the other while training
    assert not set(usual.comparisons.values()) & set(paper.comparisons.values())


def test_a_protocol_without_own_collectors_is_left_out_and_named(tmp_path: Path, make_run: Make) -> None:
    folder = make_run(tmp_path, "m", 0, labels=("proximal", "offline"))
    file = folder / "evaluations/offline.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"protocol": "paper"}))
    families, (omission,) = group(load([tmp_path])[0])
    assert [family.name for family in families] == ["point_robot"]
    assert "under protocol paper m was not tested with its own collector" in omission.reason


def test_the_map_says_how_often_exploration_lands_at_its_own_task(tmp_path: Path, make_run: Make) -> None:
    folder = make_run(tmp_path, "m", 0, repeats=2, follow=0.0)
    file = folder / "evaluations/proximal.safetensors"
    arrays = load_file(file)
    given = load_file(folder / "diagnostics.safetensors")["test_latents"].mean(axis=1)  # (task, latent)
    arrays["latents"][:, 0, -1] = given  # the first repeat infers each task right
    arrays["latents"][:, 1, -1] = given[::-1]  # the second the mirrored one, of ten tasks always another
    save_file(arrays, file)
    ((found,),) = maps(analysed(tmp_path)[0])
    assert found.own == 0.5
    assert found.axis.values[0] == pytest.approx(0.0, abs=1e-4)  # training tasks first, then test tasks
    assert len(found.axis.values) == 40


def test_principal_components_are_those_of_the_covariance() -> None:
    points = np.random.default_rng(0).normal(size=(50, 4)) @ np.diag([3.0, 2, 1, 0.5])
    centre, axes, shares = principal(points, 2)
    values, vectors = np.linalg.eigh(np.cov(points.T))
    np.testing.assert_allclose(np.abs(axes @ vectors[:, ::-1][:, :2]), np.eye(2), atol=1e-9)
    np.testing.assert_allclose(shares, values[::-1][:2] / values.sum())
    np.testing.assert_allclose(centre, points.mean(axis=0))
    assert principal(points[:, :1], 2)[1].tolist() == [[1.0], [0.0]]


def test_tasks_have_one_axis() -> None:
    assert task_axis(np.array([[0.5], [2.0]])).values.tolist() == [0.5, 2.0]
    half, whole = np.radians([0, 90, 180]), np.radians([0, 90, 270])
    arc, circle = (task_axis(np.stack([np.cos(a), np.sin(a)], -1)) for a in (half, whole))
    np.testing.assert_allclose(arc.values, [0, 90, 180], atol=1e-9)
    assert (arc.cyclic, circle.cyclic) == (False, True)
    np.testing.assert_allclose(circle.positions, [0, 0.25, 0.75], atol=1e-9)
    many = np.arange(4.0)[:, None] * [[1.0, 2.0, 2.0]]
    np.testing.assert_allclose(np.diff(task_axis(many).values), 3.0)


def test_a_failure_at_the_ends_of_the_range_shows(tmp_path: Path, make_run: Make) -> None:
    folder = make_run(tmp_path, "m", 0, repeats=1)
    file = folder / "evaluations/proximal.json"
    record = json.loads(file.read_text())
    returns = np.full((10, 1, 21), -5.0)
    returns[[0, -1], :, -1] = -11.0
    file.write_text(json.dumps(record | {"returns": returns.tolist()}))
    (analysis,) = analysed(tmp_path)
    axis = axis_of(analysis)
    assert axis is not None
    assert by_task_words(analysis, axis) == "At the 2 tasks at the two ends against all others: m −11.00 against −5.00."


def test_donors_fairness_and_missing_figures(two_methods: Path, tmp_path: Path, make_run: Make) -> None:
    (analysis,) = analysed(two_methods)
    table = donors(analysis)
    assert table is not None
    assert [[cell.text for cell in row] for row in table.rows] == [["select", "0.30", "3"]]
    fair = analysis.methods[0].row.runs[0].fairness
    assert fair is not None
    assert "✓ one dataset" in fairness(fair)
    assert "A check of fairness failed: one budget." in notes(analysis)
    assert {"differs", "given", "cost"} - tables(analysis).keys() == {"given"}  # one method has context from the data
    make_run(tmp_path, "alone", 0)
    missing = {"donors", "collectors", "alike", "given", "differs", "pairs"}
    assert not missing & tables(analysed(tmp_path)[0]).keys()
    assert {"donors", "collectors", "alike", "given"} < WANTED.keys()


def test_methods_are_compared_where_they_collect_alike(tmp_path: Path, make_run: Make) -> None:
    """Of select (proximal), focal and csro (both non_prior), each tested with stored context too."""
    for seed in (0, 1):
        make_run(tmp_path, "select", seed, labels=("proximal", "non_prior", "offline"))
        for method in ("focal", "csro"):
            make_run(tmp_path, method, seed, skill=0.5, own="non_prior", labels=("non_prior", "offline"))
    (analysis,) = analysed(tmp_path)
    assert {(one.a, one.b) for _, one in analysis.alike} == {("select", "focal"), ("select", "csro")}  # others: pairs
    rows = {(row.method, row.label): row.scores[..., -1] for row in analysis.family.rows}
    for row, one in analysis.alike:
        assert (row.method, row.label) == ("select", "non_prior")
        expected = rows["select", "non_prior"] - rows[one.b, "non_prior"]
        np.testing.assert_allclose(one.differences, expected)
    table = tables(analysis)["alike"]
    assert [[cell.text for cell in line[:3]] for line in table.rows] == [
        ["non_prior", one.a, one.b] for _, one in analysis.alike
    ]


THREE = ((0, -15.0), (4500, -5.0), (9000, -5.0))


def return_line(step: int, value: float) -> dict[str, object]:
    line = {"kind": "test", "step": step, "collector": "proximal", "return": value, "context_free": -14.0}
    return {**line, "context_steps": [0, 400], "curve": [-14.0, value]}


def test_a_curve_that_still_rises_is_noted(tmp_path: Path, make_run: Make) -> None:
    for seed in (0, 1, 2):
        folder = make_run(tmp_path, "m", seed)
        lines = [return_line(step, -20 + step / 1000 + seed) for step in range(0, 9001, 500)]
        (folder / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)))
    (analysis,) = analysed(tmp_path)
    (one,) = analysis.methods
    assert one[END_SLOPE].value == pytest.approx(1.0)  # per 1,000 steps
    assert any("Still rising at the end of training: m (+1.00, +1.00 to +1.00 per 1,000" in n for n in notes(analysis))
    assert tables(analysis)["tests"].rows[0][3].text == "+1.00"
    for seed in (0, 1, 2):  # three tests in all say nothing of the end: the curve is flat since half-time
        lines = [return_line(step, value) for step, value in THREE]
        (tmp_path / "point_robot" / "m" / f"seed{seed}" / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert analysed(tmp_path)[0].methods[0].get(END_SLOPE) is None


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        ("torn", "diagnostics.safetensors contains no readable arrays"),
        ("shape", "corrupt: diagnostics.safetensors contains no latents (task, draw, latent) that fit its parameters"),
        ("swap", "diagnostics.json: donor_swap: follow: expected a finite number, got 'far'"),
        ("fairness", "fairness.json: checks: what: it is missing"),
    ],
)
def test_a_bad_record_beside_a_run_costs_only_itself(tmp_path: Path, make_run: Make, spoil: str, reason: str) -> None:
    folder = make_run(tmp_path, "m", 0, follow=0.5)
    arrays = load_file(folder / "diagnostics.safetensors")
    if spoil == "torn":
        (folder / "diagnostics.safetensors").write_bytes(b"torn")
    elif spoil == "shape":
        save_file(arrays | {"train_parameters": arrays["train_parameters"][:3]}, folder / "diagnostics.safetensors")
    elif spoil == "swap":
        (folder / "diagnostics.json").write_text('{"train_step": 1, "donor_swap": {"pairs": [], "follow": "far"}}')
    else:
        (folder.parents[1] / "fairness.json").write_text('{"same": {}, "differs": [], "checks": [{}]}')
    (run,), (omission,) = load([tmp_path])
    assert reason in omission.reason
    assert "the run itself is kept" in omission.reason
    assert (run.diagnostics is None) == (spoil != "fairness")
    assert run.fairness is None


def test_tables_are_escaped_in_every_format() -> None:
    rows = [[Cell("a_b & $x$ <i>", method="a_b & $x$ <i>"), Cell("−1.50", "−2 to 1", strong=True)]]
    table = Table(name="t", title="T", note="50% | more.", head=["Method", "± std"], rows=rows)
    tex = latex(table)
    assert r"a\_b \& \$x\$ <i> & \makecell[tr]{\textbf{$-$1.50} \\ {\scriptsize $-$2 to 1}} \\" in tex
    assert r"\begin{tabular}{lr}" in tex
    assert r"\caption{T. 50\% | more.}" in tex
    assert tex.count("{") == tex.count("}")
    assert r"| a\_b & $x$ \<i\> | **−1.50** (−2 to 1) |" in markdown(table)
    from selectrl.report.figures.style import marks

    page = html(table, marks(["a_b & $x$ <i>"]))
    assert "a_b &amp; $x$ &lt;i&gt;" in page
    assert "<strong>−1.50</strong> <small>−2 to 1</small>" in page


def test_the_diagnostics_of_the_shipped_results_can_be_read(records: Path) -> None:
    """Latents of a policy without an encoder are zeros, which is what its encoder returns for any context."""
    files = sorted(records.rglob("diagnostics.json"))
    assert files
    for file in files:
        diagnostics = read.diagnostics(file.parent)
        assert diagnostics is not None
        encoder = json.loads((file.parent / "experiment.json").read_text())["experiment"]["encoder"]["part"]
        if encoder == "encoders.blind":
            assert not any(diagnostics.arrays[f"{of}_latents"].any() for of in ("train", "test"))


def test_an_export_names_no_folder_of_the_machine(two_methods: Path, tmp_path: Path) -> None:
    runs = Path(shutil.copytree(two_methods, tmp_path / "runs"))
    run = runs / "point_robot/select/seed0"
    how = json.loads((run / "execution.json").read_text())
    words = ["selectrl", "compare", "--data", "/home/a b/data", "--out=/home/a b/runs", "--tuned", "results/tuned"]
    (run / "execution.json").write_text(json.dumps(how | {"command": shlex.join(words)}))
    damaged = runs / "point_robot/focal/seed0/execution.json"
    damaged.write_text('{"command": "no end to \'this"}')
    out = tmp_path / "results"
    archive.copy(archive.plan([runs / "point_robot"], out), out)
    copied = json.loads((out / "select/seed0/execution.json").read_text())
    assert copied == how | {"command": "selectrl compare --data data --out=runs --tuned results/tuned"}
    assert (out / "focal/seed0/execution.json").read_bytes() == damaged.read_bytes()


def test_an_export_holds_what_a_report_reads_and_nothing_else(two_methods: Path, tmp_path: Path) -> None:
    weights = two_methods / "point_robot/select/seed0/checkpoint-000009000.safetensors"
    weights.write_bytes(b"weights")
    out = tmp_path / "results"
    archive.copy(archive.plan([two_methods / "point_robot"], out), out)
    weights.unlink()
    copied = {str(file.relative_to(out)) for file in out.rglob("*") if file.is_file()}
    assert copied >= {"fairness.json", "select/seed0/evaluations/offline.json", "focal/seed1/metrics.jsonl"}
    assert not any("checkpoint" in name or "config.gin" in name for name in copied)
    with pytest.raises(InputError, match="would both be copied"):
        archive.plan([two_methods / "point_robot", out], tmp_path / "other")
    with pytest.raises(InputError, match="is not an empty folder; name a new one"):
        build_report([two_methods], tmp_path / "page", export=out)
    assert not (tmp_path / "page").exists()


@pytest.mark.parametrize("upright", [False, True])
@pytest.mark.parametrize("far", [-25.0, -1e4])
def test_names_of_reference_lines_meet_neither_each_other_nor_a_curve(upright: bool, far: float) -> None:
    """Even where the two lines are less than a letter apart."""
    with drawing():
        figure = blank(*ONE)
        ax = figure.add_subplot()
        y = np.linspace(far, -3.9, 5)
        ax.plot(*((y, y) if upright else (np.arange(5.0), y)))
        reference(ax, {"optimum": -3.855, "random actions": -20.4}, upright=upright)
        settle(figure)
        boxes = [text.get_window_extent() for text in ax.texts]
        assert [text.get_text().split()[0] for text in ax.texts] == ["optimum", "random"]
        assert not boxes[0].overlaps(boxes[1])
        for box in boxes:
            assert not box.overlaps(ax.get_window_extent())
            assert figure.bbox.padded(1).contains(box.x0, box.y0)
            assert figure.bbox.padded(1).contains(box.x1, box.y1)
