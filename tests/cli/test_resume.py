"""A run that was killed, interrupted or damaged goes on with the same command and ends in the same bits."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from safetensors.numpy import load_file

from selectrl.errors import InputError
from selectrl.experiment import training
from selectrl.experiment.execution import Execution
from selectrl.experiment.run import Run
from selectrl.files import read_json
from selectrl.runs import checkpoint

Call = Callable[..., Any]
STEPS = {"train.steps": 120, "train.checkpoint_every": 20, "train.log_every": 10, "train.test_every": 40}
LINES = 12 + 4  # losses and meta-tests of an undisturbed run


def weights(run: Path) -> dict[str, np.ndarray]:
    """Return every tensor of the newest checkpoint: parameters, targets and optimiser states."""
    return load_file(max(run.glob("checkpoint-*.safetensors")))


def metrics(run: Path) -> list[dict[str, Any]]:
    """Return the records of a run without their speed, which the clock makes."""
    lines = (run / "metrics.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k != "steps_per_second"} for line in lines]


def evaluation(run: Path, label: str = "proximal") -> dict[str, Any]:
    record = read_json(run / "evaluations" / f"{label}.json")
    return {k: v for k, v in record.items() if k != "run"}


def check_same(run: Path, whole: Path) -> None:
    """Check that a run ended as the undisturbed one did, bit for bit, and logged each step once."""
    got, expected = weights(run), weights(whole)
    assert got.keys() == expected.keys()
    assert len(got) > 50
    for name, value in expected.items():
        assert got[name].tobytes() == value.tobytes(), name
    assert metrics(run) == metrics(whole)
    assert len(metrics(run)) == LINES
    for label in ("proximal", "offline"):
        assert evaluation(run, label) == evaluation(whole, label)


@pytest.fixture(scope="module")
def words(small: Call) -> list[str]:
    return [*small(STEPS), "--name", "run"]


def bind(words: list[str], setting: str) -> list[str]:
    """Return the words with another value of a setting; a command takes each setting once."""
    path = setting.partition("=")[0]
    return [setting if str(word).startswith(f"{path}=") else word for word in words]


@pytest.fixture(scope="module")
def whole(call: Call, words: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing disturbed."""
    out = tmp_path_factory.mktemp("whole")
    done = call("train", *words, "--out", out)
    assert done.code == 0, done
    return out / "point_robot" / "run" / "seed0"


