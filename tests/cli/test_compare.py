"""One command from methods to a verdict: plan, sharing, fairness, failures, and a kill at a random moment."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from selectrl.data.rows import RowStore
from selectrl.files import read_json
from selectrl.gin_edge import shipped

Call = Callable[..., Any]
TOY = {
    "envs.point_robot.tasks": 8,
    "data.name": "tiny",
    "train.steps": 60,
    "train.meta_batch": 4,
    "train.batch": 16,
    "train.context": 16,
    "train.test_every": 30,
    "train.log_every": 5,
    "train.checkpoint_every": 10,
    "HIDDEN": (16, 16),
    "ENCODER_HIDDEN": (16, 16),
    "test.budget": 40,
    "test.repeats": 2,
}


def toy(data: Path, out: Path, **changed: object) -> list[str]:
    values = {**TOY, **{name.replace("__", "."): value for name, value in changed.items()}}
    sets = [word for path, value in values.items() for word in ("--set", f"{path}={value}")]
    return ["--env", "point_robot", "--data", str(data), "--out", str(out), "--threads", "1", *sets]


def numbers(out: Path) -> dict[str, Any]:
    """Return every meta-test below a folder, and the fairness of the comparison."""
    found = {}
    for path in sorted(out.rglob("evaluations/*.json")):
        found[str(path.relative_to(out))] = read_json(path)
    return {**found, "fairness": json.loads((out / "point_robot" / "fairness.json").read_text())}


@pytest.fixture(scope="module")
def whole(call: Call, data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """A comparison that nothing disturbed, in this process."""
    out = tmp_path_factory.mktemp("whole")
    done = call("compare", "--methods", "select,focal", "--launcher", "inline", "--json", *toy(data, out))
    assert done.code == 0, done
    return out, json.loads(done.out)


class TestCompare:
    def test_says_which_is_better_and_writes_report_and_fairness(self, whole: tuple[Path, Any]) -> None:
        out, said = whole
        (verdict,) = said["verdicts"]
        assert (verdict["a"], verdict["b"], verdict["seeds"]) == ("select", "focal", 1)
        assert verdict["sentence"].startswith("point_robot: The difference between select and focal is ")
        assert verdict["sentence"].endswith("(1 shared seed × 2 tasks): too few seeds for an interval.")
        returns = {path.parts[-4]: json.loads(path.read_text())["return"] for path in out.rglob("proximal.json")}
        returns |= {path.parts[-4]: json.loads(path.read_text())["return"] for path in out.rglob("online.json")}
        mine, other = (next(v for k, v in returns.items() if k.startswith(name)) for name in ("select", "focal"))
        assert verdict["difference"] == pytest.approx(mine - other)
        page = (out / "report" / "index.html").read_text()
        assert "<h3>Fairness</h3>" in page
        assert "encoders.csro" in page  # of what the two do not share
        fairness = json.loads((out / "point_robot" / "fairness.json").read_text())
        assert all(check["ok"] for check in fairness["checks"])
        assert fairness["same"]["train.steps"] == 60
        assert len(fairness["same"]["data.fingerprint"]) == 64
        differs = {one["what"]: one["values"] for one in fairness["differs"]}
        assert differs["encoder"] == {"select": "encoders.csro", "focal": "encoders.focal"}

    def test_again_does_nothing_again(self, call: Call, data: Path, whole: tuple[Path, Any], listing: Call) -> None:
        out, said = whole
        before = listing(out / "point_robot")
        del before["fairness.json"]
        done = call("compare", "--methods", "select,focal", "--launcher", "inline", "--json", *toy(data, out))
        after = listing(out / "point_robot")
        del after["fairness.json"]
        assert after == before
        assert json.loads(done.out)["estimate"]["done"] == 2
        assert json.loads(done.out)["verdicts"] == said["verdicts"]

    @pytest.mark.parametrize("seed", [0])
    def test_killed_at_random_ends_in_the_same_numbers(
        self, seed: int, spawn: Call, call: Call, data: Path, whole: tuple[Path, Any], tmp_path: Path
    ) -> None:
        words = ["compare", "--methods", "select,focal", "--jobs", 2, "--json", *toy(data, tmp_path)]
        process = spawn(*words)
        end = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < end and not list(tmp_path.rglob("checkpoint-*")):
            time.sleep(0.01)
        time.sleep(random.Random(seed).uniform(0, 0.3))
        assert process.poll() is None, "it had ended before it was killed"
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        assert call(*words).code == 0
        assert numbers(tmp_path) == numbers(whole[0])

    def test_a_failed_run_does_not_stop_the_rest(self, call: Call, data: Path, tmp_path: Path) -> None:
        """A learning rate this size ends in a loss that is not finite; only SELECT's critic has it."""
        bad = tmp_path / "bad.gin"
        bad.write_text("critics.dual_target.q_lr = 1e30\n")
        words = ["ablate", "--method", "select", "--vary", f"lr={bad},weight_exp", "--launcher", "inline"]
        done = call(*words, *toy(data, tmp_path / "runs"))
        assert done.code == 1, done
        assert ", lower the learning rate or look at the data before it" in done.err
        assert len(list((tmp_path / "runs").rglob("proximal.json"))) == 1
        again = call(*words, *toy(data, tmp_path / "runs"))
        assert again.code == 1
        assert "1 of 2 runs failed; add --retry-failed to run them again" in again.err
        assert "running" not in again.err
        retried = call(*words, "--retry-failed", *toy(data, tmp_path / "runs"))
        assert "running" in retried.err

    def test_other_budgets_are_refused_unless_allowed(
        self, call: Call, data: Path, tmp_path: Path, listing: Call
    ) -> None:
        words = ["ablate", "--method", "select", "--vary", "test.budget=40,80", "--launcher", "inline"]
        sets = toy(data, tmp_path / "runs", train__steps=4)
        at = sets.index("test.budget=40")
        sets = sets[: at - 1] + sets[at + 1 :]
        refused = call(*words, "--json", *sets)
        sentence = refused.sentence(2)
        assert "test.budget differs (select-budget40 40, select-budget80 80)" in sentence
        assert not (tmp_path / "runs").exists()
        assert call(*words, "--allow-differences", *sets).code == 0


