"""Numbers that are no longer finite stop a run, in a sentence that leads to the step, the row and what is sound."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

import selectrl
from selectrl.data.store import Episodes
from selectrl.experiment.execution import Execution
from selectrl.experiment.run import Run
from selectrl.protocols import Draw, Phase
from selectrl.runs import checkpoint
from selectrl.trainer.engine import Engine

Call = Callable[..., Any]
STEPS = {"train.steps": 120, "train.checkpoint_every": 10, "train.log_every": 40, "train.test_every": 120}


def first_draws(words: list[str], data: Path) -> dict[tuple[int, int], tuple[int, list[int]]]:
    """Return the step at which each (task, row) is first drawn, with the tasks of that step's batch."""
    settings = [value for name, value in pairwise(words) if name == "--set"]
    experiment = selectrl.compose("select", "point_robot", settings=settings)
    run = Run(Path(), experiment, 0, Execution(data=data))
    sampler = run.sampler(run.store(run.family.train_tasks))
    draws = tuple(Draw(kind, kind, ("reward",)) for kind in ("rl", "context"))
    phase = sampler.phase(Phase(name="rl", steps=experiment.train.steps, draws=draws))
    found: dict[tuple[int, int], tuple[int, list[int]]] = {}
    for step in range(experiment.train.steps):
        batch = phase.batch(step)
        for rows in batch.draws.values():
            for task, own in zip(batch.tasks.tolist(), rows.row.tolist(), strict=True):
                for row in own:
                    found.setdefault((task, row), (step, sorted(batch.tasks.tolist())))
    return found


def test_a_loss_leads_to_the_step_and_the_row(
    make_dataset: Call, data: Path, call: Call, small: Call, tmp_path: Path
) -> None:
    """One reward of one task is finite, but not its square; the row is first drawn between two looks of the guard."""
    firsts = first_draws(small(STEPS), data)
    (task, row), (step, tasks) = next(one for one in firsts.items() if one[1][0] > 10 and one[1][0] % 10 == 4)
    made: list[None] = []

    def poison(episodes: Episodes[Any]) -> Episodes[Any]:
        reward = episodes.reward.copy()
        if len(made) == task:
            reward[divmod(row, 20)] = -1e30
        made.append(None)
        return episodes._replace(reward=reward)

    make_dataset(tmp_path / "data" / "point_robot" / "tiny", change=poison)
    words = [*small(STEPS, data=tmp_path / "data"), "--out", tmp_path / "runs"]
    done = call("train", *words)
    assert done.code == 1
    sentence = done.err.splitlines()[-1]
    assert f" after {step + 1} steps of phase rl, on a batch of tasks {', '.join(map(str, tasks))}, " in sentence
    assert f"where the largest input is |reward| 1e+30 in row {row} of task {task} (draw " in sentence
    assert f"; the last checkpoint, of step {step // 10 * 10}, is sound, " in sentence
    (run,) = (tmp_path / "runs").rglob("seed0")
    assert checkpoint.read_step(run) == step // 10 * 10
    assert "NaN" not in (run / "metrics.jsonl").read_text()
    assert call("train", *words).err.splitlines()[-1] == sentence


def test_a_parameter_too(
    call: Call, small: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_step: Call
) -> None:
    state = Engine.state

    def broken(self: Engine, *place: int) -> dict[str, torch.Tensor]:
        found = state(self, *place)
        name = next(name for name in found if name.startswith("agent/policy"))
        return found | {name: torch.full_like(found[name], torch.nan)}

    with at_step(17, lambda: monkeypatch.setattr(Engine, "state", broken)):
        done = call("train", *small({**STEPS, "train.test_every": 18}), "--out", tmp_path)
    assert done.code == 1
    assert re.search(r"agent/policy\S* holds nan after 18 steps of phase rl", done.err.splitlines()[-1])
    assert "the last checkpoint, of step 10, is sound" in done.err
    (run,) = tmp_path.rglob("seed0")
    kinds = [json.loads(line)["kind"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert kinds == ["test"]  # before the first step; the policy that is broken was not tested
