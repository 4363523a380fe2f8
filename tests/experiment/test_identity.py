"""An evaluation is the meta-test that it records, and a run is the code that made it: neither passes for another."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from selectrl.experiment.execution import Execution
from selectrl.experiment.run import Run
from selectrl.files import read_json, write_json
from selectrl.report.analysis.analyse import analyse
from selectrl.report.analysis.group import group
from selectrl.report.analysis.metrics import declared
from selectrl.report.load import load
from selectrl.report.pages.export import numbers
from selectrl.runs.folders import run_folders, set_aside

Call = Callable[..., Any]


@pytest.fixture(scope="module")
def finished(call: Call, small: Call, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run's seeds."""
    out = tmp_path_factory.mktemp("finished")
    assert call("train", *small(), "--out", out, "--name", "m").code == 0
    return out / "point_robot" / "m"


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A finished run that a test may change."""
    shutil.copytree(finished, tmp_path / "runs" / "point_robot" / "m")
    return tmp_path / "runs" / "point_robot" / "m" / "seed0"


@pytest.fixture
def other_data(make_dataset: Call, tmp_path: Path) -> Path:
    """A folder with another dataset of the same name."""

    def shift(episodes: Any) -> Any:
        episodes.reward[:] += 1.0
        return episodes

    make_dataset(tmp_path / "other" / "point_robot" / "tiny", change=shift)
    return tmp_path / "other"


def headline(runs: Path) -> dict[str, Any]:
    """Return what a report says of the one method under its own collector."""
    loaded, omissions = load([runs])
    assert omissions == []
    families, omissions = group(loaded)
    assert omissions == []
    (family,) = families
    (summary,) = analyse(family).methods
    return dict(numbers(summary, declared(3)))


class TestEvaluation:
    def test_records_settings_data_checkpoint_and_code(self, run: Path) -> None:
        offline, proximal = (read_json(run / "evaluations" / f"{name}.json") for name in ("offline", "proximal"))
        execution = read_json(run / "execution.json")
        assert offline["dataset"] == execution["dataset"]["fingerprint"]
        assert proximal["dataset"] is None  # it read none
        assert proximal["checkpoint"]["step"] == 30
        assert len(proximal["checkpoint"]["digest"]) == 32
        assert proximal["versions"] == execution["versions"]
        assert proximal["sources"] == execution["sources"] == {}  # every part is ours

    def test_other_data_do_not_replace_it(
        self, call: Call, run: Path, data: Path, other_data: Path, tmp_path: Path
    ) -> None:
        offline = run / "evaluations" / "offline.json"
        before, own = offline.read_bytes(), headline(run.parent)
        words = ("evaluate", run, "--collector", "offline", "--data", other_data)
        sentence = call(*words).sentence()
        assert sentence.startswith(f"the label 'offline' belongs to a meta-test on the training data of {run} (")
        assert sentence.endswith(f", not on the data in {other_data}/point_robot/tiny; choose another --label")
        assert offline.read_bytes() == before
        offline.unlink()  # as before the training's end, which writes it
        assert call(*words).sentence() == sentence
        offline.write_bytes(before)
        assert call(*words, "--label", "above_all").code == 0
        mixed = call("evaluate", run, "--collector", "offline", "--label", "above_all", "--data", data).sentence()
        assert f"{run}/evaluations/above_all.json is of another meta-test (dataset differs: " in mixed
        assert mixed.endswith("; choose another --label, or move that file out of seed0")
        elsewhere = read_json(run / "evaluations" / "above_all.json")
        assert elsewhere["dataset"] != read_json(offline)["dataset"]
        assert headline(run.parent) == own  # with its gap to context from its own data
        assert call("report", run.parent, "--out", tmp_path / "report").code == 0
        assert f"on other data, fingerprint {elsewhere['dataset'][:12]}" in (tmp_path / "report/index.html").read_text()

    def test_diagnostics_on_other_data_do_not_replace_them(self, call: Call, run: Path, other_data: Path) -> None:
        before = (run / "diagnostics.json").read_bytes()
        words = ("evaluate", run, "--label", "again", "--diagnose", "--data", other_data)
        assert "diagnostics.json is of another meta-test (dataset differs" in call(*words).err
        assert (run / "diagnostics.json").read_bytes() == before

    def test_an_earlier_step_does_not_replace_it(self, call: Call, run: Path, data: Path) -> None:
        (run / "checkpoint-000000030.safetensors").unlink()  # as it was before the training ended
        before = {path: path.read_bytes() for path in (run / "evaluations").iterdir()}
        sentence = call("evaluate", run, "--data", data).sentence()
        assert "proximal.json is of training step 30, later than 20, and is kept; choose another --label" in sentence
        assert (
            "diagnostics.json is of training step 30, later"
            in call("evaluate", run, "--label", "early", "--diagnose", "--data", data).err
        )
        assert {path: path.read_bytes() for path in before} == before

    def test_that_ends_after_a_later_one_was_written_does_not_replace_it(
        self, run: Path, data: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is begun in the middle of a training, which ends and tests itself meanwhile."""
        final = {path: path.read_bytes() for path in (run / "evaluations").glob("proximal.*")}
        newest = run / "checkpoint-000000030.safetensors"
        for path in (newest, *final):
            path.rename(path.with_suffix(".later"))
        meta_test = Run.meta_test

        def slow(*arguments: Any) -> Any:
            result = meta_test(*arguments)
            for path, content in final.items():
                path.write_bytes(content)
            return result

        monkeypatch.setattr(Run, "meta_test", slow)
        with pytest.raises(Exception, match="of training step 30, later than 20, and is kept"):
            Run.open(run, Execution(data=data)).evaluate()
        assert {path: path.read_bytes() for path in final} == final

    @pytest.mark.parametrize("label", ["proximal", "offline"])
    def test_with_other_settings_does_not_take_the_label_of_the_runs_own(
        self, label: str, call: Call, run: Path, data: Path
    ) -> None:
        words = ("evaluate", run, "--label", label, "--budget", 20, "--data", data)
        expected = f"the label {label!r} belongs to the run's own tests; choose another --label"
        assert call(*words).sentence() == expected
        (run / "evaluations" / f"{label}.json").unlink()  # nor while the run is not finished
        assert call(*words).sentence() == expected

    def test_of_other_settings_does_not_replace_one_of_its_label(self, call: Call, run: Path, data: Path) -> None:
        words = ("evaluate", run, "--label", "mine", "--data", data)
        assert call(*words, "--budget", 20).code == 0
        assert (
            "mine.json is of another meta-test (budget differs: 20, not 60)" in call(*words, "--budget", 60).sentence()
        )
        assert call(*words, "--budget", 20).code == 0  # the same again

    def test_the_headline_is_the_runs_own_meta_test_whatever_its_label(
        self, call: Call, run: Path, data: Path, tmp_path: Path
    ) -> None:
        own = headline(run.parent)
        tests = run / "evaluations"
        for kind in ("json", "safetensors"):
            (tests / f"proximal.{kind}").rename(tests / f"zzz.{kind}")
        assert call("evaluate", run, "--budget", 20, "--label", "a", "--data", data).code == 0
        shutil.copy(tests / "a.json", tests / "proximal.json")  # as an earlier version could write it
        moved = headline(run.parent)
        assert moved["collector"] == "zzz"
        assert {**moved, "collector": "proximal"} == own
        (tests / "zzz.json").unlink()
        refused = call("report", run.parent, "--out", tmp_path / "report").sentence()
        assert "unfinished: not evaluated with its own collector and test, proximal" in refused

    def test_old_records_lack_what_is_new_and_are_the_same_meta_test(
        self, call: Call, small: Call, run: Path, data: Path, listing: Call, tmp_path: Path
    ) -> None:
        for path in (*(run / "evaluations").glob("*.json"), run / "diagnostics.json", run / "execution.json"):
            record = read_json(path)
            for name in ("sources", "plugins", "checkpoint"):
                record.pop(name, None)
            if path.name != "execution.json":
                del record["versions"], record["dataset"]
            write_json(path, record)
        before, own = listing(run), headline(run.parent)
        done = call("train", *small(), "--out", tmp_path / "runs", "--name", "m")
        assert (done.code, done.err) == (0, "")
        assert "done before" in done.out
        assert listing(run) == before
        assert headline(run.parent) == own


