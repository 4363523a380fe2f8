"""How many threads a run takes unless the command says so."""

from __future__ import annotations

import pytest

from selectrl.errors import FieldError, InputError
from selectrl.experiment.execution import MOST_THREADS, Execution
from selectrl.launch import local
from selectrl.launch.local import local_launcher, require_cores


@pytest.mark.parametrize(
    ("variable", "jobs", "threads"),
    [
        (None, 1, 8),
        ("1", 1, 1),
        ("4", 1, 4),
        ("4,2", 1, 4),
        ("4", 4, 2),
        ("64", 1, 8),
        ("0", 1, 1),
        ("x", 1, 8),
        ("", 1, 8),
    ],
)
def test_omp_num_threads_is_respected(
    variable: str | None, jobs: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "count_cores", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if variable is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", variable)
    assert local_launcher(jobs)[1] == threads


def test_no_run_takes_more_threads_than_a_machine_starts() -> None:
    assert Execution(threads=MOST_THREADS).threads == 1024
    with pytest.raises(FieldError, match="expected int from 1 to 1024, got 100000"):
        Execution(threads=100_000)


def test_up_to_twice_the_cores_may_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "count_cores", lambda: 8)
    for threads in (None, 1, 8, 16):
        require_cores(threads)
    with pytest.raises(InputError, match=r"--threads 17: this process may use 8 cores, .*; give --threads 8 or less"):
        require_cores(17)