def test_what_was_never_timed_is_timed_before_it_starts(call: Call, data: Path, tmp_path: Path) -> None:
    words = ["compare", "--methods", "select,focal", "--launcher", "inline", *toy(data, tmp_path, train__steps=4)]
    first, again = call(*words), call(*words)
    assert "time not measured yet" in first.out
    assert "Timed on this machine: less than 1 min, without meta-tests." in first.out
    assert "Timed on" not in again.out


class TestSharing:
    def test_collectors_share_one_trained_policy(self, call: Call, data: Path, tmp_path: Path) -> None:
        words = ["ablate", "--method", "select", "--vary", "collector=proximal,non_prior", "--launcher", "inline"]
        done = call(*words, "--json", *toy(data, tmp_path, train__steps=4))
        assert done.code == 0, done
        said = json.loads(done.out)
        assert [one["rows"] for one in said["policies"]] == [["select-proximal", "select-non_prior"]]
        assert [path.stem for path in sorted(tmp_path.rglob("evaluations/*.json"))] == [
            "non_prior",
            "offline",
            "proximal",
        ]
        assert said["verdicts"][0]["difference"] != 0

    def test_a_policy_that_train_has_trained_is_taken_up(
        self, call: Call, data: Path, whole: tuple[Path, Any], tmp_path: Path
    ) -> None:
        shutil.copytree(whole[0] / "point_robot", tmp_path / "point_robot")
        words = ["ablate", "--method", "select", "--vary", "collector=proximal,held", "--dry-run", "--json"]
        said = json.loads(call(*words, *toy(data, tmp_path)).out)
        assert said["policies"][0]["folder"].startswith(str(tmp_path / "point_robot" / "select-"))
        assert said["estimate"]["left"] == 0


class TestDryRun:
    def test_a_grid_file_plans_what_vary_plans(self, call: Call, data: Path, tmp_path: Path) -> None:
        grid = tmp_path / "grid.gin"
        grid.write_text('grid.vary = ("actor=weighted_bc,td3_bc", "collector=proximal,non_prior")\n')
        words = ["--method", "select", "--dry-run", "--json", *toy(data, tmp_path)]
        vary = ["--vary", "actor=weighted_bc,td3_bc", "--vary", "collector=proximal,non_prior"]
        of_file, of_words = (json.loads(call("ablate", *own, *words).out) for own in ([grid], vary))
        assert of_file == of_words
        assert [len(one["rows"]) for one in of_file["policies"]] == [2, 2]  # two trainings, each tested in two ways

    def test_plans_without_torch(self, data: Path, tmp_path: Path) -> None:
        code = (
            "import sys; from selectrl.cli.app import run; code = run(sys.argv[1:]); "
            "assert 'torch' not in sys.modules; sys.exit(code)"
        )
        words = ["compare", "--methods", "select,csro,corro", "--seeds", "2", "--dry-run", *toy(data, tmp_path)]
        done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "6 runs (0 done)" in done.stdout
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (["compare", "--methods", "select"], "nothing to compare with"),
            (["compare", "--methods", "select,select"], "two rows have the name 'select'"),
            (["compare", "--methods", "select,focal", "--launcher", "cloud"], "no launcher named 'cloud'"),
            (["compare", "--methods", "select,focal", "--launcher-set", "mem=8"], "has no settings"),
            (["ablate", "--method", "select", "--vary", "actor=brak"], "did you mean 'brac'?"),
            (["ablate", "--method", "select", "--vary", "actor"], "expected NAME=a,b"),
            (["ablate", "--method", "select"], "nothing varies; give --vary"),
        ],
    )
    def test_wrong_words_end_in_one_sentence(
        self, words: list[str], said: str, call: Call, data: Path, tmp_path: Path
    ) -> None:
        assert said in call(*words, *toy(data, tmp_path / "runs")).sentence(2)
        assert not (tmp_path / "runs").exists()


