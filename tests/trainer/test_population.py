"""Seeds side by side are the seeds alone: same draws, same losses, files that the one may take over from the other."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import fakes
import pytest

from selectrl.errors import RunError
from selectrl.experiment.config import Experiment
from selectrl.experiment.execution import Execution
from selectrl.experiment.run import Run
from selectrl.experiment.training import group_populations, train_population
from selectrl.runs import checkpoint

SHIPPED = sorted(path.stem for path in (Path(__file__).parents[2] / "gin" / "methods").glob("*.gin"))
SEEDS = (0, 1, 2, 3, 4)
VARIANTS = ("borel_oracle_reward", "borel_reference", "corro_reference")  # of methods that are tested anyway
SIZES = (
    *(
        "STEPS=100",
        "PRETRAIN_STEPS=10",
        "BELIEF_EPISODES=2",
        "negatives.cvae.min_kl=0.0",
        "encoders.corro.min_spread=0.0",
        "train.log_every=10",
    ),
    *("TEST_EVERY=100", "BUDGET=20", "REPEATS=1", "DATASET='tiny'", "envs.point_robot.tasks=8"),
)


def runs(folder: Path, data: Path, what: Experiment, seeds: tuple[int, ...]) -> list[Run]:
    return [Run(folder / f"seed{seed}", what, seed, Execution(data=data)) for seed in seeds]


def records(run: Run) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run.folder / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("method", SHIPPED)
def test_seeds_train_side_by_side_as_they_do_alone(method: str, data: Path, tmp_path: Path) -> None:
    what, seeds = fakes.experiment(method, *SIZES), SEEDS[:2] if method in VARIANTS else SEEDS
    together, alone = runs(tmp_path / "together", data, what, seeds), runs(tmp_path / "alone", data, what, seeds)
    assert train_population(together, lambda run, record: None)
    for ours, theirs in zip(together, alone, strict=True):
        train_population([theirs], lambda run, record: None)
        expected, got = records(theirs), records(ours)
        assert [(one["kind"], one["step"]) for one in got] == [(one["kind"], one["step"]) for one in expected]
        for one, other in zip(got, expected, strict=True):
            if one["kind"] == "train":
                assert one["values"] == pytest.approx(other["values"], rel=1e-4, abs=1e-5), (one["phase"], one["step"])
            else:
                assert one["curve"] == pytest.approx(other["curve"], rel=1e-3)


@pytest.mark.parametrize(("at", "killed_between_two_saves"), [(50, False), (50, True), (30, True)])
def test_a_population_goes_on_bit_for_bit_and_its_seeds_go_on_alone(
    at: int, killed_between_two_saves: bool, data: Path, tmp_path: Path
) -> None:
    what = fakes.experiment("select", *SIZES, "STEPS=60", "train.checkpoint_every=20")
    whole, cut = runs(tmp_path / "whole", data, what, (0, 1)), runs(tmp_path / "cut", data, what, (0, 1))
    train_population(whole, lambda run, record: None)

    class Stop(Exception):
        pass

    def stop(run: Run, record: dict[str, Any]) -> None:
        if record["step"] == at:
            raise Stop

    with pytest.raises(Stop):
        train_population(cut, stop)
    shutil.copytree(tmp_path / "cut" / "seed1", tmp_path / "alone" / "seed1")
    if killed_between_two_saves:
        max((tmp_path / "cut" / "seed1").glob("checkpoint-*")).unlink()
    assert group_populations(cut) == [cut]
    assert train_population(cut, lambda run, record: None)
    assert not train_population(cut, lambda run, record: None)  # nothing is left to do
    for ours, theirs in zip(cut, whole, strict=True):
        got, expected = (checkpoint.read_newest(run.folder) for run in (ours, theirs))
        assert got is not None
        assert expected is not None
        assert got.step == 60
        assert not fakes.changed(expected.state, got.state)
        assert [one.get("values") for one in records(ours)] == [one.get("values") for one in records(theirs)]
    late = runs(tmp_path / "cut", data, what, (0, 1, 2))
    assert group_populations(late) == [late[:2], late[2:]]  # what is finished is never begun again
    with pytest.raises(RunError, match="continue each of them alone"):
        checkpoint.read_shared([run.folder for run in late])
    (alone,) = runs(tmp_path / "alone", data, what, (1,))
    train_population([alone], lambda run, record: None)
    for one, other in zip(records(alone), records(whole[1]), strict=True):
        assert one.get("values", {}) == pytest.approx(other.get("values", {}), rel=1e-4, abs=1e-5)