@pytest.fixture(scope="module")
def half(call: Call, words: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that stopped right after its fourth checkpoint, at step 80."""
    out = tmp_path_factory.mktemp("half")
    save, saved = checkpoint.save, []

    def save_four(*arguments: Any) -> Path:
        saved.append(save(*arguments))
        if len(saved) == 4:
            raise KeyboardInterrupt
        return saved[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint, "save", save_four)
        with pytest.raises(KeyboardInterrupt):
            call("train", *words, "--out", out)
    assert [path.name[11:20] for path in sorted((out / "point_robot/run/seed0").glob("checkpoint-*"))] == [
        "000000060",
        "000000080",
    ]
    return out


@pytest.fixture
def own_half(half: Path, tmp_path: Path) -> Path:
    """A copy of the half-finished run that a test may damage."""
    shutil.copytree(half, tmp_path / "half")
    return tmp_path / "half" / "point_robot" / "run" / "seed0"


def out_of(run: Path) -> Path:
    return run.parents[2]


def wait_for(path: Path, lines: int, process: Any, seconds: float = 60) -> None:
    """Wait until a file has so many lines, or the process has ended."""
    end = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < end:
        if path.exists() and path.read_bytes().count(b"\n") >= lines:
            return
        time.sleep(0.005)


class TestKill:
    def test_at_random_moments(self, tmp_path: Path) -> None:
        """`make storm` in its short form."""
        script = Path(__file__).parents[1] / "stress" / "kill_storm.py"
        words = [script, "--kills", "6", "--only", "select", "--folder", tmp_path / "storm"]
        done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done
        kills, faults, lost, wrong = map(int, done.stdout.splitlines()[-1].split()[2:])
        assert (kills + faults, lost, wrong) == (6, 0, 0)

    @pytest.mark.parametrize("write", range(3))
    def test_at_each_write_with_which_a_run_begins(
        self, write: int, call: Call, words: list[str], whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        replace, replaced = os.replace, []

        def killed(source: Any, target: Any, **folders: int) -> None:
            replaced.append(target)
            if len(replaced) > write:
                raise KeyboardInterrupt
            replace(source, target, **folders)

        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", killed)
            with pytest.raises(KeyboardInterrupt):
                call("train", *words, "--out", tmp_path)
        done = call("train", *words, "--out", tmp_path)
        assert done.code == 0, done
        run = tmp_path / "point_robot" / "run" / "seed0"
        assert (run / "config.gin").read_text() == (whole / "config.gin").read_text()
        check_same(run, whole)

    def test_before_the_first_checkpoint(
        self, spawn: Call, call: Call, words: list[str], whole: Path, tmp_path: Path
    ) -> None:
        run = tmp_path / "point_robot" / "run" / "seed0"
        process = spawn("train", *words, "--out", tmp_path)
        wait_for(run / "metrics.jsonl", 1, process)
        process.kill()
        process.communicate()
        assert call("train", *words, "--out", tmp_path).code == 0
        check_same(run, whole)

    @pytest.mark.slow
    def test_of_the_parent_of_two_workers(
        self, spawn: Call, call: Call, words: list[str], whole: Path, tmp_path: Path
    ) -> None:
        """The workers notice, stop, and leave runs that go on."""
        runs = [tmp_path / "point_robot" / "run" / f"seed{seed}" for seed in (0, 1)]
        process = spawn("train", *words, "--out", tmp_path, "--seeds", 2, "--jobs", 2)
        for run in runs:
            wait_for(run / "metrics.jsonl", 3, process)
        workers = psutil.Process(process.pid).children(recursive=True)
        assert len(workers) >= 2
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        _, alive = psutil.wait_procs(workers, timeout=30)
        for left in alive:
            left.kill()
        assert not alive
        assert "Traceback" not in process.communicate()[1]
        done = call("train", *words, "--out", tmp_path, "--seeds", 1)
        assert done.code == 0
        check_same(runs[0], whole)

    @pytest.mark.slow
    def test_of_one_worker_ends_its_run_alone(self, spawn: Call, words: list[str], whole: Path, tmp_path: Path) -> None:
        run = tmp_path / "point_robot" / "run" / "seed0"
        process = spawn("train", *words, "--out", tmp_path, "--seeds", 2, "--jobs", 2)
        wait_for(tmp_path / "point_robot" / "run" / "seed1" / "metrics.jsonl", 2, process)
        workers = [one for one in psutil.Process(process.pid).children() if "spawn_main" in " ".join(one.cmdline())]
        assert len(workers) == 2
        max(workers, key=lambda one: one.pid).kill()
        _, err = process.communicate(timeout=120)
        assert process.returncode == 1
        assert "seed 1 was killed by the system (signal 9), usually because memory ran out" in err
        assert "Traceback" not in err
        check_same(run, whole)


class TestInterrupt:
    @pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
    def test_ends_in_one_sentence_and_goes_on(
        self, jobs: int, spawn: Call, call: Call, words: list[str], whole: Path, tmp_path: Path
    ) -> None:
        run = tmp_path / "point_robot" / "run" / "seed0"
        process = spawn("train", *words, "--out", tmp_path, "--seeds", jobs, "--jobs", jobs)
        wait_for(run / "metrics.jsonl", 5, process)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does, to the command and its workers
        out, err = process.communicate(timeout=60)
        assert process.returncode == 130, err
        assert out == ""
        assert err.splitlines()[-1] == "selectrl: interrupted; give the same command again to continue"
        assert sum(line.startswith("selectrl: ") for line in err.splitlines()) == 1
        assert "Traceback" not in err
        assert call("train", *words, "--out", tmp_path).code == 0
        check_same(run, whole)

    def test_while_it_starts(self, spawn: Call, words: list[str], tmp_path: Path) -> None:
        process = spawn("train", *words, "--out", tmp_path)
        end = time.monotonic() + 30
        while time.monotonic() < end and not any(
            "torch" in one.path for one in psutil.Process(process.pid).memory_maps()
        ):
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 130
        assert err == "selectrl: interrupted; give the same command again to continue\n"


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 0x10
    path.write_bytes(content)


def cut(path: Path, size: int) -> None:
    path.write_bytes(path.read_bytes()[:size])


def header(path: Path) -> int:
    """Return where the tensors of a safetensors file begin."""
    return 8 + int.from_bytes(path.read_bytes()[:8], "little")


DAMAGE: dict[str, Callable[[Path], None]] = {
    "empty": lambda path: cut(path, 0),
    "cut in its header": lambda path: cut(path, 100),
    "cut in half": lambda path: cut(path, path.stat().st_size // 2),
    "cut by a byte": lambda path: cut(path, -1),
    "longer by a byte": lambda path: path.write_bytes(path.read_bytes() + b"\0"),
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "text": lambda path: path.write_text("no checkpoint"),
    "flip in its length": lambda path: flip(path, 1),
    "flip in its step": lambda path: flip(path, path.read_bytes().index(b'\\"step\\": ') + 10),
    "flip in a name": lambda path: flip(path, path.read_bytes().index(b"agent/critic") + 8),
    "flip in the first weight": lambda path: flip(path, header(path)),
    "flip in a weight": lambda path: flip(path, (header(path) + path.stat().st_size) // 2),
    "flip in the last byte": lambda path: flip(path, -1),
}


class TestDamage:
    @pytest.mark.parametrize("kind", DAMAGE)
    def test_of_the_newest_checkpoint_falls_back_to_the_one_before(
        self, kind: str, call: Call, words: list[str], whole: Path, own_half: Path
    ) -> None:
        newest = max(own_half.glob("checkpoint-*"))
        DAMAGE[kind](newest)
        done = call("train", *words, "--out", out_of(own_half))
        assert done.code == 0, done
        told = f"selectrl: warning: {newest} is damaged and ignored; "
        told += "the run uses the checkpoint before it, or starts again"
        assert [line for line in done.err.splitlines() if line.startswith("selectrl: ")] == [told]
        check_same(own_half, whole)

    def test_a_checkpoint_of_another_seed_is_refused(self, call: Call, words: list[str], own_half: Path) -> None:
        """Its tensors would fit: nothing but its record tells."""
        saved = checkpoint.read_newest(own_half)
        assert saved is not None
        assert saved.record["versions"]["torch"]
        checkpoint.save(own_half, saved._replace(record={**saved.record, "seed": 1}))
        done = call("train", *words, "--out", out_of(own_half))
        assert "is of another experiment or seed; delete it" in done.sentence(2)

    def test_of_both_checkpoints_begins_again(self, call: Call, words: list[str], whole: Path, own_half: Path) -> None:
        for path in own_half.glob("checkpoint-*"):
            cut(path, 1000)
        assert call("train", *words, "--out", out_of(own_half)).code == 0
        check_same(own_half, whole)

    def test_after_damage_of_both_each_new_checkpoint_is_kept(
        self, call: Call, words: list[str], whole: Path, own_half: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A kill soon after the run began again loses one interval, as any kill does."""
        for path in own_half.glob("checkpoint-*"):
            cut(path, 1000)
        save, saved = checkpoint.save, []

        def save_two(*arguments: Any) -> Path:
            saved.append(save(*arguments))
            if len(saved) == 2:
                raise KeyboardInterrupt
            return saved[-1]

        with monkeypatch.context() as patch:
            patch.setattr(checkpoint, "save", save_two)
            with pytest.raises(KeyboardInterrupt):
                call("train", *words, "--out", out_of(own_half))
        assert [found.step for found in checkpoint.read_sound(own_half)] == [40, 20]
        done = call("train", *words, "--out", out_of(own_half))
        assert done.code == 0, done
        assert "damaged" not in done.err
        check_same(own_half, whole)
        assert sorted(path.name for path in own_half.glob("*checkpoint*")) == [
            "checkpoint-000000100.safetensors",
            "checkpoint-000000120.safetensors",
        ]

    def test_a_leftover_of_a_write_is_swept_away(
        self, call: Call, words: list[str], whole: Path, own_half: Path
    ) -> None:
        """A kill in the middle of a write leaves a temporary file, never half a checkpoint; they must not pile up."""
        leftover = own_half / ".selectrl-0123456789abcdef.tmp"
        leftover.write_bytes(b"half")
        assert call("train", *words, "--out", out_of(own_half)).code == 0
        check_same(own_half, whole)
        assert not leftover.exists()

    def test_a_kill_in_the_very_first_write_leaves_a_folder_that_can_be_used(
        self, call: Call, words: list[str], whole: Path, tmp_path: Path
    ) -> None:
        run = tmp_path / "point_robot" / "run" / "seed0"
        run.mkdir(parents=True)
        (run / ".selectrl-0123456789abcdef.tmp").write_text("{")
        done = call("train", *words, "--out", tmp_path)
        assert done.code == 0, done
        check_same(run, whole)

    def test_a_torn_line_of_metrics_is_dropped(self, call: Call, words: list[str], whole: Path, own_half: Path) -> None:
        with (own_half / "metrics.jsonl").open("a") as handle:
            handle.write('{"kind": "train", "phase": "rl", "st')
        assert call("train", *words, "--out", out_of(own_half)).code == 0
        check_same(own_half, whole)

    def test_metrics_that_end_early_cost_an_interval(
        self, call: Call, words: list[str], whole: Path, own_half: Path
    ) -> None:
        earlier = list(checkpoint.read_sound(own_half))[1]
        with (own_half / "metrics.jsonl").open("ab") as handle:
            handle.truncate(earlier.metrics + 7)
        done = call("train", *words, "--out", out_of(own_half))
        assert done.code == 0, done
        assert "the run continues from step 60, and 20 steps are trained again" in done.err
        check_same(own_half, whole)

    @pytest.mark.parametrize("lines", [0, 3, None], ids=["empty", "short", "missing"])
    def test_metrics_that_are_gone_are_never_made_up(
        self, lines: int | None, call: Call, words: list[str], whole: Path, own_half: Path
    ) -> None:
        """The run begins again from what it has, or says that it cannot; it does not fill the file with zeros."""
        path = own_half / "metrics.jsonl"
        kept = path.read_bytes().splitlines(keepends=True)[: lines or 0]
        path.unlink() if lines is None else path.write_bytes(b"".join(kept))
        done = call("train", *words, "--out", out_of(own_half))
        assert not path.exists() or b"\0" not in path.read_bytes()
        if done.code == 0:
            check_same(own_half, whole)
        else:
            assert "metrics.jsonl" in done.sentence(2)


class TestGoingOn:
    def test_from_the_half(self, call: Call, words: list[str], whole: Path, own_half: Path) -> None:
        before = metrics(own_half)
        assert before == metrics(whole)[: len(before)]
        done = call("train", *words, "--out", out_of(own_half), "--json")
        assert json.loads(done.out)["runs"][0]["trained"] is True
        check_same(own_half, whole)

    def test_a_test_of_the_half_is_no_test_of_the_whole(
        self, call: Call, words: list[str], whole: Path, own_half: Path, data: Path
    ) -> None:
        done = call("evaluate", own_half, "--data", data, "--json")
        (early,) = json.loads(done.out)["evaluations"]
        assert (early["label"], early["train_step"]) == ("proximal", 80)
        assert call("train", *words, "--out", out_of(own_half)).code == 0
        check_same(own_half, whole)

    def test_a_trained_run_without_its_tests_is_tested(
        self, call: Call, words: list[str], whole: Path, tmp_path: Path
    ) -> None:
        run = Path(shutil.copytree(whole, tmp_path / "point_robot" / "run" / "seed0"))
        shutil.rmtree(run / "evaluations")
        done = call("train", *words, "--out", tmp_path, "--json")
        assert json.loads(done.out)["runs"][0]["trained"] is False
        check_same(run, whole)

    def test_keeps_the_threads_that_the_run_began_with(
        self, call: Call, words: list[str], whole: Path, own_half: Path
    ) -> None:
        at = words.index("--threads")
        assert call("train", *words[:at], *words[at + 2 :], "--out", out_of(own_half)).code == 0
        assert json.loads((own_half / "execution.json").read_text())["threads"] == 1
        check_same(own_half, whole)

    def test_with_another_test_does_not_mix_two_curves(self, call: Call, words: list[str], own_half: Path) -> None:
        """The training key knows nothing of the test, so the same run may be asked for with another one."""
        done = call("train", *bind(words, "test.budget=80"), "--out", out_of(own_half))
        assert done.code == 0
        curves = [one["context_steps"] for one in metrics(own_half) if one["kind"] == "test"]
        assert len({len(one) for one in curves}) == 1

    @pytest.mark.parametrize("changed", ["train.batch=17", "test.budget=80"])
    def test_a_run_that_another_command_began_just_before_the_lock_is_left_alone(
        self,
        changed: str,
        call: Call,
        words: list[str],
        own_half: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """The first look at a new folder sees nothing; then another experiment of the same name is begun in it."""
        away = own_half.rename(tmp_path / "away")
        files = {path.name: path.read_bytes() for path in away.iterdir() if path.is_file()}
        real = training.lock

        def lock_late(folder: Path) -> Any:
            away.rename(own_half)
            return real(folder)

        monkeypatch.setattr(training, "lock", lock_late)
        sentence = call("train", *bind(words, changed), "--out", out_of(own_half)).sentence(2)
        assert str(own_half) in sentence
        assert {path.name: path.read_bytes() for path in own_half.iterdir() if path.is_file()} == files

    def test_the_largest_seed_is_trained_and_read_again(self, call: Call, small: Call, tmp_path: Path) -> None:
        words = ["train", *small({"train.steps": 2}), "--seed", 2**63 - 1, "--name", "run", "--out", tmp_path, "--json"]
        assert [json.loads(call(*words).out)["runs"][0]["trained"] for _ in range(2)] == [True, False]

    @pytest.mark.parametrize("seed", [-1, 2**63, 1.0, True])
    def test_a_seed_that_no_record_can_hold_is_refused(
        self, seed: Any, own_half: Path, data: Path, tmp_path: Path
    ) -> None:
        experiment = Run.open(own_half, Execution(data=data)).experiment
        with pytest.raises(InputError, match=f"expected a seed from 0 to 9223372036854775807, got {seed}"):
            Run(tmp_path / "new", experiment, seed, Execution(data=data))
        assert not (tmp_path / "new").exists()

    def test_an_agent_of_another_experiment_than_the_record_is_refused(
        self, call: Call, own_half: Path, data: Path
    ) -> None:
        saved = checkpoint.read_newest(own_half)
        assert saved is not None
        checkpoint.save(own_half, saved._replace(record={**saved.record, "key": "another"}))
        done = call("evaluate", own_half, "--data", data)
        assert "is of another experiment or seed than its experiment.json" in done.sentence(2)

    def test_two_processes_do_not_share_a_run(
        self, spawn: Call, call: Call, words: list[str], whole: Path, tmp_path: Path
    ) -> None:
        """The second is refused while the first trains; the first ends as if nothing had been."""
        run = tmp_path / "point_robot" / "run" / "seed0"
        process = spawn("train", *words, "--out", tmp_path)
        wait_for(run / "metrics.jsonl", 2, process)
        assert process.poll() is None
        os.kill(process.pid, signal.SIGSTOP)
        try:
            sentence = call("train", *words, "--out", tmp_path).sentence(2)
        finally:
            os.kill(process.pid, signal.SIGCONT)
        process.communicate(timeout=60)
        assert str(run) in sentence
        assert process.returncode == 0
        check_same(run, whole)
