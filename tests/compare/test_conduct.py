"""The comparison from rows to a result: in which order, what is refused before anything runs, and what it leaves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
from commands import write_dataset

from selectrl.api.rows import make_row
from selectrl.cli.comparing import Options
from selectrl.compare import calibrate
from selectrl.compare import conduct as conduct_module
from selectrl.compare import verdicts as verdicts_module
from selectrl.compare.comparison import Comparison, DatasetProgress, Settings, SettingsDict
from selectrl.compare.conduct import conduct
from selectrl.compare.plan import ComparisonRow
from selectrl.compare.state import CostEstimate
from selectrl.errors import FieldError, InputError
from selectrl.experiment.config import Experiment
from selectrl.files import read_json
from selectrl.launch.choice import LauncherChoice
from selectrl.launch.job import Event, Failure


@pytest.fixture(autouse=True)
def fake(launcher: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Nothing is trained, and a comparison has neither numbers nor a page."""
    monkeypatch.setattr(conduct_module, "choose_launcher", lambda *_: LauncherChoice(launcher, 1, 2))
    monkeypatch.setattr(conduct_module, "write_report", lambda plan, out: None)
    monkeypatch.setattr(verdicts_module, "make_verdicts", lambda plan, done: ())
    return launcher


def kinds(messages: list[Any]) -> list[str]:
    return [message.kind if isinstance(message, Event) else type(message).__name__ for message in messages]


def test_plans_runs_and_writes_its_fairness(rows: list[ComparisonRow], data: Path, tmp_path: Path, fake: Any) -> None:
    messages: list[Any] = []
    result = conduct(rows, Settings(data=data, out=tmp_path, seeds=2), messages.append)
    assert kinds(messages) == ["Comparison", *["started", "done"] * 4]
    assert [(job.seed, job.experiment.name) for job in result.done] == [
        (0, "select"),
        (0, "focal"),
        (1, "select"),
        (1, "focal"),
    ]
    assert messages[0].done == ()
    assert (result.failures, result.retryable) == ({}, True)
    assert (result.estimate.runs, result.estimate.done) == (4, 0)
    written = read_json(tmp_path / "point_robot" / "fairness.json")
    assert written == result.fairness["point_robot"].record().to_json()
    assert [run.seed for run in result.runs] == [0, 0, 1, 1]
    assert result.runs[0].folder == result.done[0].folder


def test_a_dry_run_is_the_plan_alone(rows: list[ComparisonRow], data: Path, tmp_path: Path, fake: Any) -> None:
    messages: list[Any] = []
    result = conduct(rows, Settings(data=data, out=tmp_path / "runs", dry_run=True), messages.append)
    assert messages == [result]
    assert (fake.jobs, result.done, result.verdicts, result.report) == ([], (), (), None)
    assert set(result.fairness) == {"point_robot"}
    assert not (tmp_path / "runs").exists()


def test_failures_are_in_the_result(rows: list[ComparisonRow], data: Path, tmp_path: Path, fake: Any) -> None:
    fake.failing = {1: ("failed", Failure("a loss is no longer finite"))}
    result = conduct(rows, Settings(data=data, out=tmp_path, seeds=2))
    assert len(result.failures) == 2
    assert set(result.failures.values()) == {"a loss is no longer finite"}
    assert (len(result.done), result.retryable) == (2, False)


class TestMissingData:
    def test_are_refused_unless_something_collects_them(
        self, rows: list[ComparisonRow], tmp_path: Path, fake: Any
    ) -> None:
        messages: list[Any] = []
        with pytest.raises(InputError, match=r"there is no dataset in .*tiny; add --preset laptop to collect it first"):
            conduct(rows, Settings(data=tmp_path / "data", out=tmp_path / "runs"), messages.append)
        assert kinds(messages) == ["Comparison"]
        assert messages[0].fairness == {}
        assert not list(tmp_path.iterdir())

    def test_are_collected_once_and_tell_their_progress(
        self, rows: list[ComparisonRow], tmp_path: Path, fake: Any
    ) -> None:
        asked: list[str] = []

        def collect(experiment: Experiment, tell: Callable[[object], None]) -> None:
            asked.append(experiment.name)
            tell("half")
            write_dataset(tmp_path / "data" / "point_robot" / "tiny")

        messages: list[Any] = []
        conduct(rows, Settings(data=tmp_path / "data", out=tmp_path / "runs"), messages.append, collect)
        assert asked == ["select"]
        assert messages[1] == DatasetProgress(tmp_path / "data" / "point_robot" / "tiny", "half")


def test_other_budgets_are_refused_before_anything_runs_unless_allowed(
    make: Callable[..., Experiment], data: Path, tmp_path: Path, fake: Any
) -> None:
    unlike = [make_row(make("select")), make_row(make("focal", "test.budget=80"))]
    settings = Settings(data=data, out=tmp_path / "runs")
    with pytest.raises(InputError, match=r"test\.budget differs \(select 40, focal 80\)"):
        conduct(unlike, settings)
    assert fake.jobs == []
    assert not (tmp_path / "runs").exists()
    assert len(conduct(unlike, attrs.evolve(settings, allow_differences=True)).done) == 2


def test_what_was_never_timed_is_timed_if_asked(
    rows: list[ComparisonRow], data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibrate, "training_times", lambda plan: {policy.folder: 9.0 for policy in plan.policies})
    messages: list[Any] = []
    conduct(rows, Settings(data=data, out=tmp_path / "runs", calibrate=True), messages.append)
    (timed,) = [message for message in messages if isinstance(message, CostEstimate)]
    assert timed.seconds == pytest.approx(9.0)  # two runs side by side
    messages.clear()
    conduct(rows, Settings(data=data, out=tmp_path / "others"), messages.append)
    assert "CostEstimate" not in kinds(messages)


class TestSettings:
    def test_the_keywords_and_the_options_of_the_command_are_its_fields(self) -> None:
        fields = {field.name for field in attrs.fields(Settings)}
        assert SettingsDict.__annotations__.keys() == fields
        options = Options()
        assert set(options.how) == fields
        assert attrs.evolve(Settings(**options.how), calibrate=False) == Settings()

    @pytest.mark.parametrize(
        "wrong", [{"seeds": 0}, {"seeds": True}, {"jobs": 0}, {"threads": "2"}, {"launcher_settings": "mem=8"}]
    )
    def test_wrong_values_are_refused(self, wrong: Any) -> None:
        with pytest.raises(FieldError, match=next(iter(wrong))):
            Settings(**wrong)

    def test_how_runs_are_carried_out(self) -> None:
        execution = Settings(data="elsewhere", device="cuda", population=3).execution
        assert (execution.data, execution.device, execution.population) == (Path("elsewhere"), "cuda", 3)


def test_a_comparison_is_frozen(rows: list[ComparisonRow], data: Path, tmp_path: Path) -> None:
    result = conduct(rows, Settings(data=data, out=tmp_path, dry_run=True))
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        result.failures = {}  # type: ignore[misc]
    assert isinstance(result, Comparison)
