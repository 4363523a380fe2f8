"""Runs, files and folders that a report cannot use: each is named, on page and terminal, and costs no other."""

from __future__ import annotations

import csv
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from selectrl.cli.report import report
from selectrl.envs.configs import PointRobotConfig
from selectrl.errors import InputError, UnreadableError
from selectrl.registry import FAMILIES
from selectrl.report import archive, build_report
from selectrl.report.archive import FILES
from selectrl.report.build import build
from selectrl.report.load import Place, load
from selectrl.report.pages.export import write_csv
from selectrl.runs.reading import LARGEST

Make = Callable[..., Path]
NOBODY = 65534
RUN = Path("point_robot/m/seed0")


def edit(file: Path, **changes: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def loss_line(step: int, **changes: object) -> dict[str, Any]:
    line = {"kind": "train", "phase": "rl", "step": step, "phase_steps": 9000, "steps_per_second": 1.0}
    return {**line, "values": {"critic/td": 1.0}, **changes}


def return_line(step: int, value: float) -> dict[str, Any]:
    line = {"kind": "test", "step": step, "collector": "proximal", "return": value, "context_free": -14.0}
    return {**line, "context_steps": [0, 400], "curve": [-14.0, value]}


def left_out(root: Path) -> dict[str, str]:
    """Return the reasons by the last two names of each path."""
    return {"/".join(one.path.parts[-2:]): one.reason for one in load([root])[1]}


class Foreign:
    """A folder of a user whom permissions bind, as root they do not."""

    def __init__(self) -> None:
        FAMILIES.build(PointRobotConfig())  # imports modules, which that user may be unable to read
        self.root = Path(tempfile.mkdtemp())

    def deny(self, path: Path) -> None:
        """Become that user, who owns everything but may not read this path."""
        if os.geteuid() == 0:
            for one in [self.root, *self.root.rglob("*")]:
                os.chown(one, NOBODY, NOBODY)
            os.chown(path, 0, 0)
            path.chmod(0o700 if path.is_dir() else 0o600)
            os.seteuid(NOBODY)
        else:
            path.chmod(0)


@pytest.fixture
def foreign() -> Iterator[Foreign]:
    before, found = os.geteuid(), Foreign()
    yield found
    os.seteuid(before)
    for folder in found.root.rglob("*"):
        folder.chmod(0o700)
    shutil.rmtree(found.root)


def test_a_folder_that_cannot_be_listed_is_named(foreign: Foreign, make_run: Make) -> None:
    make_run(foreign.root, "m", 0)
    make_run(foreign.root, "hidden", 0)
    foreign.deny(foreign.root / "point_robot/hidden")
    runs, (omission,) = load([foreign.root])
    assert [run.method for run in runs] == ["m"]
    assert omission.path == Path("point_robot/hidden")
    assert omission.reason.startswith("cannot read point_robot/hidden: Permission denied; ask its owner")
    with pytest.raises(UnreadableError, match="Permission denied"):
        load([foreign.root / "point_robot/hidden"])


@pytest.mark.parametrize(
    "file",
    [*FILES, "evaluations/proximal.json", "evaluations/proximal.safetensors", "../../fairness.json", "evaluations"],
)
def test_a_file_of_another_owner_is_named_and_never_called_damaged(foreign: Foreign, make_run: Make, file: str) -> None:
    make_run(foreign.root, "other", 0)
    run = make_run(foreign.root, "m", 0, follow=0.1)
    (foreign.root / "point_robot/fairness.json").write_text('{"same": {}, "differs": [], "checks": []}')
    foreign.deny(run / file)
    kept = file not in ("experiment.json", "evaluations/proximal.json", "evaluations")
    runs, omissions = load([foreign.root])
    assert {run.method for run in runs} == {"other", *(["m"] if kept else [])}
    assert len(omissions) == 1, omissions
    assert "Permission denied; ask its owner for access" in omissions[0].reason
    assert "corrupt" not in omissions[0].reason
    assert "unfinished" not in omissions[0].reason
    assert str(foreign.root) not in omissions[0].reason
    assert ("the run itself is kept" in omissions[0].reason) == kept


def test_a_single_run_that_cannot_be_read_has_its_remedy(foreign: Foreign, make_run: Make) -> None:
    run = make_run(foreign.root, "m", 0)
    foreign.deny(run / "experiment.json")
    with pytest.raises(InputError) as error:
        build([foreign.root / "point_robot"], foreign.root / "page", None, 3)
    sentence = str(error.value)
    assert sentence.startswith("no finished run to report: m/seed0: cannot read m/seed0/experiment.json: Permission")
    assert sentence.endswith("ask its owner for access, or choose another place, and give the command again")


def test_a_single_run_that_is_not_finished_is_to_be_finished(tmp_path: Path, make_run: Make) -> None:
    (make_run(tmp_path, "m", 0) / "evaluations" / "proximal.json").unlink()
    with pytest.raises(InputError, match=r"unfinished: .*; finish a run first$"):
        build([tmp_path], tmp_path / "page", None, 3)


def test_an_export_that_fails_midway_leaves_nothing(
    tmp_path: Path, make_run: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_run(tmp_path / "runs", "m", 0)
    planned = archive.plan([tmp_path / "runs"], tmp_path / "copy")
    copied: list[Path] = []
    unchanged = archive._unchanged

    def fail(file: Path, target: Path) -> None:
        if copied:
            raise InputError("the disk is full")
        copied.append(target)
        unchanged(file, target)

    monkeypatch.setattr(archive, "_unchanged", fail)
    with pytest.raises(InputError, match="the disk is full"):
        archive.copy(planned, tmp_path / "copy")
    assert copied
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]
    monkeypatch.undo()
    (tmp_path / "copy").mkdir()  # an empty folder is filled
    archive.copy(planned, tmp_path / "copy")
    assert set(planned) == {path.relative_to(tmp_path / "copy") for path in _files(tmp_path / "copy")}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy", "runs"]


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_an_export_of_what_cannot_be_read_is_refused_before_anything_is_written(
    foreign: Foreign, make_run: Make
) -> None:
    run = make_run(foreign.root, "m", 0)
    foreign.deny(run / "evaluations/proximal.safetensors")
    with pytest.raises(UnreadableError, match="Permission denied; ask its owner"):
        build([foreign.root / "point_robot"], foreign.root / "page", foreign.root / "copy", 3)
    assert not (foreign.root / "copy").exists()
    assert not (foreign.root / "page").exists()


@pytest.mark.parametrize(
    "file",
    [*FILES, "evaluations/more.json", "evaluations/proximal.safetensors", "../../fairness.json"],
)
def test_a_pipe_is_refused_at_once_and_named(tmp_path: Path, make_run: Make, file: str) -> None:
    make_run(tmp_path, "other", 0)
    path = make_run(tmp_path, "m", 0) / file
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    ((name, reason),) = left_out(tmp_path).items()
    assert f"m/seed0/{file}" in reason or file.startswith("..")
    assert "it is a pipe, a socket or a device; put a regular file there" in reason
    assert name == "m/seed0" or name.endswith(path.with_suffix(".json").name) or name.endswith(path.name)
    with pytest.raises(UnreadableError, match="it is a pipe"):
        build_report([tmp_path], tmp_path / "page", export=tmp_path / "copy")


FORGED = {
    "of itself": ({"tasks": [2, 2, *range(10, 40, 4)]}, "proximal.json: tasks: a task is tested twice"),
    "of its run": ({"tasks": [0, *range(6, 40, 4)]}, "task 0 is not a test task of the run, which are 2, 6, 10, 14"),
    "of its seed": ({"seed": 3}, "proximal.json: seed: it is 3, but that of the run is 0"),
}


@pytest.mark.parametrize("forgery", FORGED)
def test_an_evaluation_that_does_not_fit_its_run_is_not_believed(tmp_path: Path, make_run: Make, forgery: str) -> None:
    changes, reason = FORGED[forgery]
    make_run(tmp_path, "other", 0)
    edit(make_run(tmp_path, "m", 0) / "evaluations/proximal.json", **changes)
    assert [run.method for run in load([tmp_path])[0]] == ["other"]
    assert reason in left_out(tmp_path)["m/seed0"]


def test_a_tuning_trial_is_tested_on_training_tasks(tmp_path: Path, make_run: Make) -> None:
    run = make_run(tmp_path, "m", 0)
    experiment = json.loads((run / "experiment.json").read_text())["experiment"]
    edit(run / "experiment.json", experiment=experiment | {"data": experiment["data"] | {"split": "tuning"}})
    assert "task 2 is not a test task of the run, which are 3, 8" in left_out(tmp_path)["m/seed0"]


def test_tasks_that_cannot_be_checked_are_named(tmp_path: Path, make_run: Make) -> None:
    run = make_run(tmp_path, "m", 0)
    experiment = json.loads((run / "experiment.json").read_text())["experiment"]
    edit(run / "experiment.json", experiment=experiment | {"env": {"part": "envs.elsewhere"}})
    edit(run / "evaluations/proximal.json", env="elsewhere")
    (kept,), (omission,) = load([tmp_path])
    assert kept.env == "elsewhere"
    assert "its test tasks cannot be checked (env: no part named 'envs.elsewhere'" in omission.reason
    assert "the run itself is kept" in omission.reason


@pytest.mark.parametrize("value", [1e308, -1e308, 1.01 * LARGEST])
def test_a_return_too_large_to_average_costs_its_own_run_alone(tmp_path: Path, make_run: Make, value: float) -> None:
    make_run(tmp_path, "other", 0)
    file = make_run(tmp_path, "m", 0) / "evaluations/proximal.json"
    returns = json.loads(file.read_text())["returns"]
    returns[1][2][3] = value
    edit(file, returns=returns)
    assert [run.method for run in load([tmp_path])[0]] == ["other"]
    assert f"proximal.json: returns: {value:g} cannot be used; expected" in left_out(tmp_path)["m/seed0"]


def test_numbers_as_large_as_may_be_give_a_report(tmp_path: Path, make_run: Make) -> None:
    """Everything that a report reads numbers from, in two seeds: nothing overflows, as warnings would tell."""
    for seed in (0, 1):
        run = make_run(tmp_path, "m", seed, follow=LARGEST * (-1) ** seed)
        file = run / "evaluations/proximal.json"
        returns = np.array(json.loads(file.read_text())["returns"])
        edit(file, returns=np.where(np.arange(21) % 2, LARGEST, -LARGEST * np.ones_like(returns)).tolist())
        edit(run / "execution.json", wall_seconds=1.7e308, peak_rss_mib=1.7e308, phases={"vae": 2**62})
        lines = [
            loss_line(step, values={"critic/q": sign * LARGEST}, steps_per_second=LARGEST)
            for step, sign in ((0, 1), (9000, -1))
        ] + [return_line(step, (-1) ** step * LARGEST) for step in (0, 8001, 8500, 9000)]
        (run / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)))
        file = file.with_suffix(".safetensors")
        arrays = load_file(file)
        arrays["scored"] = arrays["scored"].astype(np.float64)
        arrays["scored"][0, 0, 3] = 1.7e308
        save_file(arrays, file)
    assert build_report([tmp_path], tmp_path / "page").left_out == ()


