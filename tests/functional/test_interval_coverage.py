"""The short form of tools/interval_coverage.py: intervals cover the truth about as often as they say."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

PROGRAM = Path(__file__).parents[2] / "tools" / "interval_coverage.py"


@pytest.fixture(scope="module")
def program() -> ModuleType:
    spec = importlib.util.spec_from_file_location("interval_coverage", PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("seeds", [3, 5, 10])
@pytest.mark.parametrize("scatter", ["seeds", "tasks", "both"])
def test_about_nineteen_intervals_in_twenty_cover_the_truth(program: ModuleType, scatter: str, seeds: int) -> None:
    """Of 800, the standard error of a share near 95% is 0.8%; the bounds are three of them away."""
    shares = program.coverage(program.SCATTERS[scatter], seeds, 10, 800)
    assert 0.925 <= shares.these_tasks <= 0.975
    assert 0.91 <= shares.other_tasks <= 0.99


def test_the_interval_of_these_tasks_does_not_cover_other_tasks(program: ModuleType) -> None:
    """The two estimands differ: a scatter of tasks is outside of the first interval."""
    scatter = program.SCATTERS["tasks"]
    generator = program.np.random.default_rng(0)
    covered = 0
    for _ in range(300):
        of_tasks = scatter.tasks * generator.normal(size=10)
        table = of_tasks + scatter.interaction * generator.normal(size=(5, 10))
        low, high = program.student_interval(table.mean(axis=1))
        covered += low <= 0 <= high
    assert covered / 300 < 0.8
