"""A launcher is chosen by its name, with settings as words."""

from __future__ import annotations

import pytest

from selectrl.errors import InputError
from selectrl.launch import local
from selectrl.launch.choice import choose_launcher
from selectrl.launch.local import Inline, Local
from selectrl.launch.slurm import Slurm


@pytest.fixture(autouse=True)
def four_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "count_cores", lambda: 4)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


@pytest.mark.parametrize(
    ("name", "runs", "asked", "launcher", "threads", "max_parallel"),
    [
        ("local", 6, None, Local(4), 1, 4),
        ("local", 2, None, Local(2), 2, 2),
        ("local", 6, 3, Local(3), 1, 3),
        ("local", 1, None, Inline, 4, 1),
        ("local", 6, 1, Inline, 4, 1),
        ("inline", 6, None, Inline, 4, 1),
        ("inline", 6, 3, Inline, 4, 1),
    ],
)
def test_a_local_launcher_fills_the_cores(
    name: str, runs: int, asked: int | None, launcher: object, threads: int, max_parallel: int
) -> None:
    choice = choose_launcher(name, (), runs, asked)
    assert choice[1:] == (threads, max_parallel)
    assert choice.launcher == launcher if isinstance(launcher, Local) else isinstance(choice.launcher, Inline)


def test_slurm_takes_settings_of_the_narrowest_type() -> None:
    choice = choose_launcher("slurm", ["mem=2.5", "cpus=3", "partition=long", "at_once=2"], 9, None)
    assert choice == (Slurm(mem=2.5, cpus=3, partition="long", at_once=2), 3, 2)


@pytest.mark.parametrize(("runs", "at_work"), [(3, 3), (20, 4)])
def test_a_cluster_has_no_more_runs_at_work_than_it_may(runs: int, at_work: int) -> None:
    assert choose_launcher("slurm", ["at_once=4", "cpus=2"], runs, None)[1:] == (2, at_work)


@pytest.mark.parametrize(
    ("name", "settings", "sentence"),
    [
        ("slrm", [], "no launcher named 'slrm': did you mean 'slurm'?"),
        ("local", ["mem=8"], "--launcher-set 'mem=8': launcher local has no settings"),
        ("slurm", ["mem"], "--launcher-set 'mem': expected name=value"),
        ("slurm", ["memory=8"], "did you mean 'mem'?"),
        ("slurm", ["time=0"], "--launcher-set time: expected int >= 1, got 0"),
        ("slurm", ["time=1.5"], "--launcher-set time: expected int, got 1.5"),
        ("slurm", ["partition="], "--launcher-set partition: expected a text, got ''"),
    ],
)
def test_wrong_words_are_named(name: str, settings: list[str], sentence: str) -> None:
    with pytest.raises(InputError) as refused:
        choose_launcher(name, settings, 3, None)
    assert sentence in str(refused.value)