@pytest.mark.parametrize(
    "line",
    [
        return_line(9000, 1.7e308),
        return_line(9001, -5),
        return_line(-1, -5),
        loss_line(1, values={"critic/td": 1.7e308}),
        loss_line(1, steps_per_second=1.7e308),
        loss_line(1, values={"critic/td": "1"}),
    ],
)
def test_a_line_of_a_log_that_cannot_be_used_is_named_and_not_used(
    tmp_path: Path, make_run: Make, line: dict[str, Any]
) -> None:
    run = make_run(tmp_path, "m", 0)
    (before,), _ = load([tmp_path])
    with (run / "metrics.jsonl").open("a") as file:
        file.write(json.dumps(line))
    (after,), (omission,) = load([tmp_path])
    assert (after.tested, after.values, after.speed) == (before.tested, before.values, before.speed)
    assert omission.path == RUN / "metrics.jsonl"
    assert "line 39 is damaged, of a step beyond the run's last, or with a number beyond 1e+100" in omission.reason


def test_the_terminal_and_json_name_what_is_left_out(
    tmp_path: Path, make_run: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    make_run(tmp_path / "runs", "good", 0)
    (make_run(tmp_path / "runs", "bad", 0) / "experiment.json").write_text("{")
    (make_run(tmp_path / "runs", "half", 0) / "metrics.jsonl").write_text("{")
    for file in tmp_path.rglob("*.safetensors"):
        file.unlink()  # fewer figures to draw
    report(tmp_path / "runs", out=tmp_path / "page", json=True)
    out, err = capsys.readouterr()
    first, second = err.splitlines()
    assert first.startswith("selectrl: left out of the report: point_robot/bad/seed0: ")
    assert second.startswith(
        "selectrl: left out of the report: point_robot/half/seed0/metrics.jsonl: line 1 is damaged"
    )
    listed = json.loads(out)["left_out"]
    assert listed == json.loads((tmp_path / "page/report.json").read_text())["left_out"]
    assert [one["path"] for one in listed] == ["point_robot/bad/seed0", "point_robot/half/seed0/metrics.jsonl"]


def test_a_figure_that_is_missing_names_the_file_that_could_not_be_used(tmp_path: Path, make_run: Make) -> None:
    run = make_run(tmp_path / "runs", "m", 0)
    for name in ("metrics.jsonl", "evaluations/proximal.safetensors"):
        (run / name).unlink()
        os.mkfifo(run / name)
    page = build_report([tmp_path / "runs"], tmp_path / "page").page.read_text()
    note = page[page.index("Not shown") : page.index("</section>")]
    log, traces = (
        f"({RUN}/metrics.jsonl could not be used)",
        f"({RUN}/evaluations/proximal.safetensors could not be used)",
    )
    for words in (f"learning curves {log}", f"what losses logged {log}", f"paths of the robot {traces}"):
        assert words in note
    assert f"returns by task parameter {traces}" in note
    assert "other collectors (each method was tested with its own only)" in note


def test_text_in_csv_is_never_a_formula_and_numbers_are_numbers(tmp_path: Path) -> None:
    texts = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "plain", "a=1", ""]
    row = [*texts, -1.5, -2, None, (-1.0, 2.0), ["=1", "2"], (0, 1)]
    write_csv(tmp_path / "a.csv", [f"c{i}" for i in range(len(row))], [row])
    _, read = csv.reader(StringIO((tmp_path / "a.csv").read_text(), newline=""))
    shown = [f"'{text}" for text in texts[:7]] + texts[7:]
    assert [cell.replace("\r", "\n") for cell in read] == [
        *(text.replace("\r", "\n") for text in shown),
        *("-1.5", "-2", "", "-1.0 2.0", "'=1 2", "0 1"),
    ]


