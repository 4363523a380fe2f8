"""Worker processes: what they import, what they print, how they end; and arrays of a cluster that has limits."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from selectrl.errors import InputError
from selectrl.experiment.execution import Execution
from selectrl.launch import slurm as slurm_module
from selectrl.launch.job import Job
from selectrl.launch.slurm import Slurm

Call = Callable[..., Any]
HOSTILE = "import os\nwith open({mark!r}, 'a') as handle:\n    handle.write(__name__ + ' ')\n"
THIRD = ("attr", "attrs", "cloudpickle", "gin", "gymnasium", "matplotlib", "mujoco", "numpy", "optuna", "PIL", "rich")
THIRD += ("safetensors", "scipy", "selectrl", "submitit", "sympy", "tensorboard", "torch", "triton", "yaml")
LATER = ("matplotlib", "mujoco", "multiprocessing", "numpy", "pickle", "safetensors", "scipy", "subprocess", "torch")
"""Modules that ``python -m selectrl`` imports after it has dropped the working folder."""


def hostile(folder: Path, names: Any) -> Path:
    """Fill a folder with modules that leave a mark when they are imported, and return where the mark is."""
    mark = folder.with_name("imported.txt")
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / f"{name}.py").write_text(HOSTILE.format(mark=str(mark)))
    return mark


def imported(mark: Path) -> str:
    return mark.read_text() if mark.exists() else ""


@pytest.fixture
def row(small: Call) -> Call:
    """Words of a comparison that takes seconds."""

    def row(*more: object, changed: dict[str, object] | None = None) -> list[str]:
        sizes = {"encoders.csro.hidden": None, "encoders.csro.club_hidden": None, "critics.dual_target.hidden": None}
        sizes |= {"policies.deterministic.hidden": None, "HIDDEN": (16, 16), "ENCODER_HIDDEN": (16, 16)}
        words = small({"train.steps": 4, "train.test_every": 4, **sizes, **(changed or {})})[2:]
        return ["compare", "--methods", "select,focal", "--jobs", "2", *words, *map(str, more)]

    return row


@pytest.fixture
def seeds(small: Call) -> Call:
    """Words of a training of two seeds side by side."""

    def seeds(*more: object) -> list[str]:
        sizes = {"train.steps": 2, "train.test_every": 2}
        sizes |= {"encoders.csro.hidden": None, "encoders.csro.club_hidden": None}  # parts may be others
        return ["train", *small(sizes), "--seeds", "2", "--jobs", "2", *map(str, more)]

    return seeds


class TestTheWorkingFolder:
    """Modules in it are not imported by any process of a command, whatever their names."""

    def test_is_not_imported_from_by_workers_nor_the_report(self, command: Call, row: Call, tmp_path: Path) -> None:
        folder = tmp_path / "work"
        mark = hostile(folder, {*sys.stdlib_module_names, *THIRD} - {"__future__"})
        done = command(*row("--out", tmp_path / "runs"), cwd=folder)
        assert (done.code, imported(mark)) == (0, ""), done

    def test_is_not_imported_from_by_the_compiler_of_losses(self, command: Call, small: Call, tmp_path: Path) -> None:
        folder = tmp_path / "work"
        mark = hostile(folder, {*sys.stdlib_module_names, *THIRD} - {"__future__"})
        words = ["train", *small({"train.steps": 2, "train.test_every": 2}), "--engine", "compiled"]
        done = command(*words, "--out", tmp_path / "runs", cwd=folder)
        assert (done.code, imported(mark)) == (0, ""), done

    def test_is_not_imported_from_by_python_m(self, seeds: Call, tmp_path: Path) -> None:
        folder = tmp_path / "work"
        mark = hostile(folder, LATER)
        words = [sys.executable, "-m", "selectrl", *seeds("--out", tmp_path / "runs")]
        done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
        assert (done.returncode, imported(mark)) == (0, ""), done.stderr

    def test_is_the_path_where_it_is_the_source_tree(self, seeds: Call, tmp_path: Path) -> None:
        """Whatever is installed beside it, for this process and its workers alike."""
        folder, root = tmp_path / "tree", Path(slurm_module.__file__).parents[2]
        for name in ("selectrl", "gin"):
            shutil.copytree(root / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        with (folder / "selectrl" / "launch" / "job.py").open("a") as handle:
            handle.write("\nimport os\nprint(f'{os.getpid()} imports from the tree')\n")
        words = [sys.executable, "-m", "selectrl", *seeds("--out", tmp_path / "runs")]
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert (done.stdout + done.stderr).count("imports from the tree") == 3

    def test_is_imported_from_where_the_user_asks_for_it(self, seeds: Call, tmp_path: Path) -> None:
        """A plugin on PYTHONPATH serves the workers, too, and what it prints does not spoil the JSON."""
        folder = tmp_path / "work"
        about = folder / "noisy-1.0.dist-info"
        about.mkdir(parents=True)
        (about / "METADATA").write_text("Metadata-Version: 2.1\nName: noisy\nVersion: 1.0\n")
        (about / "entry_points.txt").write_text("[selectrl.components]\nnoisy = noisy\n")
        (folder / "noisy.py").write_text(
            "import os\nimport attrs\nfrom selectrl.encoders.sets.configs import FocalConfig\n"
            "from selectrl.encoders.sets.focal import FocalEncoder\n"
            "from selectrl.registry import ENCODERS\nprint('noise')\nos.system('echo more noise')\n"
            "@attrs.frozen(kw_only=True)\nclass NoisyConfig(FocalConfig):\n    pass\n"
            "ENCODERS.add('noisy', NoisyConfig, FocalEncoder, paper='none', summary='prints')\n"
        )
        path = os.pathsep.join([".", *filter(None, [os.environ.get("PYTHONPATH")])])
        words = seeds("--json", "--out", tmp_path / "runs", "--set", "experiment.encoder=@encoders.noisy()")
        done = subprocess.run(
            [str(Path(sys.executable).with_name("selectrl")), *words],
            **{"cwd": folder, "env": os.environ | {"PYTHONPATH": path}, "capture_output": True, "text": True},
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert len(json.loads(done.stdout)["runs"]) == 2
        assert done.stderr.count("more noise") == 3  # this process and two workers


class TestTheEndOfTheParent:
    """Nothing of a command that was killed stays at work, and the same command goes on at once."""

    def test_is_the_end_of_its_workers(self, spawn: Call, command: Call, row: Call, tmp_path: Path) -> None:
        steps = 200  # without a record: at one a worker would see that nobody hears it
        long = {"train.steps": steps, "train.test_every": steps, "train.log_every": steps, "train.checkpoint_every": 50}
        words = row("--out", tmp_path / "runs", changed=long)
        process = spawn(*words)
        end = time.monotonic() + 120
        while len(list(tmp_path.rglob("experiment.json"))) < 2:  # both are at work and hold their folders
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < end, "no runs"
            time.sleep(0.02)
        workers = psutil.Process(process.pid).children(recursive=True)
        assert len(workers) >= 2
        process.kill()
        process.wait()
        _, alive = psutil.wait_procs(workers, timeout=3)
        assert not alive, [one.cmdline() for one in alive]
        process.communicate()
        again = command(*words)
        assert again.code == 0, again
        assert "another process" not in again.err

    @pytest.mark.parametrize("way", ["thread", pytest.param("kernel", marks=pytest.mark.skipif(
        sys.platform != "linux", reason="Linux alone has prctl"))])  # fmt: skip
    def test_ends_a_worker_each_way(self, way: str, tmp_path: Path) -> None:
        """The thread works on every system; the kernel also where the thread gets no turn."""
        script = tmp_path / "parent.py"
        script.write_text(
            "import multiprocessing, os, sys, threading, time\n"
            "def work(way, pid):\n"
            "    from selectrl.launch import local\n"
            "    if way == 'thread': sys.platform = 'other'\n"
            "    else: threading.Thread.start = lambda self: None\n"
            "    local._end_with_parent()\n"
            "    pid.send(os.getpid())\n"
            "    time.sleep(120)\n"
            "if __name__ == '__main__':\n"
            "    context = multiprocessing.get_context('spawn')\n"
            "    here, there = context.Pipe()\n"
            "    process = context.Process(target=work, args=(sys.argv[1], there))\n"
            "    process.start()\n"
            "    there.close()\n"
            "    print(here.recv(), flush=True)\n"
            "    process.join()\n"
        )
        parent = subprocess.Popen([sys.executable, str(script), way], stdout=subprocess.PIPE, text=True)
        assert parent.stdout is not None
        worker = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
        parent.wait()
        parent.stdout.close()
        _, alive = psutil.wait_procs([worker], timeout=10)
        assert not alive


SBATCH = """#!/bin/sh
count=$(ls {folder}/scripts | wc -l)
if [ "$count" -ge {accepted} ]; then echo "sbatch: error: QOSMaxSubmitJobPerUserLimit" >&2; exit 1; fi
cp "$1" {folder}/scripts/$count
echo "Submitted batch job $((100 + count))"
"""
SCONTROL = "#!/bin/sh\necho 'Configuration data as of today'\necho 'MaxArraySize            = {limit}'\n"


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Stand-ins for Slurm's programs, which keep the scripts that they get."""
    pytest.importorskip("submitit")

    def cluster(limit: int | None, accepted: int = 1000) -> Path:
        folder = tmp_path / "cluster"
        (folder / "scripts").mkdir(parents=True)
        programs = {"sbatch": SBATCH.format(folder=folder, accepted=accepted), "srun": "#!/bin/sh\n"}
        programs["scancel"] = f'#!/bin/sh\necho "$@" >> {folder}/cancelled\n'
        if limit is not None:
            programs["scontrol"] = SCONTROL.format(limit=limit)
        for name, text in programs.items():
            (folder / name).write_text(text)
            (folder / name).chmod(stat.S_IRWXU)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
        return folder

    return cluster


