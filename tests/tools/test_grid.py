"""Encoders, critics, actors and what they are made of, in each pair; and every collector on every encoder's policy."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from tool_programs import load_tool

from selectrl.envs.configs import PointRobotConfig
from selectrl.evaluate.config import TestConfig
from selectrl.registry import ACTORS, COLLECTORS, CRITICS, ENCODERS
from selectrl.trainer.config import TrainConfig

GRID = load_tool("grid")  # the program behind `make grid`
WIDTH = (12, 12)
SMALL = {
    "hidden": WIDTH,
    "club_hidden": WIDTH,
    "dual_hidden": WIDTH,
    "decoder_hidden": WIDTH,
    "latent_dim": 6,
    "gru_hidden": 16,
    "episodes": 2,
    "steps": 20,
    "contrastive_steps": 20,
}


def small(config: Any) -> Any:
    return GRID.cut(config, {**GRID.SHORT, **SMALL})


def experiment(*parts: Any) -> Any:
    """The parts, small, on the eight tasks of the tiny dataset."""
    train = TrainConfig(steps=50, meta_batch=3, batch=8, context=8, test_every=50, log_every=10)
    return GRID.experiment(*(small(part) for part in parts), env=PointRobotConfig(tasks=8), data="tiny", train=train)


@cache
def compositions() -> dict[str, tuple[Any, Any, Any]]:
    """Rows that hold each pair of an encoder, a critic and an actor, and each variant of one of them once."""
    axes = [GRID.defaults(registry) for registry in (ENCODERS, CRITICS, ACTORS)]
    rows = {"-".join(names): tuple(a[n] for a, n in zip(axes, names, strict=True)) for names in GRID.pairs(*axes)}
    others = [list((GRID.variants(one) or GRID.defaults(one)).items()) for one in (ENCODERS, CRITICS, ACTORS)]
    for i in range(max(map(len, others))):
        chosen = [other[i % len(other)] for other in others]
        rows["-".join(name for name, _ in chosen)] = tuple(part for _, part in chosen)
    return rows


@pytest.mark.slow
@pytest.mark.parametrize("name", compositions())
def test_each_pair_of_parts_trains_or_is_refused_by_one_sentence(name: str, data: Path, tmp_path: Path) -> None:
    outcome, reason, run = GRID.attempt(experiment(*compositions()[name]), data, tmp_path)
    if outcome == "refused":
        assert len(reason.splitlines()) == 1
        assert (
            sum(part.partition("+")[0].replace("_", " ") in reason.replace("_", " ") for part in name.split("-")) >= 1
        )
    else:
        assert run.evaluate().env_steps["collection"] == 40


@pytest.mark.slow
@pytest.mark.parametrize("encoder", GRID.defaults(ENCODERS))
def test_every_collector_tests_every_encoder(encoder: str, data: Path, tmp_path: Path) -> None:
    select = CRITICS["dual_target"].config(), ACTORS["weighted_bc"].config()
    outcome, reason, run = GRID.attempt(experiment(ENCODERS[encoder].config(), *select), data, tmp_path)
    assert outcome == "trained", reason
    returns = {entry.name: run.evaluate(entry.name, entry.config()).final_return for entry in COLLECTORS}
    centroid = TestConfig(budget=40, repeats=1, prior="centroid")
    returns["centroid"] = run.evaluate("centroid", test=centroid).final_return
    assert all(-80 < value < 0 for value in returns.values())


def test_the_rows_hold_every_pair() -> None:
    axes = {"a": {"1": 0, "2": 0, "3": 0}, "b": {"4": 0, "5": 0}, "c": {"6": 0, "7": 0, "8": 0}}
    rows = list(GRID.pairs(*axes.values()))
    for i, j in ((0, 1), (0, 2), (1, 2)):
        sizes = [len(axis) for axis in axes.values()]
        assert len({(row[i], row[j]) for row in rows}) == sizes[i] * sizes[j]
    assert len(rows) < 18