class TestForce:
    def test_trains_again_and_keeps_the_old_run(
        self, call: Call, small: Call, run: Path, data: Path, tmp_path: Path
    ) -> None:
        words = ("train", *small(), "--out", tmp_path / "runs", "--name", "m")
        (run / "mark").write_text("old")
        done = call(*words, "--force", "--json")
        assert done.code == 0, done
        assert json.loads(done.out)["runs"][0]["trained"] is True
        kept = run.with_name("seed0.replaced-1")
        assert f"the earlier run of m seed 0 was renamed to {kept}" in done.err
        assert (kept / "mark").read_text() == "old"
        assert read_json(kept / "evaluations/proximal.json")["train_step"] == 30
        assert call(*words, "--force").code == 0
        assert run.with_name("seed0.replaced-2").is_dir()
        evaluated = json.loads(call("evaluate", run.parent, "--data", data, "--label", "a", "--json").out)
        assert [one["run"] for one in evaluated["evaluations"]] == [str(run)]
        assert headline(run.parent)["seeds"] == [0]
        assert headline(kept)["seeds"] == [0]  # by its name it is shown

    def test_trains_what_was_never_trained(self, call: Call, small: Call, tmp_path: Path) -> None:
        done = call("train", *small({"train.steps": 2}), "--out", tmp_path / "runs", "--name", "m", "--force")
        assert done.code == 0, done
        assert "was renamed to" not in done.err
        assert [path.name for path in run_folders(tmp_path)] == ["seed0"]

    def test_what_is_no_run_is_not_set_aside(self, tmp_path: Path) -> None:
        (tmp_path / "seed0").mkdir()
        (tmp_path / "seed0" / "thesis.txt").write_text("mine")
        assert set_aside(tmp_path / "seed0") is None
        assert (tmp_path / "seed0" / "thesis.txt").exists()