@pytest.fixture
def jobs(tmp_path: Path) -> Call:
    """Runs that are only submitted."""
    from selectrl.gin_edge import build_experiment, experiment_layers

    experiment = build_experiment(experiment_layers(method="select", env="point_robot"), "select")

    def jobs(count: int) -> list[Job]:
        execution = Execution(data=tmp_path)
        return [
            Job(folder=tmp_path / f"seed{seed}", experiment=experiment, seed=seed, execution=execution)
            for seed in range(count)
        ]

    return jobs


def scripts(folder: Path) -> list[dict[str, str]]:
    """Return the options of each submitted script, and its command."""
    found = []
    for path in sorted((folder / "scripts").iterdir(), key=lambda path: int(path.name)):
        lines = path.read_text().splitlines()
        options = dict(line.removeprefix("#SBATCH --").partition("=")[::2] for line in lines if line[:7] == "#SBATCH")
        found.append(options | {"command": next(line for line in lines if line.startswith("srun"))})
    return found


class TestArrays:
    """An array is never larger than the cluster's MaxArraySize, and tasks at work never more than at_once."""

    @pytest.mark.parametrize(
        ("limit", "at_once", "runs", "sizes", "waits"),
        [
            (3, 2, 8, ["0-2%2", "0-2%2", "0-1%2"], [None, "afterany:100", "afterany:101"]),
            (3, 6, 10, ["0-2%3", "0-2%3", "0-2%3", None], [None, None, "afterany:100", "afterany:101"]),
            (3, 2, 3, ["0-2%2"], [None]),
            (0, 2, 3, [None, None, None], [None, None, "afterany:100"]),
            (1001, 64, 4, ["0-3%4"], [None]),
        ],
    )
    def test_are_as_large_as_the_cluster_allows(
        self, limit: int, at_once: int, runs: int, sizes: list[Any], waits: list[Any], cluster: Call, jobs: Call,
        tmp_path: Path,
    ) -> None:  # fmt: skip
        folder = cluster(limit)
        tasks = Slurm(at_once=at_once, logs=str(tmp_path / "logs"))._submit(jobs(runs))
        found = scripts(folder)
        assert [one.get("array") for one in found] == sizes
        assert [one.get("dependency") for one in found] == waits
        assert len({task.id for task in tasks}) == len({task.outcome for task in tasks}) == runs
        assert [task.job.seed for task in tasks] == list(range(runs))
        assert not (folder / "cancelled").exists()

    def test_have_slurms_own_limit_where_it_does_not_say(self, cluster: Call, monkeypatch: pytest.MonkeyPatch) -> None:
        folder = cluster(None)
        monkeypatch.setenv("PATH", str(folder))
        assert slurm_module._max_array_size() == 1001

    def test_that_were_submitted_before_a_refusal_are_taken_back(
        self, cluster: Call, jobs: Call, tmp_path: Path
    ) -> None:
        folder = cluster(2, accepted=2)
        with pytest.raises(InputError, match=r"Slurm refused the tasks: .*QOSMaxSubmitJobPerUserLimit"):
            Slurm(logs=str(tmp_path / "logs"))._submit(jobs(6))
        assert (folder / "cancelled").read_text() == "100 101\n"

    def test_import_nothing_from_the_folder_of_the_command(self, cluster: Call, jobs: Call, tmp_path: Path) -> None:
        folder = cluster(10)
        Slurm(logs=str(tmp_path / "logs"))._submit(jobs(2))
        (script,) = scripts(folder)
        assert f"{sys.executable} -P -u -m submitit.core._submit" in script["command"]

    def test_that_an_interruption_finds_are_cancelled_whole(
        self, cluster: Call, jobs: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = cluster(2)

        def stop(tasks: Any, tell: Any) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(slurm_module, "_follow", stop)
        with pytest.raises(KeyboardInterrupt):
            Slurm(logs=str(tmp_path / "logs")).run(jobs(3), lambda event: None)
        assert (folder / "cancelled").read_text() == "100 101\n"
