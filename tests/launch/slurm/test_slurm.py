"""A comparison through a real Slurm of one node, started here: the numbers of this machine's own launcher."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from selectrl.files import read_json
from selectrl.launch.slurm import _list_queued

HERE = Path(__file__).parent
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue")
MISSING = [name for name in PROGRAMS if shutil.which(name) is None]
REASON = f"not root, as Slurm's daemons must be, or not installed: {', '.join(MISSING) or 'nothing'} (slurm-wlm, munge)"

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or bool(MISSING), reason=REASON)

TOY = {
    "envs.point_robot.tasks": 8,
    "data.name": "tiny",
    "train.steps": 400,
    "train.meta_batch": 4,
    "train.batch": 16,
    "train.context": 16,
    "train.test_every": 200,
    "train.log_every": 20,
    "train.checkpoint_every": 20,
    "HIDDEN": (16, 16),
    "ENCODER_HIDDEN": (16, 16),
    "test.budget": 40,
    "test.repeats": 2,
}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a running cluster."""
    pytest.importorskip("submitit")
    folder = tmp_path_factory.mktemp("cluster")
    started = subprocess.run([HERE / "start.sh", folder, "2"], capture_output=True, text=True, check=False, timeout=120)
    try:
        assert started.returncode == 0, started.stderr
        yield os.environ | {"SLURM_CONF": str(folder / "slurm.conf"), "OMP_NUM_THREADS": "1"}
    finally:
        subprocess.run([HERE / "stop.sh", folder], check=False, timeout=60)


def words(data: Path, out: Path, *more: str) -> list[str]:
    sets = [word for path, value in TOY.items() for word in ("--set", f"{path}={value}")]
    return ["compare", "--methods", "select,focal", "--env", "point_robot", "--data", str(data), "--out", str(out),
            "--json", *more, *sets]  # fmt: skip


def numbers(out: Path) -> dict[str, Any]:
    found = {}
    for path in sorted(out.rglob("evaluations/*.json")):
        found[str(path.relative_to(out))] = read_json(path)
    return found


def wait_for(found: Any, process: subprocess.Popen[str], seconds: float = 120) -> Any:
    end = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < end:
        if value := found():
            return value
        time.sleep(0.02)
    return None


def test_a_pre_empted_comparison_ends_in_the_numbers_of_this_machine(
    cluster: dict[str, str], data: Path, tmp_path: Path, call: Any, spawn: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_CONF", cluster["SLURM_CONF"])
    out, logs = tmp_path / "there", tmp_path / "logs"
    slurm = ["--launcher", "slurm", "--launcher-set", "mem=1", "--launcher-set", f"logs={logs}"]
    process = spawn(*words(data, out, *slurm))
    assert wait_for(lambda: list(out.rglob("checkpoint-*")), process), process.communicate()
    array = subprocess.run(["squeue", "-h", "-o", "%F"], capture_output=True, text=True, check=True).stdout.split()[0]
    subprocess.run(["scancel", "--signal=USR2", f"{array}_0"], check=True)
    said, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    told = "".join(path.read_text() for path in logs.rglob("*_log.out"))
    assert "Requeued job" in told

    here = call(*words(data, tmp_path / "here", "--launcher", "inline", "--threads", "1"))
    assert here.code == 0, here
    assert numbers(out) == numbers(tmp_path / "here")
    assert json.loads(said)["verdicts"] == json.loads(here.out)["verdicts"]


def test_what_the_cluster_cannot_give_is_one_sentence(
    cluster: dict[str, str], data: Path, tmp_path: Path, call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_CONF", cluster["SLURM_CONF"])
    slurm = ["--launcher", "slurm", "--launcher-set", "mem=64", "--launcher-set", f"logs={tmp_path / 'logs'}"]
    said = call(*words(data, tmp_path / "runs", *slurm))
    assert (said.code, said.out, len(said.err.splitlines())) == (2, "", 1), said
    assert "Memory specification can not be satisfied" in said.err


@pytest.mark.parametrize(("array", "ids"), [((), ["{}"]), (("--array=0-1",), ["{}_0", "{}_1"])])
def test_the_queue_knows_a_task_alone_and_those_of_an_array(
    array: tuple[str, ...], ids: list[str], cluster: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As submitit names them; a run that the queue does not know of is given up as lost."""
    monkeypatch.setenv("SLURM_CONF", cluster["SLURM_CONF"])
    asked = ["sbatch", "--parsable", "--hold", "--chdir", str(tmp_path), *array, "--wrap", "true"]
    job = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    names = [one.format(job) for one in ids]
    tasks: Any = [SimpleNamespace(id=name) for name in names]
    try:
        assert _list_queued(tasks) == set(names)
    finally:
        subprocess.run(["scancel", job], check=True)
    assert not _list_queued(tasks)


@pytest.mark.slow
def test_a_task_that_is_taken_away_is_told_of_and_goes_on(
    cluster: dict[str, str], data: Path, tmp_path: Path, spawn: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_CONF", cluster["SLURM_CONF"])
    slurm = ["--launcher", "slurm", "--launcher-set", "mem=1", "--launcher-set", f"logs={tmp_path / 'logs'}"]
    process = spawn(*words(data, tmp_path / "runs", *slurm))
    assert wait_for(lambda: list(tmp_path.rglob("checkpoint-*")), process), process.communicate()
    mine, logs = ("submitit.core._submit", str(tmp_path / "logs"))
    lines = {one: " ".join(one.info["cmdline"] or ()) for one in psutil.process_iter(["cmdline"])}
    workers = [one for one, text in lines.items() if text.startswith(sys.executable) and mine in text and logs in text]
    min(workers, key=lambda one: one.pid).kill()  # as the system does where memory runs out
    _, err = process.communicate(timeout=240)
    assert process.returncode == 1
    assert "ended without a message, usually because memory ran out" in err
    assert "Traceback" not in err
    again = spawn(*words(data, tmp_path / "runs", *slurm))
    out, err = again.communicate(timeout=240)
    assert again.returncode == 0, err
    assert json.loads(out)["estimate"]["done"] == 1