class TestVersions:
    @pytest.fixture
    def old(self, run: Path) -> Path:
        """A run of an earlier version."""
        record = read_json(run / "execution.json")
        record["versions"]["selectrl"] = "0.0.9"
        write_json(run / "execution.json", record)
        return run

    def test_another_version_is_named_and_the_numbers_are_kept(
        self, call: Call, small: Call, old: Path, listing: Call, tmp_path: Path
    ) -> None:
        before = listing(old)
        done = call("train", *small(), "--out", tmp_path / "runs", "--name", "m")
        assert "done before" in done.out
        assert f"warning: {old} was trained with selectrl 0.0.9 (installed: " in done.err
        assert "`selectrl train --force` trains it again" in done.err
        assert listing(old) == before

    def test_a_run_that_is_continued_says_with_which_it_began(
        self, call: Call, small: Call, old: Path, tmp_path: Path
    ) -> None:
        (old / "checkpoint-000000030.safetensors").unlink()
        assert call("train", *small(), "--out", tmp_path / "runs", "--name", "m").code == 0
        record = read_json(old / "execution.json")
        assert record["versions"]["selectrl"] == "0.0.9"
        (note,) = record["notes"]
        assert note.startswith("continued with other versions: begun with selectrl 0.0.9 (installed: ")

    def test_a_comparison_names_them(self, call: Call, small: Call, data: Path, tmp_path: Path) -> None:
        sizes = {"HIDDEN": (16, 16), "ENCODER_HIDDEN": (16, 16), "train.steps": 2, "test.budget": 20}
        own = ("encoders.csro.hidden", "encoders.csro.club_hidden", "critics.dual_target.hidden")
        options = small({**dict.fromkeys((*own, "policies.deterministic.hidden")), **sizes})[2:]
        words = ("compare", "--methods", "select,focal", "--launcher", "inline", "--out", tmp_path / "runs", *options)
        assert call(*words).code == 0
        (file,) = tmp_path.glob("runs/point_robot/select-*/seed0/execution.json")
        fairness = tmp_path / "runs" / "point_robot" / "fairness.json"
        version = read_json(fairness)["same"]["versions.selectrl"]
        record = read_json(file)
        record["versions"]["selectrl"] = "0.0.9"
        write_json(file, record)
        done = call(*words)
        assert done.code == 0, done
        assert f"{file.parent} was trained with selectrl 0.0.9" in done.err
        differs = {one["what"]: one["values"] for one in read_json(fairness)["differs"]}
        assert differs["versions.selectrl"] == {"select": "0.0.9", "focal": version}


def test_terminal_and_report_judge_the_same_rows(call: Call, small: Call, tmp_path: Path) -> None:
    """Two rows that share a trained policy, because a gin file changes the collector alone."""
    (tmp_path / "a.gin").write_text("collectors.proximal.sigma = 0.5\n")
    words = (
        "ablate",
        "--vary",
        f"encoder=csro,{tmp_path / 'a.gin'}",
        "--launcher",
        "inline",
        "--json",
        "--out",
        tmp_path / "runs",
    )
    done = call(*words, *small({"train.steps": 4}))
    assert done.code == 0, done
    said = json.loads(done.out)
    assert [one["rows"] for one in said["policies"]] == [["select-csro", "select-a"]]
    (environment,) = json.loads((tmp_path / "runs/report/report.json").read_text())["environments"]
    judged = {(one["a"], one["b"]): one["difference"]["value"] for one in environment["comparisons"]}
    assert {(one["a"], one["b"]): one["difference"] for one in said["verdicts"]}.items() <= judged.items()
    assert len(environment["verdicts"]) == len(said["verdicts"]) == 1
    own = {row["method"]: row["collector"] for row in environment["rows"] if row["own"]}
    assert own == {"select-csro": "proximal", "select-a": "proximal-sigma0.5"}
    assert "select-a" in (tmp_path / "runs/report/index.html").read_text()
