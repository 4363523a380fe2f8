"""Seeds side by side are the seeds alone: same draws, same losses, files that the one may take over from the other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from selectrl.cli.comparing import settings_of
from selectrl.experiment.config import Experiment
from selectrl.experiment.execution import Execution
from selectrl.experiment.run import Run
from selectrl.experiment.training import side_by_side
from selectrl.gin_edge import build_experiment, experiment_layers

SHIPPED = sorted(path.stem for path in (Path(__file__).parents[2] / "gin" / "methods").glob("*.gin"))
SEEDS = (0, 1, 2, 3, 4)
SIZES = (
    *("LATENT_DIM=3", "ENCODER_HIDDEN=(9, 8)", "HIDDEN=(9, 8)", "META_BATCH=4", "BATCH=6", "CONTEXT=5"),
    *("PRETRAIN_STEPS=10", "BELIEF_EPISODES=2", "DATASET='tiny'", "BUDGET=20", "REPEATS=1", "envs.point_robot.tasks=8"),
    "negatives.cvae.min_kl=0.0",
)


def experiment(method: str, steps: int, **train: int) -> Experiment:
    settings = [*SIZES, f"STEPS={steps}", *(f"train.{name}={value}" for name, value in train.items())]
    return build_experiment([*experiment_layers(method=method, env="point_robot"), *settings_of(settings)], method)


def runs(folder: Path, data: Path, what: Experiment, seeds: tuple[int, ...] = SEEDS) -> list[Run]:
    return [Run(folder / f"seed{seed}", what, seed, Execution(data=data)) for seed in seeds]


def records(run: Run) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run.folder / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("method", SHIPPED)
def test_five_seeds_train_side_by_side_as_they_do_alone(method: str, data: Path, tmp_path: Path) -> None:
    what = experiment(method, 100, log_every=10, test_every=100)
    together, alone = runs(tmp_path / "together", data, what), runs(tmp_path / "alone", data, what)
    assert side_by_side(together, lambda run, record: None)
    for ours, theirs in zip(together, alone, strict=True):
        side_by_side([theirs], lambda run, record: None)
        expected, got = records(theirs), records(ours)
        assert [(one["kind"], one["step"]) for one in got] == [(one["kind"], one["step"]) for one in expected]
        for one, other in zip(got, expected, strict=True):
            if one["kind"] == "train":
                assert one["values"] == pytest.approx(other["values"], rel=1e-4, abs=1e-5), (one["phase"], one["step"])
            else:
                assert one["curve"] == pytest.approx(other["curve"], rel=1e-3)
