"""Each command is the function of its name: the same defaults, the same files, and nothing printed."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
from commands import SETTINGS

import selectrl
from selectrl.cli.app import COMMANDS
from selectrl.cli.app import run as run_command
from selectrl.cli.comparing import Options
from selectrl.errors import DataError, InputError
from selectrl.files import read_json
from selectrl.launch.job import Event
from selectrl.runs.evaluation import EvaluationRecord

FUNCTIONS = ("collect", "train", "evaluate", "compare", "ablate", "tune", "report")
NAMES = {"set_": "settings", "ablation": "ablations", "collector": "collectors", "launcher_set": "launcher_settings"}
#: Options of the command line alone: words of the shell, and output.
SHELL = {"json", "dry_run", "options", "profile_step"}
WORDS = [f"{path}={value}" for path, value in SETTINGS.items()]
SIZES = [
    *("envs.point_robot.tasks=8", "data.name=tiny", "train.steps=6", "train.meta_batch=4", "train.batch=8"),
    *(
        "train.context=8",
        "train.test_every=6",
        "HIDDEN=(8,)",
        "ENCODER_HIDDEN=(8,)",
        "test.budget=40",
        "test.repeats=2",
    ),
]


@pytest.fixture(scope="module")
def runs(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """A run that Python trained."""
    out = tmp_path_factory.mktemp("python")
    return out, selectrl.train("select", "point_robot", settings=WORDS, threads=1, data=data, out=out)


def defaults(function: Callable[..., Any]) -> dict[str, Any]:
    return {name: parameter.default for name, parameter in inspect.signature(function).parameters.items()}


def command_of(name: str) -> Callable[..., Any]:
    module, _, function = COMMANDS[name].partition(":")
    return getattr(importlib.import_module(f"selectrl.cli.{module}"), function)  # type: ignore[no-any-return]


class TestSignatures:
    @pytest.mark.parametrize("name", FUNCTIONS)
    def test_each_option_is_an_argument_with_the_same_default(self, name: str) -> None:
        command, function = defaults(command_of(name)), defaults(getattr(selectrl, name))
        for option, default in command.items():
            if option in SHELL:
                continue
            argument = NAMES.get(option, option) if name == "compare" or option == "set_" else option
            if name == "train" and option in ("file", "method"):
                argument = "experiment"
            assert argument in function, option
            mine = function[argument]
            if {default, mine} & {inspect.Parameter.empty} or (name, option) in (("train", "seeds"), ("train", "seed")):
                continue  # a word is required, or has another form in Python
            assert mine == (str(default) if isinstance(default, Path) else default), option

    def test_the_options_of_comparisons_have_the_same_defaults(self) -> None:
        from selectrl.compare.comparison import Settings

        own = {NAMES.get(field.name, field.name): field.default for field in attrs.fields(Options)}
        fields = {field.name: field.default for field in attrs.fields(Settings)}
        shared = own.keys() & fields.keys()
        assert {name: own[name] for name in shared} == {name: fields[name] for name in shared}
        assert own.keys() - shared == {"json", "preset"}

    @pytest.mark.parametrize("name", [name for name in selectrl.__all__ if name != "__version__"])
    def test_each_public_name_is_documented(self, name: str) -> None:
        text = inspect.getdoc(getattr(selectrl, name)) or ""
        assert len(text) > 80
        if name in FUNCTIONS or name == "compose":
            assert "Args:" in text
            assert "Raises:" in text

    def test_the_functions_stay_when_the_rooms_of_their_names_are_imported(self) -> None:
        code = (
            "import selectrl, sys; assert not {'numpy', 'torch', 'attr', 'gin'} & sys.modules.keys(); "
            "import selectrl.compare.plan, selectrl.report.load, selectrl.evaluate.harness; "
            "from selectrl.compare.plan import make_plan; "
            "assert all(callable(f) for f in (selectrl.compare, selectrl.report, selectrl.evaluate))"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


class TestTrain:
    def test_leaves_what_the_command_leaves(self, runs: tuple[Path, Any], data: Path, tmp_path: Path) -> None:
        sets = [word for setting in WORDS for word in ("--set", setting)]
        words = ["--method", "select", "--env", "point_robot", "--data", str(data), "--threads", "1", *sets]
        assert run_command(["train", *words, "--out", str(tmp_path)]) == 0
        mine, theirs = runs[0], tmp_path
        files = [sorted(str(path.relative_to(root)) for path in root.rglob("*")) for root in (mine, theirs)]
        assert files[0] == files[1]
        kept = [name for name in files[0] if "checkpoint" not in name]  # whose header holds a time
        same = [name for name in kept if name.endswith(("config.gin", "experiment.json", ".safetensors"))]
        assert len(same) == 5  # with the traces of two meta-tests, and diagnostics
        for name in same:
            assert (mine / name).read_bytes() == (theirs / name).read_bytes(), name
        for name in (name for name in files[0] if "evaluations/" in name and name.endswith(".json")):
            assert read_json(mine / name) == read_json(theirs / name)

    def test_takes_as_many_threads_as_the_command(self, data: Path, tmp_path: Path) -> None:
        seen: list[Event] = []
        with pytest.raises(DataError):
            selectrl.train("select", "point_robot", data=tmp_path, out=tmp_path / "runs", progress=seen.append)
        from selectrl.launch.choice import choose_launcher

        assert seen[0].job.execution.threads == choose_launcher("local", (), 1, None).threads
        assert [event.kind for event in seen] == ["started", "failed"]

    def test_prints_nothing_and_resumes(
        self, runs: tuple[Path, Any], data: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        out, run = runs
        kinds: list[str] = []
        again = selectrl.train(
            run.experiment, seed=0, data=data, out=out, progress=lambda event: kinds.append(event.kind)
        )
        assert kinds == ["started", "done"]
        assert again.folder == run.folder
        assert capfd.readouterr() == ("", "")

    def test_several_seeds_are_a_list(self, runs: tuple[Path, Any], data: Path) -> None:
        out, run = runs
        (again,) = selectrl.train(run.experiment, seeds=1, data=data, out=out)
        assert again.folder == run.folder
        with pytest.raises(InputError, match="no seed given"):
            selectrl.train(run.experiment, seeds=0, data=data, out=out)

    def test_an_experiment_is_complete(self, runs: tuple[Path, Any]) -> None:
        with pytest.raises(InputError, match=r"an experiment is complete; give .* to selectrl\.compose"):
            selectrl.train(runs[1].experiment, profile="laptop")

    def test_a_bug_in_a_part_is_raised_as_it_is(
        self, runs: tuple[Path, Any], data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def bug(*_: object) -> None:
            raise ZeroDivisionError("mine")

        monkeypatch.setattr("selectrl.experiment.training.train", bug)
        with pytest.raises(ZeroDivisionError, match="mine"):
            selectrl.train(runs[1].experiment, data=data, out=tmp_path)


class TestEvaluate:
    def test_writes_and_returns_the_records(self, runs: tuple[Path, Any], data: Path) -> None:
        out, run = runs
        seen: list[tuple[int, int, bool]] = []
        records = selectrl.evaluate(
            out,
            collector="online",
            budget=20,
            data=data,
            progress=lambda tested: seen.append((tested.done, tested.total, tested.record is not None)),
        )
        ((folder, record),) = records.items()
        assert (record.label, folder) == ("online-budget20", run.folder)
        assert EvaluationRecord.read(run.folder, "online-budget20") == record
        assert seen == [(0, 1, False), (1, 1, True)]

    @pytest.mark.parametrize(
        ("given", "sentence"),
        [
            ({"collector": "onlin"}, "did you mean 'online'"),
            ({"collector": "online", "ablation": "collect_held"}, "both name a collector"),
            ({"settings": ["train.steps=3"]}, "a meta-test has"),
            ({"label": "../elsewhere"}, "expected a name"),
        ],
    )
    def test_refuses_what_is_no_meta_test(self, given: Any, sentence: str, runs: tuple[Path, Any], data: Path) -> None:
        with pytest.raises(InputError, match=sentence):
            selectrl.evaluate(runs[0], data=data, **given)

    def test_needs_a_run(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="no run given"):
            selectrl.evaluate()
        with pytest.raises(InputError, match="no run at or below"):
            selectrl.evaluate(tmp_path)


class TestCompare:
    def test_returns_runs_verdicts_report_and_failures(
        self, data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        out = tmp_path / "runs"
        comparison = selectrl.compare(
            ["select", "focal"], env="point_robot", settings=SIZES, launcher="inline", threads=1, data=data, out=out
        )
        assert [run.experiment.name for run in comparison.runs] == ["select", "focal"]
        (verdict,) = comparison.verdicts
        assert (verdict.a, verdict.b, verdict.seeds) == ("select", "focal", 1)
        returns = [run.evaluate().final_return for run in comparison.runs]
        assert verdict.difference == pytest.approx(returns[0] - returns[1])
        assert comparison.report is not None
        assert comparison.report.page == out / "report" / "index.html"
        assert comparison.report.page.is_file()
        assert comparison.failures == {}
        assert capfd.readouterr().out == ""

    def test_ablate_plans_a_grid(self, data: Path, tmp_path: Path) -> None:
        how: Any = {"settings": SIZES, "data": data, "out": tmp_path, "dry_run": True}
        planned = selectrl.ablate("select", "point_robot", ["collector=proximal,online"], **how)
        assert [row.experiment.name for row in planned.plan.rows] == ["select-proximal", "select-online"]
        assert len(planned.plan.policies) == 1
        assert planned.runs == ()

    def test_a_misspelt_setting_is_an_error(self) -> None:
        with pytest.raises(TypeError, match="sedes"):
            selectrl.compare(["select", "focal"], env="point_robot", sedes=3)  # type: ignore[call-arg]


def test_tune_leaves_a_gin_file_and_no_diagnostics(data: Path, tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    trials: set[int] = set()
    best = selectrl.tune(
        "focal", "point_robot", trials=2, settings=SIZES, data=data, out=tmp_path,
        progress=lambda trial, event: trials.add(trial),
    )  # fmt: skip
    assert trials == {0, 1}
    assert best.file.read_text() == f"# {best.summary}\n{best.text}"
    assert read_json(tmp_path / "point_robot" / "focal" / "tuned.json") == best.tuning.record()
    assert len(list(tmp_path.rglob("evaluations/*.json"))) == 2
    assert not list(tmp_path.rglob("diagnostics.json"))


class TestCollectAndReport:
    def test_a_complete_dataset_is_opened(self, tmp_path: Path) -> None:
        sizes = {"steps": 140, "warmup": 40, "period": 20, "first_label": 60, "last_label": 100, "episodes": 2}
        sizes |= {"keep_warmup": 2, "hidden": (8, 8), "batch": 8}
        sets = [f"behaviour.sac.{name}={value}" for name, value in sizes.items()]
        sets.append("envs.point_robot.tasks=8")
        steps: list[int] = []
        dataset = selectrl.collect(
            "point_robot", settings=sets, name="mine", data=tmp_path, progress=lambda at: steps.append(at.step)
        )
        assert dataset.folder == tmp_path / "point_robot" / "mine"
        assert steps[-1] == 140
        steps.clear()
        again = selectrl.collect("point_robot", settings=sets, name="mine", data=tmp_path, progress=steps.append)  # type: ignore[arg-type]
        assert again.fingerprint == dataset.fingerprint
        assert steps == []

    def test_a_name_is_no_path(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="expected a name"):
            selectrl.collect("point_robot", name="../elsewhere", data=tmp_path)

    def test_a_report_is_a_page(self, runs: tuple[Path, Any], tmp_path: Path) -> None:
        assert selectrl.report(runs[0], out=tmp_path / "report").page == tmp_path / "report" / "index.html"
        with pytest.raises(InputError, match="no run given"):
            selectrl.report()