def test_names_that_are_formulas_are_text_in_every_csv(tmp_path: Path, make_run: Make) -> None:
    for method in ("=cmd|' /C calc'!A0", "-2+3"):
        run = make_run(tmp_path / "runs", method, 0, folder_name=f"f{len(method)}")
        (run / "metrics.jsonl").unlink()  # fewer figures to draw
    written = build_report([tmp_path / "runs"], tmp_path / "page")
    files = sorted(written.page.parent.rglob("*.csv"))
    assert len(files) > 5
    for file in files:
        with file.open(newline="", encoding="utf-8") as handle:
            for row in csv.DictReader(handle):
                for name in ("method", "a", "b"):
                    assert not row.get(name, "").startswith(("=", "-")), file.name


def test_nothing_that_can_be_used_names_the_first_reason(foreign: Foreign, make_run: Make) -> None:
    run = make_run(foreign.root, "m", 0)
    foreign.deny(run / "experiment.json")
    with pytest.raises(InputError, match=r"^no finished run to report: .*m/seed0: cannot read .*Permission denied"):
        build([foreign.root], foreign.root / "page", None, 3)


def test_uninitialised_memory_is_no_number(make_run: Make, tmp_path: Path) -> None:
    """A NaN that signals, which a cast warns of."""
    run = make_run(tmp_path, "m", 0, follow=0.1)
    arrays = load_file(run / "diagnostics.safetensors")
    latents = arrays["test_latents"].copy()
    latents.view(np.uint32)[0, 0, 0] = 0x7FA00000
    save_file(arrays | {"test_latents": latents}, run / "diagnostics.safetensors")
    (omission,) = load([tmp_path])[1]
    assert "contains no latents (task, draw, latent) that fit its parameters" in omission.reason


def test_files_beside_a_run_are_named_alike_wherever_a_command_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A record of fairness is looked for by its absolute path, also where the runs were given by a relative one."""
    folder = tmp_path / "runs" / "select" / "seed0"
    folder.mkdir(parents=True)
    (tmp_path / "runs" / "fairness.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    relative = Place(Path("runs/select/seed0"), Path("runs"))
    absolute = Place(folder, tmp_path / "runs")
    assert relative.fairness == absolute.fairness == tmp_path / "runs" / "fairness.json"
    for place in (relative, absolute):
        assert place.named(tmp_path / "runs" / "fairness.json") == Path("fairness.json")
        assert place.named(Path("runs/select/seed0/metrics.jsonl")) == Path("select/seed0/metrics.jsonl")
