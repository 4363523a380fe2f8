"""A tiny dataset of random Point-Robot episodes, settings that train on it within seconds, and runs of the command."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import attrs
import numpy as np
import pytest

from selectrl.cli.app import run as run_command
from selectrl.data.store import Episodes, write_manifest, write_task
from selectrl.envs.configs import PointRobotConfig
from selectrl.registry import FAMILIES

TASKS, EPISODES = 8, 6
SETTINGS = {
    "envs.point_robot.tasks": TASKS,
    "data.name": "tiny",
    "train.steps": 30,
    "train.meta_batch": 4,
    "train.batch": 16,
    "train.context": 16,
    "train.test_every": 15,
    "train.log_every": 5,
    "train.checkpoint_every": 10,
    "encoders.csro.hidden": (16, 16),
    "encoders.csro.club_hidden": (16, 16),
    "critics.dual_target.hidden": (16, 16),
    "policies.deterministic.hidden": (16, 16),
    "test.budget": 40,
    "test.repeats": 2,
}


class Outcome(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str

    def sentence(self, code: int = 2) -> str:
        """Check that the command ended with this exit code and one sentence on stderr alone, and return it."""
        assert self.code == code, self
        assert self.out == "", self
        assert "Traceback" not in self.err
        assert "internal error" not in self.err
        line = self.err.removesuffix("\n")
        assert line.startswith("selectrl: "), self
        assert len(line.splitlines()) == 1, self
        return line.removeprefix("selectrl: ")


def write_dataset(
    folder: Path, *, env: str = "point_robot", tasks: int = TASKS, change: Callable[[Episodes], Episodes] | None = None
) -> Path:
    """Write a dataset of uniformly random episodes; ``change`` may alter a task's episodes before they are written."""
    config = PointRobotConfig(tasks=tasks)
    family = FAMILIES.build(config)
    rng = np.random.default_rng(0)
    entries = []
    for task in range(tasks):
        worlds = family.worlds([task] * EPISODES)
        obs, _ = worlds.reset(seed=[0] * EPISODES)
        path, actions, rewards = [obs.copy()], [], []
        for _ in range(config.horizon):
            actions.append(rng.uniform(-1, 1, (EPISODES, 2)).astype(np.float32))
            obs, reward, *_ = worlds.step(actions[-1])
            path.append(obs.copy())
            rewards.append(np.asarray(reward, np.float32))
        steps = (EPISODES, config.horizon)
        episodes = Episodes(
            np.stack(path, 1).astype(np.float32),
            np.stack(actions, 1),
            np.stack(rewards, 1),
            np.zeros(steps, np.bool_),
            np.full(EPISODES, config.horizon, np.int64),
            np.zeros(EPISODES, np.int64),
        )
        entries.append(write_task(folder, task, family.parameters[task], change(episodes) if change else episodes))
    write_manifest(
        folder,
        env=env,
        env_id=family.env_id,
        env_config=attrs.asdict(config),
        spec=family.spec,
        tasks=entries,
        behaviour={},
        split={"train": list(family.train_tasks), "test": list(family.test_tasks)},
    )
    return folder


@pytest.fixture(scope="session")
def make_dataset() -> Callable[..., Path]:
    return write_dataset


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder that every test shares and none writes to."""
    folder = tmp_path_factory.mktemp("data")
    write_dataset(folder / "point_robot" / "tiny")
    return folder


@pytest.fixture
def own_data(tmp_path: Path) -> Path:
    """A data folder that a test may damage."""
    write_dataset(tmp_path / "data" / "point_robot" / "tiny")
    return tmp_path / "data"


@pytest.fixture(scope="session")
def small(data: Path) -> Callable[..., list[str]]:
    """Arguments that make ``selectrl train`` train SELECT within seconds, with settings changed or left out (None)."""

    def arguments(changed: Mapping[str, object] | None = None, *, data: Path = data) -> list[str]:
        values = {**SETTINGS, **(changed or {})}
        sets = [word for path, value in values.items() if value is not None for word in ("--set", f"{path}={value}")]
        return ["--method", "select", "--env", "point_robot", "--data", str(data), "--threads", "1", *sets]

    return arguments


@pytest.fixture(scope="session")
def call() -> Callable[..., Outcome]:
    """Run a command in this process."""

    def call(*arguments: object) -> Outcome:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = run_command([str(one) for one in arguments])
        return Outcome(code, out.getvalue(), err.getvalue())

    return call


def restore_interrupt() -> None:
    """Let Ctrl-C end the process also where the tests run in the background of a shell, which ignores it there."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture(scope="session")
def spawn() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start the console script as a process and a process group of its own; what a failed test left is ended."""
    started: list[subprocess.Popen[str]] = []

    def spawn(*arguments: object, cwd: Path | None = None) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [str(Path(sys.executable).with_name("selectrl")), *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=cwd,
            env=os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "80"},
            start_new_session=True,
            preexec_fn=restore_interrupt,
        )
        started.append(process)
        return process

    yield spawn
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


@pytest.fixture(scope="session")
def command(spawn: Callable[..., subprocess.Popen[str]]) -> Callable[..., Outcome]:
    """Run the console script to its end, as a process of its own."""

    def command(*arguments: object, cwd: Path | None = None) -> Outcome:
        process = spawn(*arguments, cwd=cwd)
        out, err = process.communicate(timeout=300)
        return Outcome(process.returncode, out, err)

    return command


@pytest.fixture(scope="session")
def listing() -> Callable[[Path], dict[str, tuple[int, int]]]:
    """Return everything below a folder with size and time of change, but for the stamp of a dataset's verification."""

    def listing(folder: Path) -> dict[str, tuple[int, int]]:
        found = sorted(path for path in folder.rglob("*") if path.name != ".verified.json")
        kept = [path for path in found if not (path.is_dir() and any(path.iterdir()))]
        return {
            str(path.relative_to(folder)): (path.lstat().st_size, 0 if path.is_dir() else path.lstat().st_mtime_ns)
            for path in kept
        }

    return listing
