"""A command that a signal stops saves what it has, ends with 128 and the signal's number, and goes on when asked."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from stress.kill_storm import COLLECT, print_of, sets

from selectrl.cli import main
from selectrl.experiment.run import Run
from selectrl.launch.job import Job
from selectrl.launch.slurm import GroupTask
from selectrl.runs import checkpoint

Call = Callable[..., Any]
SENTENCE = "selectrl: interrupted; give the same command again to continue"


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Call]:
    """Run the console script's function in this process; returns its exit code and the last line on stderr."""

    # A command changes streams, hooks, environment and the handler of SIGINT for the rest of its process, which here is
    # the process of the tests.
    monkeypatch.setenv("PYTHONSAFEPATH", "1")
    monkeypatch.setattr("selectrl.cli.stdio.open_streams", lambda: None)
    monkeypatch.setattr("selectrl.launch.background.report_background_errors", lambda report: None)
    handler = signal.getsignal(signal.SIGINT)

    def command(*words: object) -> tuple[object, str]:
        monkeypatch.setattr(sys, "argv", ["selectrl", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            main()
        return end.value.code, (capsys.readouterr().err.splitlines() or [""])[-1]

    yield command
    signal.signal(signal.SIGINT, handler)


def wall_seconds(folder: Path) -> float:
    """Return the time that training took by the run's own record."""
    return float(json.loads((folder / "execution.json").read_text())["wall_seconds"])


@pytest.mark.parametrize(
    ("number", "step"),
    [(signal.SIGINT, 1), (signal.SIGTERM, 17), (signal.SIGUSR1, 20), (signal.SIGUSR2, 33), (signal.SIGHUP, 40)],
)
def test_training_saves_the_step_it_is_at_and_goes_on_in_the_same_bits(
    number: int, step: int, command: Call, at_step: Call, words: list[str], whole: dict[str, str], tmp_path: Path
) -> None:
    with at_step(step, lambda: signal.raise_signal(number)):
        assert command("train", *words, "--out", tmp_path) == (128 + number, SENTENCE)
    folder = tmp_path / "point_robot" / "run" / "seed0"
    assert checkpoint.read_step(folder) == step
    spent = wall_seconds(folder)
    assert spent > 0
    assert command("train", *words, "--out", tmp_path)[0] == 0
    assert wall_seconds(folder) > spent or step == 40  # where nothing is left to do
    assert print_of(tmp_path) == whole


def test_a_comparison_stops_as_a_whole(
    command: Call, at_step: Call, words: list[str], data: Path, tmp_path: Path
) -> None:
    at = words.index("--set")
    both = ["compare", "--methods", "select,csro", "--env", "point_robot", "--data", data, "--launcher", "inline"]
    both += [*words[at : words.index("--name")], "--json", "--out", tmp_path]
    with at_step(12, lambda: signal.raise_signal(signal.SIGTERM)):
        assert command(*both) == (143, SENTENCE)
    assert [checkpoint.read_step(run) for run in tmp_path.rglob("seed0")] == [12]
    assert not (tmp_path / "failures.json").exists()


def test_collecting_saves_the_step_it_is_at(command: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from selectrl.behaviour.collection import LockstepCollection

    words = ["collect", "--env", "point_robot", "--preset", "laptop", "--name", "toy", *sets(COLLECT)]
    assert command(*words, "--data", tmp_path / "whole")[0] == 0
    advance, steps = LockstepCollection.advance, []

    def struck(self: LockstepCollection) -> None:
        steps.append(self.step)
        advance(self)
        if self.step == 97:
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(LockstepCollection, "advance", struck)
    assert command(*words, "--data", tmp_path / "data") == (143, SENTENCE)
    assert steps == list(range(97))
    assert command(*words, "--data", tmp_path / "data")[0] == 0
    assert steps == list(range(200))  # none was taken twice
    assert print_of(tmp_path / "data") == print_of(tmp_path / "whole")


def test_a_meta_test_ends_at_once_and_leaves_nothing(
    command: Call, call: Call, words: list[str], data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert call("train", *words, "--out", tmp_path).code == 0
    before = print_of(tmp_path)
    monkeypatch.setattr(Run, "meta_test", lambda *_: signal.raise_signal(signal.SIGTERM))
    assert command("evaluate", tmp_path, "--budget", 20, "--data", data) == (143, SENTENCE)
    assert print_of(tmp_path) == before


@pytest.mark.own_process
def test_a_task_of_a_cluster_saves_before_it_is_queued_again(
    call: Call, at_step: Call, words: list[str], whole: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Submitit's handler of SIGUSR2 queues the task again and leaves; by then the checkpoint must be there."""
    jobs: list[Job] = []
    monkeypatch.setattr("selectrl.launch.local.Inline.run", lambda self, todo, tell: jobs.extend(todo))
    assert call("train", *words, "--out", tmp_path).code == 1  # nothing was run, so there are no figures
    run, requeued = jobs[0].folder, []

    def requeue(number: int, frame: object) -> None:
        requeued.append(checkpoint.read_step(run))
        raise SystemExit(-1)

    work = GroupTask((jobs[0],), (tmp_path / "outcome.json",))
    signal.signal(signal.SIGUSR2, requeue)
    with pytest.raises(SystemExit), at_step(23, lambda: signal.raise_signal(signal.SIGUSR2)):
        work()
    assert requeued == [23]
    assert not work.outcomes[0].exists()
    work()
    assert '"done"' in work.outcomes[0].read_text()
    work.outcomes[0].unlink()
    assert print_of(tmp_path) == whole


def test_side_by_side_every_worker_saves(spawn: Call, call: Call, small: Call, tmp_path: Path) -> None:
    """The signal reaches the command alone, as a scheduler sends it."""
    words = small({"train.steps": 100_000, "train.log_every": 5, "train.checkpoint_every": 90_000})
    process = spawn("train", *words, "--out", tmp_path, "--seeds", 2, "--jobs", 2, "--name", "run")
    runs = [tmp_path / "point_robot" / "run" / f"seed{seed}" for seed in (0, 1)]
    end = time.monotonic() + 90
    while process.poll() is None and time.monotonic() < end:
        if all((run / "metrics.jsonl").exists() for run in runs):
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143, err
    assert err.splitlines()[-1] == SENTENCE
    assert "Traceback" not in err
    assert "ended from outside" not in err
    assert all(0 < checkpoint.read_step(run) < 90_000 for run in runs)


def test_python_gets_a_keyboard_interrupt(at_step: Call, words: list[str], data: Path, tmp_path: Path) -> None:
    import selectrl

    own = [value for name, value in pairwise(words) if name == "--set"]
    experiment = selectrl.compose("select", "point_robot", settings=own)
    with at_step(3, lambda: signal.raise_signal(signal.SIGINT)), pytest.raises(KeyboardInterrupt):
        selectrl.train(experiment, data=data, out=tmp_path)
    (run,) = tmp_path.rglob("seed0")
    assert checkpoint.read_step(run) == 3