class TestMissingData:
    def test_is_collected_if_asked_and_refused_if_not(
        self, call: Call, make_dataset: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked = []

        def collect(env: Any, behaviour: Any, folder: Path, **_: Any) -> None:
            asked.append((env.tasks, behaviour))
            make_dataset(folder)

        monkeypatch.setattr("selectrl.behaviour.collect.collect", collect)
        words = ["compare", "--methods", "select,focal", "--launcher", "inline", "--json"]
        words += toy(tmp_path / "data", tmp_path / "runs", train__steps=2)
        assert "add --preset laptop to collect it first" in call(*words).sentence(2)
        assert not asked
        done = call(*words, "--preset", "laptop")
        assert done.code == 0, done
        ((tasks, behaviour),) = asked
        assert tasks == 8
        assert behaviour.keep_warmup > 0  # as gin/behaviour/laptop.gin binds it


class TestSettings:
    def test_bind_where_they_fit_and_are_refused_where_none_has_them(
        self, call: Call, data: Path, tmp_path: Path
    ) -> None:
        words = ["compare", "--methods", "select,focal", "--dry-run", "--json", *toy(data, tmp_path / "runs")]
        done = call(*words, "--set", "actors.weighted_bc.alpha=5.0")
        assert done.code == 0, done
        folders = [[one["folder"] for one in json.loads(text.out)["policies"]] for text in (done, call(*words))]
        assert folders[0][0] != folders[1][0]  # SELECT's key has changed, and FOCAL's has not
        assert folders[0][1] == folders[1][1]
        said = call(*words, "--set", "encoders.borel.lr=0.001").sentence(2)
        assert said.startswith("--set encoders.borel.lr=0.001: encoders.borel.lr is bound but no row uses it")
        assert "nothing uses it" in call(*words, "--set", "HIDEN=(8,)").sentence(2)
        assert call(*words, "--set", "PRETRAIN_STEPS=5").code == 0  # for those that have phases before rl


class TestTune:
    def test_holds_out_training_tasks_and_goes_on_where_it_stopped(
        self, call: Call, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from selectrl.experiment import run

        read: set[int] = set()

        def store(dataset: Any, tasks: tuple[int, ...], **more: Any) -> RowStore:
            read.update(tasks)
            return RowStore(dataset, tasks, **more)

        monkeypatch.setattr(run, "RowStore", store)
        words = ["tune", "--method", "focal", "--json", *toy(data, tmp_path / "tuned", train__steps=6)]
        assert call(*words, "--trials", 1).code == 0
        first = json.loads((tmp_path / "tuned" / "point_robot" / "focal" / "tuned.json").read_text())
        assert first["bindings"] == {}
        done = call(*words, "--trials", 3)
        assert done.code == 0, done
        found = json.loads(done.out)
        assert found["held_out"] == [3]  # the third of 0, 1, 3, 4, 5, 7; tasks 2 and 6 are the test tasks
        assert read == {0, 1, 4, 5, 7}
        assert found["return"] >= first["return"] == first["own"] == found["own"]
        runs = list((tmp_path / "tuned").rglob("evaluations/online.json"))
        assert len(runs) == 3
        assert all(json.loads(path.read_text())["tasks"] == [3] for path in runs)

    def test_a_trial_is_another_experiment_than_the_full_training(self, call: Call, data: Path, tmp_path: Path) -> None:
        words = ["--method", "focal", "--json", *toy(data, tmp_path / "tuned", train__steps=4)]
        assert call("tune", *words, "--trials", 1).code == 0
        (trial,) = (tmp_path / "tuned").rglob("seed0")
        record = read_json(trial / "experiment.json")
        assert record["experiment"]["data"]["split"] == "tuning"
        full = json.loads(call("train", *words, "--dry-run").out)
        assert "split" not in full["experiment"]["data"]
        assert record["key"] != full["key"]
        name = trial.parent.name
        (tmp_path / "runs" / "point_robot").mkdir(parents=True)
        shutil.copytree(trial.parent, tmp_path / "runs" / "point_robot" / name)
        words[words.index("--out") + 1] = str(tmp_path / "runs")
        refused = call("train", *words, "--name", name).sentence(2)
        assert "contains another experiment" in refused
        done = call("evaluate", trial, "--collector", "offline", "--data", data, "--json")
        assert json.loads(done.out)["evaluations"][0]["tasks"] == [3]  # never a test task, whoever asks

    def test_chooses_among_parts_and_passes_over_knobs_of_parts_that_are_not_there(
        self, call: Call, data: Path, tmp_path: Path
    ) -> None:
        """CSRO's own file has knobs of BRAC, which its Point-Robot goes without."""
        space = tmp_path / "space.gin"
        space.write_text('tune.knobs = (("critics.twin_q_v.discount", (0.5, 0.6)), ("train.order", ("()","( )")))\n')
        words = ["--method", "csro", "--json", *toy(data, tmp_path / "tuned", train__steps=4)]
        done = call("tune", space, *words, "--trials", 4)
        assert done.code == 0, done
        trials = {path.read_text() for path in (tmp_path / "tuned").rglob("experiment.json")}
        assert {json.loads(text)["experiment"]["critic"]["discount"] for text in trials} == {0.9, 0.5, 0.6}
        said = call("tune", *words, "--trials", 1).sentence(2)
        assert "contains a search with other knobs, which would be mixed with this one" in said
        other = ["train.batch=5" if word == "train.batch=16" else word for word in words]
        assert "contains a search with other bindings" in call("tune", space, *other).sentence(2)
        again = call("tune", space, *words, "--trials", 1)
        assert json.loads(again.out)["trials"] == 4  # what was spent, and not what was asked for
        words = ["--method", "csro", "--json", *toy(data, tmp_path / "own", train__steps=4)]
        assert call("tune", *words, "--trials", 1).code == 0
        space.write_text('tune.knobs = (("actors.brac.dual_lr", 0.1, 0.2),)\n')
        assert "actors.brac.dual_lr is bound but nothing uses it" in call("tune", space, *words).sentence(2)
        space.write_text('tune.knobs = (("actors.brac.dual_lr", 0.2, 0.1),)\n')
        assert "expected (path, low, high) with 0 < low < high, or (path, (" in call("tune", space, *words).sentence(2)

    @pytest.mark.parametrize("method", shipped("tuning"))
    def test_every_shipped_search_fits_its_method(self, method: str) -> None:
        from selectrl import compose
        from selectrl.compare.tune import TuneConfig
        from selectrl.gin_edge import build_part, shipped_layer

        knobs = build_part("tune", [shipped_layer("tuning", method)])
        assert isinstance(knobs, TuneConfig)
        for last in (False, True):  # on a robot, where no part of the method is left out
            sets = [f"{path}={value}" for path, value in knobs.end_values(last).items()]
            compose(method, "half_cheetah_vel", settings=sets)

    def test_a_row_that_alone_was_tuned_is_refused(self, call: Call, data: Path, tmp_path: Path) -> None:
        folder = tmp_path / "tuned" / "point_robot"
        (folder / "focal").mkdir(parents=True)
        (folder / "focal.gin").write_text("encoders.focal.lr = 0.001\n")
        (folder / "focal" / "tuned.json").write_text('{"trials": 3, "steps": 60}')
        words = ["compare", "--methods", "select,focal", "--tuned", tmp_path / "tuned"]
        said = call(*words, *toy(data, tmp_path / "runs"), "--json").sentence(2)
        assert "the same tuning budget: select no tuning, focal 3 trials of 60 steps" in said

    def test_a_folder_without_any_findings_is_refused(self, call: Call, data: Path, tmp_path: Path) -> None:
        folder = tmp_path / "tuned" / "point_robot"
        folder.mkdir(parents=True)
        words = ["compare", "--methods", "select,focal", "--tuned", folder]
        said = call(*words, *toy(data, tmp_path / "runs"), "--json").sentence(2)
        assert f"{folder} has nothing for point_robot" in said
