"""Runs in this process and in workers: order, failures that cross a process, and scripts that workers import again."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import fakes
import pytest

from selectrl.experiment.execution import Execution
from selectrl.launch import local
from selectrl.launch.job import Event, Failure, Job
from selectrl.launch.local import REIMPORT, Inline, Local, describe_end, drop_error

EXPERIMENT = fakes.experiment("select")


def jobs(folder: Path, count: int = 2) -> list[Job]:
    """Runs that end at once, because there are no data."""
    execution = Execution(data=folder / "none")
    return [
        Job(folder=folder / f"seed{seed}", experiment=EXPERIMENT, seed=seed, execution=execution)
        for seed in range(count)
    ]


def test_inline_runs_one_group_after_another(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seeds: list[list[int]] = []
    monkeypatch.setattr(local, "run_group", lambda group, tell: seeds.append([job.seed for job in group]))
    Inline().run(jobs(tmp_path, 3), lambda event: None)
    assert seeds == [[0], [1], [2]]


def test_workers_tell_their_failures_and_leave_nothing(tmp_path: Path) -> None:
    events: list[Event] = []
    Local(2).run(jobs(tmp_path), events.append)
    assert sorted((event.job.seed, event.kind) for event in events) == [
        (0, "failed"),
        (0, "started"),
        (1, "failed"),
        (1, "started"),
    ]
    failures = [event.value for event in events if event.kind == "failed"]
    assert {failure.code for failure in failures} == {2}
    assert all("no dataset" in failure.sentence and failure.error is None for failure in failures)
    assert not list(tmp_path.iterdir())


def test_an_error_that_cannot_be_sent_stays_in_its_process(tmp_path: Path) -> None:
    class Local(Exception):  # not importable, so not picklable
        pass

    (job,) = jobs(tmp_path, 1)
    sent = pickle.loads(pickle.dumps(drop_error(Event(job, "failed", Failure("why", 1, Local())))))
    assert sent.value == Failure("why", 1)
    record = Event(job, "record", {"step": 1})
    assert drop_error(record) is record


def test_a_lost_run_says_how_it_ended(tmp_path: Path) -> None:
    (job,) = jobs(tmp_path, 1)
    assert "was killed by the system (signal 9), usually because memory ran out" in describe_end(job, -signal.SIGKILL)
    assert "was ended from outside (exit code 3)" in describe_end(job, 3)


class Ended(Exception):
    """Stands for the end of the process."""


def test_a_worker_that_imports_the_script_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def end(code: int) -> None:
        raise Ended(code)

    monkeypatch.setattr(multiprocessing.process.current_process(), "_inheriting", True, raising=False)
    monkeypatch.setattr(os, "_exit", end)
    with pytest.raises(Ended, match=str(REIMPORT)):
        Local(2).run(jobs(tmp_path), lambda event: None)
    (job,) = jobs(tmp_path, 1)
    assert 'put its work below if __name__ == "__main__":' in describe_end(job, REIMPORT)


def test_a_comparison_in_a_script_without_a_guard_has_the_reason(tmp_path: Path, data: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import selectrl\n"
        "settings = ['STEPS=5', 'test.budget=40', 'test.repeats=1', 'envs.point_robot.tasks=8', 'data.name=\"tiny\"']\n"
        f"result = selectrl.compare(['select', 'focal'], env='point_robot', jobs=2, threads=1, data={str(data)!r},\n"
        "    settings=settings)\n"
        "print(*result.failures.values())\n"
    )
    done = subprocess.run([sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.count('put its work below if __name__ == "__main__":') == 2
    assert "Traceback" not in done.stderr


def test_a_script_without_a_guard_is_refused_with_the_reason(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import selectrl\n"
        "experiment = selectrl.compose('select', 'point_robot', profile='laptop')\n"
        "selectrl.train(experiment, seeds=2, jobs=2, threads=1)\n"
    )
    done = subprocess.run([sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert 'put its work below if __name__ == "__main__":' in done.stderr
    assert not (tmp_path / "runs").exists()
