"""The commands as a stranger uses them: help, what there is, and a whole run from training to a report."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

import selectrl
from selectrl.files import read_json
from selectrl.gin_edge import shipped
from selectrl.plugins import Plugin
from selectrl.registry import REGISTRIES

Call = Callable[..., Any]

COMMANDS = {
    (): ("list", "collect", "train", "evaluate", "report", "data", "doctor", "--version"),
    ("list",): ("--json", "--kind"),
    ("collect",): ("FILE", "--env", "--preset", "--set", "--name", "--threads", "--data", "--dry-run", "--json"),
    ("train",): (
        *("FILE", "--method", "--env", "--profile", "--ablation", "--set", "--seeds", "--seed", "--jobs", "--threads"),
        *("--data", "--out", "--name", "--tensorboard", "--dry-run", "--json"),
    ),
    ("evaluate",): (
        *("RUNS", "--collector", "--ablation", "--budget", "--repeats", "--set", "--label", "--threads", "--data"),
        *("--protocol", "--diagnose", "--json"),
    ),
    ("report",): ("RUNS", "--out", "--export", "--json"),
    ("data",): ("info", "verify", "import-csro", "import-minari", "export-minari"),
    ("data", "info"): ("FOLDER", "--plot", "--json"),
    ("data", "verify"): ("FOLDER", "--json"),
    ("data", "import-csro"): (
        *("FOLDER", "--env", "--name", "--labels", "--deterministic", "--allow-missing", "--set", "--data", "--json"),
    ),
    ("data", "import-minari"): ("NAMESPACE", "--name", "--root", "--data", "--json"),
    ("data", "export-minari"): ("FOLDER", "--namespace", "--out", "--json"),
    ("doctor",): ("--json",),
}


class TestHelp:
    @pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
    @pytest.mark.parametrize("flag", ["--help", "-h"])
    def test_names_every_option_and_fits_80_columns(
        self, words: tuple[str, ...], flag: str, call: Call, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("COLUMNS", "80")
        done = call(*words, flag)
        assert (done.code, done.err) == (0, "")
        for word in COMMANDS[words]:
            assert re.search(rf"(?<![\w-]){word}\b", done.out), word
        assert max(map(len, done.out.splitlines())) <= 80
        assert done.out.count("\n") > 5

    @pytest.mark.parametrize("words", [words for words in COMMANDS if words], ids=" ".join)
    def test_each_option_says_what_it_is_for(self, words: tuple[str, ...], call: Call) -> None:
        out = call(*words, "--help").out
        for word in COMMANDS[words]:
            assert re.search(rf"^│ [ *]*{word}( [A-Z.]+)?  +[A-Z]\w* ", out, re.MULTILINE), word

    def test_without_a_command_the_help_is_shown(self, call: Call) -> None:
        assert call() == call("--help")

    def test_the_version(self, call: Call) -> None:
        import selectrl

        assert call("--version").out.strip() == selectrl.__version__

    def test_the_script_does_the_same(self, command: Call, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COLUMNS", "80")
        assert command("train", "--help") == call("train", "--help")


class TestList:
    def test_names_every_part_method_and_file(self, call: Call) -> None:
        done = call("list")
        assert (done.code, done.err) == (0, "")
        for registry in REGISTRIES:
            for entry in registry:
                assert re.search(rf"^{entry.name}\b", done.out, re.MULTILINE), entry.name
        for kind in ("methods", "envs", "profiles", "ablations", "behaviour"):
            for name in shipped(kind):
                assert name in done.out

    def test_json(self, call: Call) -> None:
        done = call("list", "--json")
        found = json.loads(done.out)
        assert (done.code, done.err) == (0, "")
        assert found["methods"]["select"] == {
            "encoder": "csro",
            "critic": "dual_target",
            "actor": "weighted_bc",
            "collector": "proximal",
        }
        assert {kind: [one["name"] for one in parts] for kind, parts in found["parts"].items()} == {
            registry.kind: [entry.name for entry in registry] for registry in REGISTRIES
        }
        assert all(one["paper"] and one["summary"] for parts in found["parts"].values() for one in parts)
        assert found["files"]["profiles"] == list(shipped("profiles"))

    @pytest.mark.parametrize("kind", [registry.kind for registry in REGISTRIES])
    def test_one_kind_and_nothing_else(self, call: Call, kind: str) -> None:
        entries = next(registry for registry in REGISTRIES if registry.kind == kind)
        found = json.loads(call("list", "--kind", kind, "--json").out)
        assert list(found) == ["parts"]
        assert {name: [one["name"] for one in parts] for name, parts in found["parts"].items()} == {
            kind: [entry.name for entry in entries]
        }
        shown = call("list", "--kind", kind).out.splitlines()
        assert shown[0] == kind
        rows = [row.split()[0] for row in shown[1:] if row and not row.startswith(" ")]
        assert [name for name in rows if name in {entry.name for entry in entries}] == [e.name for e in entries]
        assert not {"methods", "ablations", "profiles:"} & set(rows)

    @pytest.mark.parametrize(
        "words",
        [
            ["list"],
            ["list", "--json"],
            ["--help"],
            ["train", "--method", "select", "--env", "half_cheetah_vel", "--dry-run"],
            ["train", "--method", "select", "--env", "point_robot", "--profile", "laptop", "--dry-run", "--json"],
            ["collect", "--env", "point_robot", "--dry-run"],
            ["train", "--method", "selct"],
            ["train", "--help"],
        ],
        ids=" ".join,
    )
    def test_needs_none_of_the_large_libraries(self, words: list[str], tmp_path: Path) -> None:
        code = (
            "import sys\n"
            "from selectrl.cli.app import run\n"
            f"code = run({words!r})\n"
            "large = {'torch', 'gymnasium', 'mujoco', 'scipy', 'matplotlib', 'tensorboard', 'optuna'}\n"
            f"large |= {set() if words == ['--help'] else {'numpy', 'sqlite3'}!r}  # all commands tell of themselves\n"
            "heavy = large & sys.modules.keys()\n"
            "sys.exit(f'imported {heavy}' if heavy else code)\n"
        )
        done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == (2 if "selct" in words else 0), done.stderr
        assert list(tmp_path.iterdir()) == []


class TestDoctor:
    def test_json(self, call: Call) -> None:
        done = call("doctor", "--json")
        found = json.loads(done.out)
        assert (done.code, done.err) == (0, "")
        assert {"selectrl", "python", "torch", "numpy"} <= found["versions"].keys()
        assert {"platform", "processor", "cores", "threads of torch", "cuda", "pictures"} <= found["machine"].keys()
        assert {"locale", "encoding"} <= found["settings"].keys()
        assert all(found["checks"].values())

    def test_says_the_same_to_people(self, call: Call) -> None:
        done = call("doctor")
        assert done.code == 0
        for word in json.loads(call("doctor", "--json").out)["checks"]:
            assert word in done.out
        assert "FAILED" not in done.out

    def test_a_broken_plugin_is_told_with_its_remedy(self, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
        broken = Plugin(name="theirs", distribution="theirs 1.0", problem="the plugin 'theirs' cannot be loaded")
        monkeypatch.setattr("selectrl.plugins.load_plugins", lambda: (broken,))
        done = call("doctor")
        assert done.code == 1
        assert "theirs" in done.out
        assert "a check failed: every plugin is loaded; the plugin 'theirs' cannot be loaded" in done.err

    def test_a_missing_dependency_is_told(self, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("importlib.metadata.requires", lambda name: ["no-such", "nor-this; extra == 'film'"])
        done = call("doctor", "--json")
        versions = json.loads(done.out)["versions"]
        assert (versions["no-such"], versions["nor-this"]) == ("missing", "not installed (extra [film])")
        assert done.code == 1
        assert "no package is missing" in done.err

    def test_a_failed_check_is_the_works_failure(self, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("os.access", lambda path, mode: False)
        done = call("doctor")
        assert done.code == 1
        assert done.err.startswith("selectrl: a check failed: the working directory can be written to")


class TestDryRun:
    def test_json_is_the_record_and_its_key(self, call: Call, small: Call) -> None:
        from selectrl.experiment.config import experiment_from_record

        done = call("train", *small(), "--dry-run", "--json")
        found = json.loads(done.out)
        assert (done.code, done.err) == (0, "")
        assert experiment_from_record(found["experiment"]).key == found["key"]
        assert found["experiment"]["train"]["steps"] == 30

    def test_what_is_shown_is_a_gin_file_of_the_same_experiment(self, call: Call, small: Call, tmp_path: Path) -> None:
        done = call("train", *small(), "--dry-run")
        assert (done.code, done.err) == (0, "")
        path = tmp_path / "mine.gin"
        path.write_text(done.out)
        key = json.loads(call("train", *small(), "--dry-run", "--json").out)["key"]
        again = json.loads(call("train", path, "--dry-run", "--json").out)
        assert again["key"] == key
        assert again["experiment"]["name"] == "select"

    def test_reads_and_writes_nothing(self, call: Call, small: Call, tmp_path: Path) -> None:
        arguments = (*small(data=tmp_path / "none"), "--out", tmp_path / "runs", "--dry-run")
        assert call("train", *arguments).code == 0
        assert list(tmp_path.iterdir()) == []

    def test_a_users_file_and_profile_lie_over_the_method(self, call: Call, tmp_path: Path) -> None:
        path = tmp_path / "mine.gin"
        path.write_text("train.steps = 7\ntrain.batch = 7\n")
        arguments = (
            path,
            "--method",
            "select",
            "--env",
            "point_robot",
            "--profile",
            "laptop",
            "--set",
            "train.batch=9",
        )
        found = json.loads(call("train", *arguments, "--dry-run", "--json").out)["experiment"]
        assert found["name"] == "mine"
        assert found["data"]["name"] == "laptop"
        assert (found["train"]["steps"], found["train"]["batch"]) == (7, 9)

    def test_an_ablation_lies_below_a_users_file_and_names_the_run(self, call: Call, tmp_path: Path) -> None:
        words = ("--method", "select", "--env", "point_robot", "--ablation", "weight_exp", "--dry-run", "--json")
        found = json.loads(call("train", *words).out)["experiment"]
        assert (found["name"], found["actor"]["weight"]["clip"]) == ("select-weight_exp", 20.0)
        path = tmp_path / "mine.gin"
        path.write_text("weights.exp.clip = 5.0\n")
        found = json.loads(call("train", path, *words).out)["experiment"]
        assert (found["name"], found["actor"]["weight"]["clip"]) == ("mine", 5.0)
        sentence = call("train", "--method", "focal", *words[2:]).sentence()
        assert sentence.startswith("ablations/weight_exp.gin:7: actors.weighted_bc.weight is bound but nothing uses it")

    def test_set_takes_one_word_at_a_time(self, call: Call, tmp_path: Path) -> None:
        path = tmp_path / "mine.gin"
        path.write_text("train.batch = 7\n")
        arguments = (
            "--method",
            "select",
            "--env",
            "point_robot",
            "--set",
            "train.steps=5",
            path,
            "--dry-run",
            "--json",
        )
        found = json.loads(call("train", *arguments).out)["experiment"]
        assert (found["train"]["steps"], found["train"]["batch"]) == (5, 7)

    def test_of_a_collection(self, call: Call, tmp_path: Path) -> None:
        arguments = ("collect", "--env", "point_robot", "--data", tmp_path, "--dry-run")
        found = json.loads(call(*arguments, "--json").out)
        assert found["folder"] == str(tmp_path / "point_robot" / "laptop")
        assert found["bindings"]["behaviour.sac.keep_warmup"] > 0
        assert found["bindings"]["envs.point_robot.tasks"] == 40
        assert "behaviour.sac.keep_warmup" in call(*arguments).out
        assert list(tmp_path.iterdir()) == []


class TestData:
    def test_info(self, call: Call, data: Path) -> None:
        folder = data / "point_robot" / "tiny"
        found = json.loads(call("data", "info", folder, "--json").out)
        assert (found["env"], found["tasks"], found["episodes"], found["rows"]) == ("point_robot", 8, 48, 960)
        shown = call("data", "info", folder)
        assert (shown.code, shown.err) == (0, "")
        assert found["fingerprint"][:16] in shown.out

    def test_verify(self, call: Call, data: Path) -> None:
        folder = data / "point_robot" / "tiny"
        assert json.loads(call("data", "verify", folder, "--json").out)["sound"] is True
        assert "is sound: 8 files match their checksums" in " ".join(call("data", "verify", folder).out.split())


@pytest.fixture(scope="module")
def trained(command: Call, small: Call, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """Two seeds of SELECT, trained side by side by the console script."""
    cwd = tmp_path_factory.mktemp("whole")
    done = command("train", *small(), "--seeds", 2, "--jobs", 2, "--json", cwd=cwd)
    assert done.code == 0, done.err
    return cwd, done


class TestWholeRun:
    def folder(self, trained: tuple[Path, Any]) -> Path:
        (found,) = (trained[0] / "runs" / "point_robot").iterdir()
        return found

    def test_training_tells_what_it_reached(self, trained: tuple[Path, Any]) -> None:
        found = json.loads(trained[1].out)
        assert found["folder"] == str(self.folder(trained).relative_to(trained[0]))
        assert [one["seed"] for one in found["runs"]] == [0, 1]
        for one in found["runs"]:
            assert one["trained"] is True
            assert one["collector"] == "proximal"
            assert -60 < one["return"] < 0
            assert -60 < one["offline"] < 0
        assert found["runs"][0]["return"] != found["runs"][1]["return"]
        assert "select seed 1: 30/30" in trained[1].err
        assert "Traceback" not in trained[1].err

    def test_a_run_holds_its_record_metrics_checkpoints_and_tests(self, trained: tuple[Path, Any]) -> None:
        run = self.folder(trained) / "seed1"
        assert {path.name for path in run.iterdir()} == {
            "experiment.json",
            "execution.json",
            "config.gin",
            "metrics.jsonl",
            "diagnostics.json",
            "diagnostics.safetensors",
            "evaluations",
            "checkpoint-000000020.safetensors",
            "checkpoint-000000030.safetensors",
        }
        lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        assert [one["step"] for one in lines if one["kind"] == "train"] == [5, 10, 15, 20, 25, 30]
        assert [one["step"] for one in lines if one["kind"] == "test"] == [0, 15, 30]
        execution = json.loads((run / "execution.json").read_text())
        assert execution["threads"] >= 1
        assert execution["command"].startswith("selectrl train --method select")
        assert len(execution["dataset"]["fingerprint"]) == 64
        assert 50 < execution["peak_rss_mib"] < 20_000  # torch alone takes 100 and more; KiB would be above

    def test_the_written_bindings_alone_give_the_same_experiment(self, trained: tuple[Path, Any], call: Call) -> None:
        run = self.folder(trained) / "seed0"
        record = json.loads((run / "experiment.json").read_text())
        found = json.loads(call("train", run / "config.gin", "--dry-run", "--json").out)
        assert (found["key"], found["experiment"]) == (record["key"], record["experiment"])

    def test_the_same_command_again_does_nothing(
        self, trained: tuple[Path, Any], command: Call, small: Call, listing: Call
    ) -> None:
        before = listing(trained[0])
        done = command("train", *small(), "--seeds", 2, "--jobs", 2, cwd=trained[0])
        assert done.code == 0
        assert done.out.count("done before") == 2
        assert done.err == ""
        assert listing(trained[0]) == before

    def test_a_third_seed_joins_the_two(
        self, trained: tuple[Path, Any], call: Call, small: Call, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(trained[0])
        found = json.loads(call("train", *small(), "--seed", 2, "--json").out)
        assert [(one["seed"], one["trained"]) for one in found["runs"]] == [(2, True)]
        assert (self.folder(trained) / "seed2" / "experiment.json").exists()

    def test_another_test_of_a_trained_policy_is_done_and_the_first_one_kept(
        self, trained: tuple[Path, Any], call: Call, small: Call, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The training key knows nothing of collector and test, so old figures must not pass for the new ones."""
        monkeypatch.chdir(trained[0])
        tests = self.folder(trained) / "seed0" / "evaluations"
        first = (tests / "proximal.json").read_bytes()
        sigma = small({"collectors.proximal.sigma": 0.9, "test.budget": 60})
        found = json.loads(call("train", *sigma, "--seed", 0, "--json").out)["runs"][0]
        assert found["trained"] is False
        assert (tests / "proximal.json").read_bytes() == first
        (fresh,) = [json.loads(path.read_text()) for path in tests.glob("proximal-sigma0.9*.json")]
        assert (fresh["collector"]["sigma"], fresh["budget"]) == (0.9, 60)
        assert found["return"] == fresh["return"]

    def test_evaluate_with_another_collector(
        self, trained: tuple[Path, Any], call: Call, data: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(trained[0])
        run = self.folder(trained) / "seed0"
        options = ("--set", "collectors.proximal.sigma=.5", "--repeats", 2, "--budget", 80, "--data", data, "--json")
        done = call("evaluate", run, "--collector", "proximal", *options)
        assert done.code == 0
        (found,) = json.loads(done.out)["evaluations"]
        assert found["label"] == "proximal-sigma0.5-budget80"
        assert found.pop("run") == str(run)
        assert read_json(run / "evaluations" / f"{found['label']}.json") == found
        assert found["protocol"] == "equal_budget"
        assert found["collector"]["part"] == "collectors.proximal"
        assert found["collector"]["sigma"] == 0.5
        assert found["tasks"] == [2, 6]
        assert found["context_steps"] == [0, 20, 40, 60, 80]
        assert len(found["curve"]) == 5
        assert len(found["return_per_task"]) == 2
        assert len(found["return_per_repeat"]) == 2
        assert found["env_steps"] == {"collection": 80, "scored": 100}
        assert found["curve"][0] == found["context_free"]
        assert found["curve"][-1] == found["return"]
        mean = sum(found["return_per_task"]) / 2
        assert found["return"] == pytest.approx(mean)
        low, high = found["interval"]
        assert low <= found["return"] <= high

    @pytest.mark.parametrize(
        ("collector", "scored", "quirk"),
        [("non_prior", [20, 40], "non-prior"), ("belief", [0, 20], "two episodes"), ("proximal", [20, 40], "assumed")],
    )
    def test_evaluate_by_the_published_schedule(
        self, trained: tuple[Path, Any], call: Call, data: Path, collector: str, scored: list[int], quirk: str
    ) -> None:
        run = self.folder(trained) / "seed0"
        options = ("--collector", collector, "--protocol", "paper", "--budget", 40, "--set", "test.seed=3")
        done = call("evaluate", run, *options, "--data", data, "--json")
        assert done.code == 0, done.err
        (found,) = json.loads(done.out)["evaluations"]
        assert (found["protocol"], found["repeats"], found["context_steps"]) == ("paper", 2, scored)
        assert found["label"].startswith(f"{collector}-protocolpaper-")
        assert found["label"].endswith("-seed3")
        assert any(quirk in one for one in found["quirks"])
        assert found["scored_episodes"] == [[2, 2], [2, 2]]
        traces = load_file(run / "evaluations" / f"{found['label']}.safetensors")
        assert (traces["latents"].dtype, traces["latents"].shape) == (np.float32, (2, 2, 2, 20))

    def test_diagnostics_end_the_training_and_are_written_again_alike(
        self, trained: tuple[Path, Any], call: Call, data: Path
    ) -> None:
        run = self.folder(trained) / "seed0"
        first = (run / "diagnostics.json").read_bytes(), (run / "diagnostics.safetensors").read_bytes()
        assert call("evaluate", run, "--diagnose", "--label", "again", "--data", data).code == 0
        assert ((run / "diagnostics.json").read_bytes(), (run / "diagnostics.safetensors").read_bytes()) == first
        found, arrays = json.loads(first[0]), load_file(run / "diagnostics.safetensors")
        assert (found["schema"], found["train_step"]) == (1, 30)
        assert {(one["task"], one["donor"]) for one in found["donor_swap"]["pairs"]} == {(2, 6), (6, 2)}
        assert {name: array.shape for name, array in arrays.items()} == {
            "train_latents": (6, 3, 20),
            "train_parameters": (6, 2),
            "test_latents": (2, 3, 20),
            "test_parameters": (2, 2),
        }

    def test_evaluate_with_an_ablation_of_the_collection(
        self, trained: tuple[Path, Any], call: Call, data: Path
    ) -> None:
        run = self.folder(trained) / "seed0"
        options = ("--ablation", "collect_return_filtered", "--data", data, "--json")
        (found,) = json.loads(call("evaluate", run, *options).out)["evaluations"]
        assert found["label"] == "return_filtered"
        assert found["collector"]["collector"]["part"] == "collectors.proximal"
        inside = ("--set", "collectors.return_filtered.collector=@collectors.held()")
        done = call("evaluate", run, *options, *inside, "--set", "collectors.held.sigma=.5")
        assert done.code == 0, done.err
        (found,) = json.loads(done.out)["evaluations"]
        assert found["label"] == "return_filtered-collectorheld-sigma0.5"
        assert found["collector"]["collector"]["sigma"] == 0.5

    def test_evaluate_refuses_an_ablation_of_training_and_two_collectors(
        self, trained: tuple[Path, Any], call: Call, data: Path
    ) -> None:
        run = self.folder(trained) / "seed0"
        sentence = call("evaluate", run, "--ablation", "td3_bc", "--data", data).sentence()
        assert sentence == "--ablation td3_bc changes the training; give `selectrl train --ablation td3_bc`"
        both = call("evaluate", run, "--collector", "held", "--ablation", "collect_held", "--data", data)
        assert both.sentence() == "--collector and --ablation both name a collector; give one of them"

    def test_the_score_without_context_is_the_same_for_every_collector(
        self, trained: tuple[Path, Any], call: Call, data: Path
    ) -> None:
        run = self.folder(trained) / "seed1"
        names = [entry.name for registry in REGISTRIES if registry.kind == "collectors" for entry in registry]
        names.remove("belief")  # its belief moves within the scored episode
        found = {}
        for name in names:
            done = call("evaluate", run, "--collector", name, "--data", data, "--json")
            (found[name],) = json.loads(done.out)["evaluations"]
        assert len({one["context_free"] for one in found.values()}) == 1
        assert len({json.dumps([[r[0] for r in task] for task in one["returns"]]) for one in found.values()}) == 1
        assert len({one["return"] for one in found.values()}) > 1

    def test_evaluating_its_own_way_gives_what_training_gave(
        self, trained: tuple[Path, Any], call: Call, data: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(trained[0])
        folder = self.folder(trained)
        before = {seed: read_json(folder / seed / "evaluations/proximal.json") for seed in ("seed0", "seed1")}
        done = call("evaluate", folder, folder / "seed0", "--data", data, "--json")
        found = {Path(one["run"]).name: one for one in json.loads(done.out)["evaluations"]}
        assert len(json.loads(done.out)["evaluations"]) == len(list(folder.glob("seed*")))  # each once
        for seed, record in before.items():
            assert found[seed]["label"] == "proximal"
            assert found[seed]["returns"] == record["returns"]

    def test_evaluate_shows_a_few_shot_curve(self, trained: tuple[Path, Any], call: Call, data: Path) -> None:
        done = call("evaluate", self.folder(trained) / "seed0", "--label", "shown", "--data", data)
        assert done.code == 0
        assert "shown: -" in done.out.replace("\n", "")
        assert re.search(r"context steps +0 +20 +40", done.out)

    def test_a_prior_of_the_training_tasks(self, trained: tuple[Path, Any], call: Call, data: Path) -> None:
        run = self.folder(trained) / "seed0"
        done = call("evaluate", run, "--set", "test.prior=centroid", "--data", data, "--json")
        (found,) = json.loads(done.out)["evaluations"]
        assert (found["prior"], found["label"]) == ("centroid", "proximal-priorcentroid")

    def test_no_context_at_all(self, trained: tuple[Path, Any], call: Call, data: Path) -> None:
        run = self.folder(trained) / "seed0"
        (found,) = json.loads(call("evaluate", run, "--budget", 0, "--data", data, "--json").out)["evaluations"]
        assert found["context_steps"] == [0]
        assert found["return"] == found["context_free"]

    def test_evaluate_needs_data_for_offline_context_alone(
        self, trained: tuple[Path, Any], call: Call, tmp_path: Path
    ) -> None:
        run = self.folder(trained) / "seed0"
        assert call("evaluate", run, "--collector", "online", "--data", tmp_path / "none", "--json").code == 0
        sentence = call("evaluate", run, "--collector", "offline", "--data", tmp_path / "none", "--json").err
        assert "no dataset at" in sentence

    def test_report(self, trained: tuple[Path, Any], call: Call, tmp_path: Path) -> None:
        results = tmp_path / "results"
        done = call("report", trained[0] / "runs", "--out", tmp_path / "report", "--export", results, "--json")
        assert (done.code, done.err) == (0, "")
        assert json.loads(done.out)["export"] == str(results)
        assert any(results.rglob("experiment.json"))
        page = Path(json.loads(done.out)["page"])
        assert page.is_file()
        assert "select" in page.read_text()


class TestOneExperiment:
    @pytest.mark.parametrize("method", sorted(shipped("methods")))
    @pytest.mark.parametrize("ablation", [None, "brac"])
    def test_python_and_the_command_compose_the_same(self, method: str, ablation: str | None, call: Call) -> None:
        more = ["--ablation", ablation] if ablation else []
        words = ["train", "--method", method, "--env", "point_robot", "--profile", "laptop", *more]
        told = json.loads(call(*words, "--dry-run", "--json").out)
        composed = selectrl.compose(method, "point_robot", profile="laptop", ablation=ablation)
        assert composed.key == told["key"]
        assert composed.name == told["experiment"]["name"]


class TestOtherMethods:
    @pytest.mark.parametrize("method", sorted(set(shipped("methods")) - {"select"}))
    def test_each_trains_and_tests(self, method: str, call: Call, small: Call, tmp_path: Path) -> None:
        record = json.loads(call("train", "--method", method, "--env", "point_robot", "--dry-run", "--json").out)
        widths = {
            f"{one['part']}.{field}": (16, 16)
            for one in flatten(record["experiment"])
            for field, value in one.items()
            if field.endswith("hidden") and isinstance(value, list)
        }
        brief = {
            "steps": 10,
            "contrastive_steps": 10,
            "min_kl": 0.0,
            "min_spread": 0.0,
            "episodes": 2,
        }  # of an encoder's pre-training
        widths |= {
            f"{one['part']}.{field}": brief[field]
            for one in flatten(record["experiment"]["encoder"])
            for field in one.keys() & brief.keys()
        }
        removed = dict.fromkeys(path for path in ("encoders.csro.hidden", "encoders.csro.club_hidden"))
        removed |= dict.fromkeys(("critics.dual_target.hidden", "policies.deterministic.hidden"))
        words = small({**removed, **widths, "train.steps": 6, "train.test_every": 6})
        words[1] = method
        done = call("train", *words, "--out", tmp_path, "--json")
        assert done.code == 0, done.err
        assert json.loads(done.out)["runs"][0]["trained"] is True


def flatten(record: Any) -> list[dict[str, Any]]:
    """Return a record and all records inside it."""
    if not isinstance(record, dict):
        return []
    return [record, *(inner for value in record.values() for inner in flatten(value))]


class TestPipes:
    def test_a_closed_pipe_is_no_traceback(self, tmp_path: Path) -> None:
        script = Path(sys.executable).with_name("selectrl")
        done = subprocess.run(
            ["bash", "-c", f"{script} list --json | true; {script} list | head -1"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stderr == ""


class TestCollect:
    @pytest.mark.slow
    def test_collects_trains_and_leaves_a_complete_dataset_alone(
        self, call: Call, small: Call, listing: Call, tmp_path: Path
    ) -> None:
        sizes = {"steps": 140, "warmup": 40, "period": 20, "first_label": 60, "last_label": 100, "episodes": 2}
        sizes |= {"keep_warmup": 2, "hidden": (8, 8), "batch": 8}
        sets = [word for key, value in sizes.items() for word in ("--set", f"behaviour.sac.{key}={value}")]
        sets += ["--set", "envs.point_robot.tasks=8", "--name", "tiny", "--data", tmp_path / "data"]
        done = call("collect", "--env", "point_robot", *sets, "--json")
        assert done.code == 0, done.err
        found = json.loads(done.out)
        assert (found["tasks"], found["episodes"]) == (8, 8 * (2 + 3 * 2))
        before = listing(tmp_path)
        assert call("collect", "--env", "point_robot", *sets).code == 0
        assert listing(tmp_path) == before
        sentence = call("collect", "--env", "point_robot", *sets, "--set", "behaviour.sac.lr=0.5").sentence()
        assert "holds data of another configuration (behaviour.lr is" in sentence
        assert listing(tmp_path) == before
        assert call("data", "verify", tmp_path / "data" / "point_robot" / "tiny").code == 0
        words = small({"train.steps": 4}, data=tmp_path / "data")
        assert call("train", *words, "--out", tmp_path / "runs").code == 0
