"""Wrong input ends in one sentence on stderr and exit code 2, and nothing is written."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from selectrl.data.store import PRESETS
from selectrl.gin_edge import shipped
from selectrl.json_text import remove_seal

Call = Callable[..., Any]
SELECT = ("--method", "select", "--env", "point_robot")
TWO_TIMES = ("--launcher-set", "time=1", "--launcher-set", "time=2")
TWICE = ("--set", "a=1", "--set", "a=2")


@pytest.fixture
def refused(call: Call, listing: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Run a command in an empty folder; check that it is refused and wrote nothing, and return its sentence."""
    monkeypatch.chdir(tmp_path)

    def refused(*arguments: object) -> str:
        before = listing(tmp_path)
        sentence: str = call(*arguments).sentence(2)
        assert listing(tmp_path) == before
        return sentence

    return refused


@pytest.fixture(scope="module")
def run(call: Call, small: Call, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One finished run, for all tests of this module; none may change it."""
    out = tmp_path_factory.mktemp("finished")
    assert call("train", *small({"train.steps": 4}), "--out", out, "--name", "done").code == 0
    return out / "point_robot" / "done" / "seed0"


@pytest.fixture
def own_run(run: Path, tmp_path: Path) -> Path:
    """A copy of the finished run that a test may damage."""
    return Path(shutil.copytree(run, tmp_path / "runs" / "point_robot" / "done" / "seed0"))


class TestWords:
    """What is wrong with the command line itself."""

    @pytest.mark.parametrize(
        ("arguments", "expected"),
        [
            (["trian"], 'Unknown command "trian". Did you mean "train"'),
            (["train", "--sedes", "2"], "Unknown option: --sedes. Did you mean --seeds?"),
            (["train", *SELECT, "a.gin", "b.gin"], "b.gin"),
            (["train", *SELECT, "--set"], "--set"),
            (["train"], "experiment.encoder is required but no file binds it"),
            (["train", "--method", "select"], "experiment.env is required"),
            (["train", "--env", "point_robot"], "experiment.encoder is required"),
            (["train", "--method", "selct", "--env", "point_robot"], "no method named 'selct': did you mean 'select'?"),
            (["train", "--method", "select", "--env", "point"], "no env named 'point'"),
            (["train", *SELECT, "--profile", "lap"], "no profile named 'lap': did you mean 'laptop'?"),
            (["train", *SELECT, "--profile", "../methods/select"], "no profile named '../methods/select'"),
            (["train", *SELECT, "--seeds", "0"], "--seeds"),
            (["train", *SELECT, "--seeds", "-1"], "--seeds"),
            (["train", *SELECT, "--seeds", "two"], "Invalid value for --seeds: expected a whole number, got 'two'"),
            (["train", *SELECT, "--seeds", "1.5"], "expected a whole number, got '1.5'"),
            (["train", *SELECT, "--seed", "-1"], "--seed"),
            (["train", *SELECT, "--seed", str(2**63)], "Must be <= 9223372036854775807"),
            (["train", *SELECT, "--jobs", "0"], "--jobs"),
            (["train", *SELECT, "--jobs", "-2"], "--jobs"),
            (["train", *SELECT, "--threads", "0"], "--threads"),
            (["train", *SELECT, "--threads", "1024"], "threads only wait for each other; give --threads"),
            (["evaluate", ".", "--threads", "1024"], "threads only wait for each other; give --threads"),
            (["render", ".", "--threads", "1024"], "threads only wait for each other; give --threads"),
            (["collect", "--env", "point_robot", "--threads", "1024"], "threads only wait for each other"),
            (["tune", *SELECT, "--threads", "1024"], "threads only wait for each other"),
            (["compare", "--env", "point_robot", "--methods", "select,csro", "--threads", "1024"], "threads only wait"),
            (
                ["train", *SELECT, "--set", "BATCH=3", "--set", "BATCH=4"],
                "BATCH is bound to something else in --set BATCH",
            ),
            (
                ["train", *SELECT, "--set", "train.batch=3", "--set", " train.batch = 4"],
                "in --set train.batch=3; keep one",
            ),
            (["collect", "--env", "point_robot", *TWICE], "bound to something else in --set a=1; keep one of the two"),
            (["evaluate", ".", "--repeats", "3", "--set", "test.repeats=5"], "no run at or below"),
            (
                ["ablate", *SELECT, "--vary", "actor=brac,weighted_bc", "--vary", "actor=td3_bc"],
                "actor is given twice; give it only once, with commas between its values",
            ),
            (
                ["compare", "--env", "point_robot", "--methods", "select,csro", "--launcher", "slurm", *TWO_TIMES],
                "time is given twice; keep one of the two",
            ),
            (["train", *SELECT, "--threads", "100000"], 'Invalid value "100000" for --threads. Must be <= 1024'),
            (["train", *SELECT, "--seeds", "1000000000"], "--seeds. Must be <= 10000"),
            (["train", *SELECT, "--seed", "9223372036854775808"], "--seed. Must be <= 9223372036854775807"),
            (["train", *SELECT, "--seed", 5000 * "9"], "expected a whole number of up to 19 digits, got 5000"),
            (["train", *SELECT, "--seed", "٣"], "expected a whole number, got '٣'"),
            (["train", *SELECT, "--jobs", "100000"], "--jobs. Must be <= 1024"),
            (["train", *SELECT, "--population", "1000000000"], "--population. Must be <= 10000000"),
            (["evaluate", ".", "--repeats", "1000000000"], "--repeats. Must be <= 10000"),
            (["evaluate", ".", "--budget", "1000000000"], "--budget. Must be <= 10000000"),
            (["evaluate", ".", "--threads", "100000"], "--threads. Must be <= 1024"),
            (["tune", *SELECT, "--trials", "1000000000"], "--trials. Must be <= 10000000"),
            (["render", ".", "--every", "1000000000"], "--every. Must be <= 10000000"),
            (["compare", *("--env", "point_robot", "--methods", "select,csro", "--seeds", "9999999")], "--seeds"),
            (["train", *SELECT, "--set", "test.repeats=1000000000"], "test.repeats: expected int from 1 to 10000"),
            (["train", *SELECT, "--set", "train.batch=10000000000"], "train.batch: expected int from 1 to 10000000"),
            (["train", *SELECT, "--name", "../up"], "Expected up to 100 letters"),
            (["train", *SELECT, "--name", "a b"], "Expected up to 100 letters"),
            (["train", *SELECT, "--name", ""], "Expected up to 100 letters"),
            (["train", *SELECT, "--name", 300 * "x"], "Expected up to 100 letters"),
            (["train", "missing.gin"], "cannot read missing.gin: No such file or directory"),
            (["train", "."], "cannot read .: Is a directory; put a regular file there"),
            (["list", "--kind", "encoder"], "unknown kind of parts 'encoder': did you mean 'encoders'?"),
            (["list", "encoders"], "encoders"),
            (["collect"], "--env"),
            (["collect", "--env", "point"], "no env named 'point'"),
            (["collect", "--env", "point_robot", "--preset", "labtop"], "did you mean 'laptop'?"),
            (["collect", "--env", "point_robot", "--name", "../up"], "Expected up to 100 letters"),
            (["collect", "--env", "point_robot", "--threads", "-1"], "--threads"),
            (["collect", "--env", "point_robot", "--device", "tpu"], "--device"),
            (
                ["collect", "--env", "point_robot", "--set", "behaviour.sac.lr=-1"],
                "behaviour.sac.lr: expected a number",
            ),
            (["collect", "--env", "point_robot", "--set", "behaviour.sac.step=5"], "did you mean 'steps'?"),
            (["collect", "--env", "point_robot", "--set", "train.steps=5"], "train.steps is bound but nothing uses it"),
            (
                ["collect", "--env", "point_robot", "--set", "behaviour.sac.period=7"],
                "expected a multiple of period (7)",
            ),
            (["collect", "--env", "point_robot", "--set", "envs.point_robot.horizon=900"], "expected at least"),
            (["evaluate"], "no run given"),
            (["evaluate", "missing"], "no run at or below missing (no experiment.json)"),
            (["evaluate", "."], "no run at or below . (no experiment.json)"),
            (
                ["evaluate", ".", "--collector", "proximl"],
                "no collectors part named 'proximl': did you mean 'proximal'?",
            ),
            (["evaluate", ".", "--budget", "-20"], "--budget"),
            (["evaluate", ".", "--repeats", "0"], "--repeats"),
            (["evaluate", ".", "--label", "../../up"], "Expected up to 100 letters"),
            (["report"], "no run given"),
            (["report", "missing"], "missing is not a folder"),
            (["report", "."], "no run lies at or below ."),
            (["data", "info"], "FOLDER"),
            (["data", "info", "missing"], "no dataset at missing"),
            (["data", "verify", "missing"], "no dataset at missing"),
            (["data", "verify", "."], "the dataset at . is incomplete: it has no manifest.json"),
            (["data", "veriyf", "."], "veriyf"),
            (["data", "import-csro", "."], "--env"),
            (["data", "import-csro", ".", "--env", "point"], "no env named 'point'"),
            (["data", "import-csro", ".", "--env", "point_robot"], ". holds no goal_idx0; name the folder that does"),
            (["data", "import-csro", "none", "--env", "point_robot"], "no folder none"),
            (["data", "import-csro", ".", "--env", "point_robot", "--name", "../up"], "Expected up to 100 letters"),
            (["data", "import-csro", ".", "--env", "point_robot", "--set", "train.steps=5"], "nothing uses it"),
            *(
                (["data", "import-csro", ".", "--env", "point_robot", "--labels", word], "--labels")
                for word in ("", "a", "-5", "1:2", "5:5:1", "5:9:0", "9:5:1", "0:999999:1", "1:2:3:4", "1e3", "9" * 20)
            ),
            (["data", "export-minari", "."], "--namespace"),
            (["data", "export-minari", "none", "--namespace", "aa"], "no dataset at none"),
            (["data", "import-minari", "../up"], "--namespace '../up': its level '..' is not a name"),
            (["data", "import-minari", "aa", "--root", "none"], "check namespace and MINARI_DATASETS_PATH"),
            (["doctor", "--josn"], "--josn"),
        ],
        ids=lambda one: " ".join(one)[:60] if isinstance(one, list) else "",
    )
    def test_is_said_in_one_sentence(self, arguments: list[str], expected: str, refused: Callable[..., str]) -> None:
        assert expected in refused(*arguments)

    @pytest.mark.parametrize("extra", [[], ["--json"], ["--dry-run"]])
    @pytest.mark.parametrize(
        ("setting", "expected"),
        [
            ("encoders.csro.latent_dimm=5", "encoders.csro has no field 'latent_dimm'; did you mean 'latent_dim'?"),
            ("encoders.csro.latent_dim=20.0", "encoders.csro.latent_dim: expected int, got 20.0"),
            ("encoders.csro.lr=-3e-4", "encoders.csro.lr: expected a number > 0, got -0.0003"),
            ("actors.brac.lr=1e-3", "actors.brac.lr is bound but nothing uses it"),
            (
                "experiment.env=@envs.ponit_robot()",
                "no part named '@envs.ponit_robot'; did you mean 'envs.point_robot'?",
            ),
            ("train.steps", "expected path=value"),
            ("train.steps=1e6", "train.steps: expected int, got 1000000.0"),
            ("weights.binary.threshold=@weights.binary()", "contains itself"),
        ],
    )
    def test_so_is_a_bad_binding(
        self, setting: str, expected: str, extra: list[str], refused: Callable[..., str]
    ) -> None:
        assert expected in refused("train", *SELECT, "--set", setting, *extra)

    def test_a_bad_binding_in_a_file_is_named_with_its_line(self, refused: Callable[..., str], tmp_path: Path) -> None:
        (tmp_path / "mine.gin").write_text("# mine\ntrain.steps = 5\nimport os\n")
        assert refused("train", *SELECT, "mine.gin").startswith(
            "mine.gin:3: a gin file here can bind values, not import"
        )

    def test_a_file_whose_name_is_no_name_asks_for_one(self, refused: Callable[..., str], tmp_path: Path) -> None:
        (tmp_path / "my file.gin").write_text("train.steps = 5\n")
        assert refused("train", *SELECT, "my file.gin").startswith(
            "an experiment cannot be called 'my file', as its file is"
        )

    def test_the_script_says_the_same(self, command: Call, tmp_path: Path) -> None:
        done = command("train", *SELECT, "--set", "encoders.csro.latent_dim=20.0", cwd=tmp_path)
        assert (
            done.sentence() == "--set encoders.csro.latent_dim=20.0: encoders.csro.latent_dim: expected int, got 20.0"
        )
        assert list(tmp_path.iterdir()) == []


class TestCompositions:
    """Values that are right alone but do not fit together: refused before a run directory is made."""

    @pytest.mark.parametrize(
        ("path", "value", "expected"),
        [
            ("train.meta_batch", 7, "expected from 1 to the 6 training tasks, got 7"),
            ("test.budget", 30, "expected a multiple of the horizon 20, got 30"),
            ("train.order", "['club']", "train.order must name each objective once"),
            ("train.order", "['clbu']", "did you mean 'club'?"),
        ],
    )
    def test_is_said_in_one_sentence(
        self, path: str, value: object, expected: str, refused: Callable[..., str], small: Call
    ) -> None:
        assert expected in refused("train", *small({path: value}))


class TestDatasets:
    """Datasets that are missing, damaged or of something else."""

    def train(self, refused: Callable[..., str], small: Call, data: Path) -> str:
        return refused("train", *small(data=data), "--out", "runs")

    def test_missing(self, refused: Callable[..., str], small: Call, tmp_path: Path) -> None:
        sentence = self.train(refused, small, tmp_path / "none")
        assert sentence.startswith(f"no dataset at {tmp_path}/none/point_robot/tiny")
        command = f"selectrl collect --env point_robot --preset laptop --name tiny --data {tmp_path}/none"
        assert sentence.endswith(f"collect it with `{command}` (or another preset: small, gpu, paper)")
        assert Path(tmp_path, "none").exists() is False

    def test_missing_of_a_preset(self, refused: Callable[..., str], small: Call) -> None:
        sentence = refused("train", *small({"data.name": "paper"}, data="data"), "--out", "runs")
        assert sentence.endswith("; collect it with `selectrl collect --env point_robot --preset paper`")

    def test_every_preset_is_named(self) -> None:
        assert sorted(PRESETS) == sorted(shipped("behaviour"))

    def test_of_another_environment(
        self, refused: Callable[..., str], small: Call, tmp_path: Path, make_dataset: Callable[..., Path]
    ) -> None:
        make_dataset(tmp_path / "data" / "point_robot" / "tiny", env="ant_goal")
        assert "is of 'ant_goal', expected 'point_robot'" in self.train(refused, small, tmp_path / "data")

    def test_of_the_same_environment_with_other_tasks(
        self, refused: Callable[..., str], small: Call, tmp_path: Path, make_dataset: Callable[..., Path]
    ) -> None:
        """Task 3 of 12 has another goal than task 3 of 8, and no shape shows it."""
        make_dataset(tmp_path / "data" / "point_robot" / "tiny", tasks=12)
        assert "tasks" in self.train(refused, small, tmp_path / "data")

    def test_of_another_shape(
        self, refused: Callable[..., str], small: Call, tmp_path: Path, make_dataset: Callable[..., Path]
    ) -> None:
        folder = make_dataset(tmp_path / "data" / "point_robot" / "tiny")
        manifest = remove_seal(json.loads((folder / "manifest.json").read_text()))
        manifest["spec"]["obs"] = 3
        (folder / "manifest.json").write_text(json.dumps(manifest))
        assert "has Spec(obs=3" in self.train(refused, small, tmp_path / "data")

    def test_without_a_manifest(self, refused: Callable[..., str], small: Call, own_data: Path) -> None:
        (own_data / "point_robot/tiny/manifest.json").unlink()
        assert "is incomplete: it has no manifest.json" in self.train(refused, small, own_data)

    @pytest.mark.parametrize(
        "text", ["", "{", "[]", "null", '{"schema": 1}', "\0", "[" * 100_000, '{"schema": 1' + 5000 * "0" + "}"]
    )
    def test_with_a_malformed_manifest(
        self, text: str, refused: Callable[..., str], small: Call, own_data: Path
    ) -> None:
        (own_data / "point_robot/tiny/manifest.json").write_text(text)
        assert "manifest" in self.train(refused, small, own_data)

    def test_with_a_missing_file(self, refused: Callable[..., str], small: Call, own_data: Path) -> None:
        (own_data / "point_robot/tiny/task_003.safetensors").unlink()
        assert re.search(
            "task 3: cannot read .*/task_003.safetensors: No such file", self.train(refused, small, own_data)
        )

    @pytest.mark.parametrize("size", [0, 7, 100, 3000])
    def test_with_a_truncated_file(self, size: int, refused: Callable[..., str], small: Call, own_data: Path) -> None:
        path = own_data / "point_robot/tiny/task_003.safetensors"
        path.write_bytes(path.read_bytes()[:size])
        assert f"task 3: file task_003.safetensors has {size} bytes, expected" in self.train(refused, small, own_data)

    def test_with_a_flipped_byte(self, refused: Callable[..., str], call: Call, small: Call, own_data: Path) -> None:
        """Found at opening, because the file's time differs; with time and size restored, by verifying."""
        folder = own_data / "point_robot" / "tiny"
        assert call("data", "verify", folder).code == 0
        path = folder / "task_003.safetensors"
        stat = path.stat()
        content = bytearray(path.read_bytes())
        content[-200] ^= 1
        path.write_bytes(content)
        assert "task 3: " in self.train(refused, small, own_data)
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        sentence = refused("data", "verify", folder)
        assert "is damaged: task 3: " in sentence
        assert "its SHA-256 differs from the manifest's" in sentence
        assert "Traceback" not in call("data", "verify", folder).err

    def test_with_a_reward_that_is_not_a_number(self, refused: Callable[..., str], small: Call, own_data: Path) -> None:
        import hashlib

        folder = own_data / "point_robot" / "tiny"
        path = folder / "task_003.safetensors"
        tensors = load_file(path)
        tensors["reward"][2, 5] = np.nan
        save_file(tensors, path)
        manifest = remove_seal(json.loads((folder / "manifest.json").read_text()))
        manifest["tasks"][3] |= {
            "bytes": path.stat().st_size,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }
        (folder / "manifest.json").write_text(json.dumps(manifest))
        expected = "task 3: episode 2, step 5: reward is nan, expected a finite number"
        assert expected in self.train(refused, small, own_data)
        assert expected in refused("data", "info", folder)
        assert expected in refused("data", "verify", folder)

    def test_a_folder_that_is_a_file(self, refused: Callable[..., str], small: Call, tmp_path: Path) -> None:
        (tmp_path / "data").touch()
        assert "no dataset at" in self.train(refused, small, tmp_path / "data")

    def test_side_by_side_every_seed_is_refused_once(self, command: Call, small: Call, tmp_path: Path) -> None:
        done = command("train", *small(data=tmp_path / "none"), "--seeds", 2, "--jobs", 2, cwd=tmp_path)
        assert (done.code, done.out) == (2, "")
        lines = done.err.splitlines()
        assert len(lines) == 2
        assert all(line.startswith("selectrl: no dataset at ") for line in lines)
        assert list(tmp_path.iterdir()) == []


class TestFolders:
    """Run directories that cannot be had. (The superuser may write anywhere, so files stand where folders should.)"""

    def test_below_a_file(self, refused: Callable[..., str], small: Call, tmp_path: Path) -> None:
        (tmp_path / "runs").touch()
        sentence = refused("train", *small(), "--out", "runs")
        assert sentence.startswith("cannot write")
        assert "runs/point_robot/select-" in sentence

    def test_a_file_in_its_place(self, refused: Callable[..., str], small: Call, tmp_path: Path) -> None:
        (tmp_path / "runs/point_robot/mine").mkdir(parents=True)
        (tmp_path / "runs/point_robot/mine/seed0").touch()
        assert "runs/point_robot/mine/seed0" in refused("train", *small(), "--name", "mine")

    def test_full_of_something_else(self, refused: Callable[..., str], small: Call, tmp_path: Path) -> None:
        (tmp_path / "runs/point_robot/mine/seed0").mkdir(parents=True)
        (tmp_path / "runs/point_robot/mine/seed0/thesis.txt").touch()
        assert "is not empty and contains no run" in refused("train", *small(), "--name", "mine")

    def test_that_holds_another_experiment(self, refused: Callable[..., str], small: Call, own_run: Path) -> None:
        sentence = refused("train", *small({"train.steps": 5}), "--name", "done")
        assert "runs/point_robot/done/seed0 contains another experiment (done, key " in sentence
        assert sentence.endswith("choose another folder or name")

    def test_that_was_begun_on_other_data(
        self, refused: Callable[..., str], small: Call, own_run: Path, own_data: Path, make_dataset: Callable[..., Path]
    ) -> None:
        make_dataset(
            own_data / "point_robot" / "tiny", change=lambda episodes: episodes._replace(reward=episodes.reward - 1)
        )
        assert "was started on other data" in refused(
            "train", *small({"train.steps": 4}, data=own_data), "--name", "done"
        )

    def test_collect_below_a_file(self, refused: Callable[..., str], tmp_path: Path) -> None:
        (tmp_path / "data").touch()
        assert "cannot write" in refused("collect", "--env", "point_robot")

    def test_collect_into_data_of_something_else(self, refused: Callable[..., str], own_data: Path) -> None:
        sentence = refused("collect", "--env", "point_robot", "--name", "tiny", "--data", own_data)
        assert "holds data of another configuration" in sentence

    def test_report_into_a_file(self, refused: Callable[..., str], own_run: Path, tmp_path: Path) -> None:
        (tmp_path / "report").touch()
        assert "report" in refused("report", own_run)


class TestRecords:
    """Runs whose records a hand has damaged."""

    @pytest.mark.parametrize(
        "text",
        [
            *("", "{", "null", "5", "[]", "{}", "\0\1\2", "[" * 100_000, "1" + 5000 * "0", '{"seed": 0}'),
            *('{"seed": "0", "experiment": {}}', '{"seed": 0, "experiment": 5}'),
            '{"seed": 0, "experiment": {"part": "experiment"}}',
        ],
        ids=lambda text: repr(text[:40]),
    )
    @pytest.mark.parametrize("verb", ["train", "evaluate", "report"])
    def test_a_malformed_experiment_json(
        self, text: str, verb: str, refused: Callable[..., str], small: Call, own_run: Path
    ) -> None:
        (own_run / "experiment.json").write_text(text)
        words = {
            "train": (*small({"train.steps": 4}), "--name", "done"),
            "evaluate": ("runs",),
            "report": ("runs",),
        }[verb]
        refused(verb, *words)

    @pytest.mark.parametrize("value", [b"\xff\xfe", b'{"schema": 1, \xff}'])
    def test_an_experiment_json_that_is_not_utf8(
        self, value: bytes, refused: Callable[..., str], own_run: Path
    ) -> None:
        (own_run / "experiment.json").write_bytes(value)
        assert "is not valid JSON" in refused("evaluate", "runs")

    @pytest.mark.parametrize(
        "text",
        ["", "{", "null", "5", "[]", '{"dataset": []}', '{"dataset": {"fingerprint": 5}}', '{"wall_seconds": "x"}'],
    )
    def test_a_malformed_execution_json(
        self, text: str, call: Call, small: Call, own_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is no part of a run's identity: a finished run may be read without it, but no answer is a bug's."""
        monkeypatch.chdir(tmp_path)
        (own_run / "execution.json").write_text(text)
        done = call("train", *small({"train.steps": 4}), "--name", "done")
        assert done.code in (0, 2)
        if done.code == 2:
            assert "execution.json" in done.sentence(2) or "other data" in done.sentence(2)
        for verb in ("evaluate", "report") if text == "null" else ("evaluate",):
            done = call(verb, "runs")
            assert done.code in (0, 2)
            assert "internal error" not in done.err

    def test_a_value_of_another_version(self, refused: Callable[..., str], own_run: Path) -> None:
        record = remove_seal(json.loads((own_run / "experiment.json").read_text()))
        record["experiment"]["encoder"]["club_weigth"] = 3.0
        (own_run / "experiment.json").write_text(json.dumps(record))
        assert "encoders.csro has no field 'club_weigth'; did you mean 'club_weight'?" in refused("evaluate", "runs")

    def test_of_two_runs_a_damaged_one_stops_both(self, refused: Callable[..., str], own_run: Path, data: Path) -> None:
        other = own_run.with_name("seed1")
        shutil.copytree(own_run, other)
        (other / "experiment.json").write_text("{")
        assert str(other.relative_to(own_run.parents[3])) in refused("evaluate", "runs", "--repeats", "1")

    def test_a_damaged_evaluation_is_done_again(
        self, call: Call, small: Call, own_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        path = own_run / "evaluations" / "proximal.json"
        returns = json.loads(path.read_text())["returns"]
        for text in ("", "{}", "null", "[" * 100_000):
            path.write_text(text)
            assert call("train", *small({"train.steps": 4}), "--name", "done").code == 0
            assert json.loads(path.read_text())["returns"] == returns

    def test_a_run_without_a_checkpoint(self, refused: Callable[..., str], own_run: Path) -> None:
        for path in own_run.glob("checkpoint-*"):
            path.unlink()
        assert "has no sound checkpoint; train it first" in refused("evaluate", "runs")

    def test_a_run_without_a_test_is_no_report(self, refused: Callable[..., str], own_run: Path) -> None:
        shutil.rmtree(own_run / "evaluations")
        assert "no finished run to report" in refused("report", "runs")

    @pytest.mark.parametrize(
        ("options", "expected"),
        [
            (["--budget", "30"], "test.budget: expected a multiple of the horizon 20, got 30"),
            (["--set", "collectors.proximal.sigma=-1"], "collectors.proximal.sigma: expected a number >= 0, got -1"),
            (["--set", "collectors.proximal.sgima=1"], "did you mean 'sigma'?"),
            (["--set", "collectors.online.sigma=1"], "a meta-test has only collectors.proximal.* and test.*"),
            (["--set", "collectors.proximalsigma=1"], "a meta-test has only collectors.proximal.* and test.*"),
            (["--set", "train.steps=1"], "a meta-test has only collectors.proximal.* and test.*"),
            (["--set", "test.prior=center"], "test.prior: expected one of zero, centroid"),
            (["--collector", "online", "--set", "collectors.proximal.sigma=1"], "only collectors.online.* and test.*"),
        ],
    )
    def test_a_wrong_test(
        self, options: list[str], expected: str, refused: Callable[..., str], own_run: Path, data: Path
    ) -> None:
        assert expected in refused("evaluate", "runs", *options, "--data", data)


class TestFailures:
    """Work that fails ends in one sentence too, with exit code 1."""

    def test_a_loss_that_is_no_longer_finite(self, call: Call, small: Call, tmp_path: Path) -> None:
        done = call("train", *small({"critics.dual_target.q_lr": 1e30}), "--out", tmp_path)
        assert done.code == 1
        assert "critic/td is inf after 2 steps of phase rl" in done.err.splitlines()[-1]
        assert "Traceback" not in done.err
        again = call("train", *small({"critics.dual_target.q_lr": 1e30}), "--out", tmp_path)
        assert again.err.splitlines()[-1] == done.err.splitlines()[-1]

    @pytest.mark.slow
    def test_side_by_side_too(self, command: Call, small: Call, tmp_path: Path) -> None:
        words = small({"critics.dual_target.q_lr": 1e30})
        done = command("train", *words, "--out", tmp_path, "--seeds", 2, "--jobs", 2)
        assert done.code == 1
        assert len([line for line in done.err.splitlines() if line.startswith("selectrl: ")]) == 2
        assert "Traceback" not in done.err

    @pytest.mark.own_process
    def test_a_full_disk(self, spawn: Call, small: Call, tmp_path: Path) -> None:
        """Files may grow to 30 kB here, which a checkpoint does not fit."""
        import resource

        words = small()  # writes the dataset
        resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
        process = spawn("train", *words, "--out", tmp_path / "runs")
        _, err = process.communicate(timeout=120)
        assert process.returncode in (1, 2), err
        assert "cannot write" in err.splitlines()[-1]
        assert "checkpoint-" in err.splitlines()[-1]
        assert "Traceback" not in err
        assert "internal error" not in err
        assert not list((tmp_path / "runs").rglob("*.tmp"))
