from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from selectrl.errors import InputError
from selectrl.report import archive, build_report

Make = Callable[..., Path]
FIGURES = ("final", "learning", "few_shot", "by_task", "profile", "picture", "latents", "training")
PANELS = {"picture": 4 * 3 - 1, "latents": 2, "training": 2}
"""Of four rows that are pictured one is offline; SELECT has maps under two collectors."""


class Balance(HTMLParser):
    """Checks that every opened element is closed, in order."""

    VOID = frozenset({"meta", "br", "link", "img", "hr"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.ids += [value for name, value in attrs if name == "id" and value]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.ids += [value for name, value in attrs if name == "id" and value]

    def handle_endtag(self, tag: str) -> None:
        assert self.open
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def parsed(page: str) -> Balance:
    checker = Balance()
    checker.feed(page)
    checker.close()
    assert checker.open == []
    return checker


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def html(built: Path) -> str:
    return (built / "index.html").read_text(encoding="utf-8")


def test_every_figure_is_there_in_each_format(built: Path) -> None:
    names = {file.name for file in (built / "figures").iterdir()}
    assert names == {f"point_robot_{figure}.{kind}" for figure in FIGURES for kind in ("png", "pdf", "svg", "csv")}
    starts = {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml"}
    for file in (built / "figures").iterdir():
        if file.suffix[1:] in starts:
            assert file.read_bytes().startswith(starts[file.suffix[1:]])
        if file.suffix == ".svg":
            ElementTree.parse(file)


def test_the_page_is_whole_small_and_needs_nothing_else(html: str) -> None:
    page = parsed(html)
    assert len(html.encode()) < 1_500_000
    assert "<script" not in html
    assert not re.search(r"""(src|href)="(https?:|//)|@import|url\((?!#)""", html)
    assert len(page.ids) == len(set(page.ids))
    for name in re.findall(r'(?:href="#|url\(#)([^")]+)', html):
        assert name in page.ids
    text = " ".join(page.text)
    assert not re.search(r"\b(nan|NaN|None|inf|null|undefined)\b", text)
    assert "$" not in text


def test_every_figure_is_an_image_with_words(html: str) -> None:
    images = re.findall(r"<svg [^>]*>", html)
    figures = [image for image in images if 'class="swatch"' not in image]
    assert len(figures) == sum(PANELS.get(figure, 1) for figure in FIGURES)
    for image in figures:
        assert 'role="img"' in image
        assert re.search(r'aria-label="[^"]{20,}"', image)
        assert "viewBox" in image
    assert html.count("<figcaption>") == len(FIGURES)


def test_inline_figures_take_the_colours_of_the_page(html: str) -> None:
    body = html[html.index("<body>") :]
    assert "var(--ink)" in body
    assert "var(--m0)" in body
    assert "#1b2026" not in body
    assert "prefers-color-scheme: dark" in html


def test_the_words_match_the_numbers(html: str, built: Path) -> None:
    report = json.loads((built / "report.json").read_text())
    (env,) = report["environments"]
    rows = {(row["method"], row["collector"]): row for row in env["rows"]}
    select, focal = rows["select", "proximal"], rows["focal", "prior"]
    shown = f"{select['mean']:.2f}".replace("-", "−")
    assert f"<b>{shown}</b>" in html
    difference = select["mean"] - focal["mean"]
    assert env["order"].startswith(f"select scores above focal by {difference:.2f} in these runs (95% interval +")
    assert env["order"] in html
    assert env["verdicts"][0].startswith(f"select scores above focal by {difference:.2f}")
    pairs = {(pair["a"], pair["b"]): pair["difference"] for pair in env["comparisons"]}
    assert pairs["select", "focal"]["value"] == pytest.approx(difference)
    low, high = pairs["select", "focal"]["interval"]
    assert 0 < low < difference < high
    for claim in ("outperform", "significant", "best method", "state of the art", "superior"):
        assert claim not in html
    assert "50 random warm-up episodes per task kept in the data" in html
    assert "5f3a9bd0c1e2" in html
    assert "selectrl train --method select --env point_robot --seeds 2" in html
    assert "optimum" in html


def test_csv_holds_what_was_drawn(built: Path, two_methods: Path) -> None:
    figures = built / "figures"
    files = [two_methods / f"point_robot/select/seed{seed}/evaluations/proximal.json" for seed in (0, 1, 2)]
    returns = np.array([json.loads(file.read_text())["returns"] for file in files]).mean(axis=(1, 2))  # (seed, point)
    curve = [row for row in rows_of(figures / "point_robot_few_shot.csv") if row["method"] == "select"]
    assert [float(row["steps_of_context"]) for row in curve] == list(range(0, 401, 20))
    np.testing.assert_allclose([float(row["mean"]) for row in curve], returns.mean(axis=0))
    np.testing.assert_allclose([float(row["std"]) for row in curve], returns.std(axis=0, ddof=1))

    logs = [(two_methods / f"point_robot/focal/seed{seed}/metrics.jsonl").read_text() for seed in (0, 1, 2)]
    logged = [[e["return"] for e in map(json.loads, log.splitlines()) if e["kind"] == "test"] for log in logs]
    learned = [row for row in rows_of(figures / "point_robot_learning.csv") if row["method"] == "focal"]
    np.testing.assert_allclose([float(row["mean"]) for row in learned], np.mean(logged, axis=0))

    (final,) = [row for row in rows_of(figures / "point_robot_final.csv") if row["method"] == "select"]
    assert float(final["mean"]) == pytest.approx(returns[:, -1].mean())
    assert float(final["low"]) <= float(final["mean"]) <= float(final["high"])

    traces = load_file(two_methods / "point_robot/select/seed0/evaluations/proximal.safetensors")
    paths = rows_of(figures / "point_robot_picture.csv")
    after = [
        r for r in paths if (r["method"], r["collector"], r["kind"], r["task"]) == ("select", "proximal", "after", "6")
    ]
    np.testing.assert_allclose([[float(r["x"]), float(r["y"])] for r in after], traces["scored"][1, -1], rtol=1e-6)
    explored = [
        r for r in paths if (r["collector"], r["kind"], r["task"], r["block"]) == ("proximal", "explored", "2", "7")
    ]
    np.testing.assert_allclose([[float(r["x"]), float(r["y"])] for r in explored], traces["explored"][0, 7], rtol=1e-6)
    assert not [r for r in paths if r["collector"] == "offline" and r["kind"] == "explored"]

    results = rows_of(built / "results.csv")
    assert [(r["method"], r["collector"]) for r in results if r["own"] == "True"] == [
        ("select", "proximal"),
        ("focal", "prior"),
    ]


def test_an_export_gives_the_same_files_whatever_matplotlib_is_set_to(
    built: Path, two_methods: Path, tmp_path: Path
) -> None:
    archive.copy(archive.plan([two_methods], tmp_path / "results"), tmp_path / "results")
    with mpl.rc_context({"font.size": 31, "svg.hashsalt": "other", "axes.facecolor": "red"}):
        before = dict(mpl.rcParams)
        build_report([tmp_path / "results"], tmp_path / "again")
        assert dict(mpl.rcParams) == before
    for file in sorted(p for p in built.rglob("*") if p.is_file()):
        assert (tmp_path / "again" / file.relative_to(built)).read_bytes() == file.read_bytes(), file.name


def test_hostile_names_are_shown_and_never_run(tmp_path: Path, make_run: Make) -> None:
    name = "<b onload=x>&amp; $x_1$ ''\" 中"
    folder = make_run(tmp_path / "runs", name, 0, execution={"command": "<script>alert(1)</script>", "versions": [1]})
    record = json.loads((folder / "experiment.json").read_text())
    record["experiment"]["encoder"]["<i>"] = "</td><script>"
    (folder / "experiment.json").write_text(json.dumps(record))
    make_run(tmp_path / "runs", "#1b2026 plain", 0)
    for file in [*tmp_path.rglob("metrics.jsonl"), *tmp_path.rglob("proximal.safetensors")]:
        file.unlink()  # fewer figures to draw
    html = build_report([tmp_path / "runs"], tmp_path / "out").page.read_text(encoding="utf-8")
    page = parsed(html)
    assert "<script" not in html
    assert "<b onload" not in html
    assert "<i>" not in html
    assert name in " ".join(page.text)
    for svg in (tmp_path / "out" / "figures").glob("*.svg"):
        ElementTree.parse(svg)


def test_left_out_runs_are_listed_on_the_page(tmp_path: Path, make_run: Make) -> None:
    make_run(tmp_path / "runs", "good", 0)
    bad = make_run(tmp_path / "runs", "bad", 0)
    (bad / "evaluations" / "proximal.json").unlink()
    traces = tmp_path / "runs/point_robot/good/seed0/evaluations/proximal.safetensors"
    traces.write_bytes(traces.read_bytes()[:50])
    html = build_report([tmp_path / "runs"], tmp_path / "out").page.read_text(encoding="utf-8")
    left = html[html.index("Left out") :]
    assert "bad/seed0</code>: unfinished" in left
    assert "proximal.safetensors contains no readable arrays" in left
    assert "the run itself is kept" in left
    assert not (tmp_path / "out/figures/point_robot_picture.csv").exists()
    report = json.loads((tmp_path / "out/report.json").read_text())
    assert len(report["left_out"]) == 2


def test_one_seed_padding_odd_goals_and_missing_records(tmp_path: Path, make_run: Make) -> None:
    """The least there can be: one run, no metrics, nothing known of the machine, an episode that ended early."""
    folder = make_run(tmp_path / "runs", "alone", 3)
    (folder / "metrics.jsonl").unlink()
    (folder / "execution.json").write_text("{}")
    file = folder / "evaluations" / "proximal.safetensors"
    arrays = load_file(file)
    arrays["scored"][:, :, 5:] = np.nan
    arrays["parameters"] = arrays["parameters"] * 0.5
    save_file(arrays, file)
    html = build_report([tmp_path / "runs"], tmp_path / "out").page.read_text(encoding="utf-8")
    text = " ".join(parsed(html).text)
    assert not re.search(r"\bnan\b", text, flags=re.IGNORECASE)
    assert "1 seed, too few for an interval" in text
    assert "not recorded whether the data hold random warm-up episodes" in text
    assert not (tmp_path / "out/figures/point_robot_learning.svg").exists()
    assert "Differences between methods" not in text


def test_other_environments_have_no_picture_and_stand_side_by_side(tmp_path: Path, make_run: Make) -> None:
    make_run(tmp_path, "m", 0, env="half_cheetah_vel")
    make_run(tmp_path, "m", 0, env="ant_goal")
    for file in tmp_path.rglob("metrics.jsonl"):
        file.unlink()  # fewer figures to draw
    html = build_report([tmp_path], tmp_path / "out").page.read_text(encoding="utf-8")
    for name, title in (("ant_goal", "Ant-Goal"), ("half_cheetah_vel", "Half-Cheetah-Vel")):
        assert f'<a href="#{name}">{title}</a>: one method, nothing to compare.' in html
        assert f'<section id="{name}">' in html
    assert {file.stem for file in (tmp_path / "out/figures").glob("all_*.svg")} == {"all_few_shot"}
    (shared,) = re.findall(r'<div class="panels">.*?</div></div>', html, flags=re.DOTALL)
    assert re.findall(r"<span>([^<]*)</span>", shared) == ["Ant-Goal", "Half-Cheetah-Vel"]
    assert "optimum" not in html
    assert not list((tmp_path / "out/figures").glob("*picture*"))


def test_nothing_usable_is_one_sentence_and_writes_nothing(tmp_path: Path, make_run: Make) -> None:
    for seed in (0, 1):
        (make_run(tmp_path / "runs", "bad", seed) / "evaluations" / "proximal.json").write_text("[]")
    with pytest.raises(
        InputError,
        match=r"^no finished run to report: .*seed0: .*; restore it or make it again \(1 more were left out\)$",
    ) as told:
        build_report([tmp_path / "runs"], tmp_path / "out")
    assert "\n" not in str(told.value)
    assert not (tmp_path / "out").exists()


def test_the_room_is_light_until_something_is_drawn() -> None:
    code = "import sys, selectrl.report; sys.exit(bool({'matplotlib', 'torch'} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", code], check=True)
