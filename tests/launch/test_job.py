"""A job's meta-tests, how jobs are group_jobs, and the work of a group: what it tells, and which failure stops what."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import attrs
import fakes
import pytest
from finished_runs import FINGERPRINT, evaluated, write_execution

import selectrl.experiment.run
import selectrl.experiment.training
from selectrl.collectors.configs import NonPriorConfig, OfflineConfig
from selectrl.errors import CompositionError, InputError, RunError
from selectrl.experiment.config import to_record
from selectrl.experiment.execution import Execution
from selectrl.launch.job import Failure, Job, choose_threads, finish, group_jobs, run_group
from selectrl.runs.identity import identity_of

EXPERIMENT = fakes.experiment("select")


def job(seed: int = 0, *, folder: Path = Path("runs"), **changes: Any) -> Job:
    return Job(
        **{"folder": folder / f"seed{seed}", "experiment": EXPERIMENT, "seed": seed, "execution": Execution()} | changes
    )


class TestWanted:
    def test_is_the_own_test_then_offline_then_others_each_once(self) -> None:
        own, test = EXPERIMENT.collector, EXPERIMENT.test
        assert job().meta_tests == ((own, test), (OfflineConfig(), test))
        other = (NonPriorConfig(), test)
        assert job(tests=(other, (OfflineConfig(), test), (own, test))).meta_tests == (*job().meta_tests, other)

    def test_is_the_own_test_alone_without_diagnostics(self) -> None:
        assert job(diagnostics=False).meta_tests == ((EXPERIMENT.collector, EXPERIMENT.test),)


class TestGroups:
    def test_on_the_cpu_each_job_is_alone(self) -> None:
        jobs = [job(seed) for seed in (2, 0, 1)]
        assert group_jobs(jobs) == [(one,) for one in jobs]

    def test_on_cuda_seeds_of_one_experiment_are_a_population_in_the_order_of_their_first(self) -> None:
        cuda = Execution(device="cuda", population=2)
        other = attrs.evolve(EXPERIMENT, name="other")
        jobs = [
            job(0, execution=cuda),
            job(0, execution=cuda, experiment=other),
            *(job(s, execution=cuda) for s in (1, 2)),
        ]
        seeds = [[(member.experiment.name, member.seed) for member in group] for group in group_jobs(jobs)]
        assert seeds == [[("select", 0), ("select", 1)], [("other", 0)], [("select", 2)]]


class TestThreads:
    @pytest.mark.parametrize(("recorded", "asked", "threads"), [(None, None, 3), (5, None, 5), (5, 2, 2), (None, 2, 2)])
    def test_are_those_asked_for_or_begun_with_or_others(
        self, recorded: int | None, asked: int | None, threads: int, tmp_path: Path
    ) -> None:
        if recorded is not None:
            write_execution(tmp_path, threads=recorded)
        assert choose_threads(tmp_path, asked, 3) == threads

    def test_of_a_damaged_record_are_others(self, tmp_path: Path) -> None:
        (tmp_path / "execution.json").write_text('{"threads": 5}')
        assert choose_threads(tmp_path, None, 3) == 3


class TestFailure:
    def test_of_another_process_has_the_class_of_its_exit_code(self) -> None:
        assert type(Failure("wrong", 2).as_error()) is InputError
        assert type(Failure("failed", 1).as_error()) is RunError
        assert str(Failure("failed", 1).as_error()) == "failed"

    def test_of_this_process_is_its_error_explained_where_that_is_possible(self) -> None:
        composition, bug = CompositionError("no"), TypeError("a bug")
        assert Failure.of(composition).as_error() is composition
        assert Failure.of(bug).as_error() is bug
        memory = Failure.of(MemoryError("Unable to allocate 6 GiB"))
        assert type(memory.as_error()) is RunError
        assert (memory.sentence, memory.code) == (str(memory.as_error()), 1)


class FakeRun:
    """A run that notes what is done with it; its evaluations return the position of their label."""

    def __init__(self, folder: Path, experiment: Any, seed: int, execution: Any) -> None:
        self.folder, self.experiment, self.seed, self.execution = folder, experiment, seed, execution
        self.collector_name, self.wall_seconds, self.is_diagnosed = "proximal", 7.0, False
        self.labels: list[str] = []
        self.diagnoses = 0

    def open(self, folder: Path, execution: Any) -> FakeRun:
        return self

    def identity(self, collector: Any, test: Any) -> dict[str, Any]:
        return identity_of(self.experiment.key, to_record(collector), to_record(test), None, {})

    def evaluate(self, label: str, collector: Any, test: Any) -> SimpleNamespace:
        if self.seed == 13:
            raise RunError("a meta-test failed")
        self.labels.append(label)
        return SimpleNamespace(final_return=float(len(self.labels)), context_free=-1.0)

    def diagnose(self) -> None:
        self.diagnoses += 1


class TestFinished:
    def test_tests_and_diagnoses_once(self, tmp_path: Path) -> None:
        run: Any = FakeRun(tmp_path, EXPERIMENT, 0, Execution())
        figures = finish(job(folder=tmp_path), run, True)
        assert (run.labels, run.diagnoses) == (["proximal", "offline"], 1)
        assert (figures["return"], figures["offline"], figures["context_free"]) == (1.0, 2.0, -1.0)
        assert (figures["seed"], figures["trained"], figures["wall_seconds"]) == (0, True, 7.0)
        run.is_diagnosed = True
        finish(job(folder=tmp_path), run, False)
        assert run.diagnoses == 1

    def test_takes_up_the_very_meta_test_that_was_written(self, tmp_path: Path) -> None:
        run: Any = FakeRun(tmp_path, EXPERIMENT, 0, Execution())
        own, test = job(folder=tmp_path), EXPERIMENT.test
        evaluated(own, OfflineConfig(), test, -3.0, FINGERPRINT).write(tmp_path)
        another = evaluated(own, EXPERIMENT.collector, attrs.evolve(test, budget=20), -4.0, FINGERPRINT)
        attrs.evolve(another, label="proximal").write(tmp_path)
        assert finish(own, run, False)["offline"] == -3.0
        assert run.labels == ["proximal"]
        evaluated(own, OfflineConfig(), test, -3.0, FINGERPRINT, EXPERIMENT.train.steps - 1).write(tmp_path)
        assert finish(own, run, False)["offline"] != -3.0

    def test_of_a_trial_has_no_offline_test_and_no_diagnostics(self, tmp_path: Path) -> None:
        run: Any = FakeRun(tmp_path, EXPERIMENT, 0, Execution())
        assert finish(job(folder=tmp_path, diagnostics=False), run, True)["offline"] is None
        assert (run.labels, run.diagnoses) == (["proximal"], 0)


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[tuple[int, str]]]:
    """Carry a group of seeds out with fake runs, and return the events as (seed, kind)."""

    def events(*seeds: int, train: Callable[..., Any]) -> list[tuple[int, str]]:
        heard: list[tuple[int, str]] = []
        monkeypatch.setattr(selectrl.experiment.run, "Run", FakeRun)
        monkeypatch.setattr(selectrl.experiment.training, "train", train)
        run_group([job(seed) for seed in seeds], lambda event: heard.append((event.job.seed, event.kind)))
        return heard

    return events


class TestRunGroup:
    def test_tells_what_happens_to_each(self, events: Callable[..., Any]) -> None:
        def train(runs: Any, progress: Any) -> list[bool]:
            progress(runs[1], {"kind": "train"})
            return [True, True]

        assert events(3, 4, train=train) == [(3, "started"), (4, "started"), (4, "record"), (3, "done"), (4, "done")]

    def test_a_failed_training_fails_all(self, events: Callable[..., Any]) -> None:
        def train(runs: Any, progress: Any) -> list[bool]:
            raise RunError("a loss is no longer finite")

        assert events(3, 4, train=train)[2:] == [(3, "failed"), (4, "failed")]

    def test_a_failed_meta_test_fails_its_own_run_alone(self, events: Callable[..., Any]) -> None:
        heard = events(13, 4, train=lambda runs, progress: [True, True])
        assert heard[2:] == [(13, "failed"), (4, "done")]
