"""A method's own training step at an environment's published or smaller sizes, on rows made up in memory."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from selectrl.data.rows import RowStore
from selectrl.data.sampler import Sampler
from selectrl.data.store import Episodes, OfflineDataset, write_manifest, write_task
from selectrl.experiment.build import build_agent, build_phases
from selectrl.experiment.config import Experiment
from selectrl.gin_edge import build_experiment, experiment_layers
from selectrl.registry import FAMILIES
from selectrl.trainer.engine import Engine
from selectrl.trainer.stage import Stage


def shipped_experiment(method: str, env: str = "point_robot", profile: str | None = None) -> Experiment:
    """Return a method as its gin files bind it; without a profile at the published sizes."""
    return build_experiment(experiment_layers(method=method, env=env, profile=profile), method)


def stepper(experiment: Experiment) -> Callable[[], object]:
    """Return a function that draws a batch and runs one step of the rl phase, counting its own calls.

    Phases before it are left out: a step costs the same whatever the parameters are.
    """
    family = FAMILIES.build(experiment.env)
    store = made_up_rows(family)
    agent = build_agent(experiment, family.spec, 0)
    engine = Engine([agent])
    phase = build_phases(experiment, agent)[-1]
    train = experiment.train
    sampler = Sampler(
        store,
        meta_batch=train.meta_batch,
        replacement=False,
        sizes={"rl": train.batch, "context": train.context},
        seed=0,
    )
    stage = Stage(engine=engine, phases=[phase], store=store, samplers=[sampler])
    stage.enter()
    count = iter(range(10**9))

    def step() -> object:
        return stage.step(next(count))

    return step


def made_up_rows(family, rows: int = 2000) -> RowStore:  # type: ignore[no-untyped-def]
    """Uniform random episodes of the family's training tasks, so many rows a task."""
    rng = np.random.default_rng(0)
    spec, episodes = family.spec, rows // family.spec.horizon
    with tempfile.TemporaryDirectory() as name:
        folder, entries = Path(name), []
        for task in family.train_tasks:
            data = Episodes(
                rng.uniform(-1, 1, (episodes, spec.horizon + 1, spec.obs)).astype(np.float32),
                rng.uniform(-1, 1, (episodes, spec.horizon, spec.action)).astype(np.float32),
                -rng.random((episodes, spec.horizon), dtype=np.float32),
                np.zeros((episodes, spec.horizon), dtype=bool),
                np.full(episodes, spec.horizon),
                np.zeros(episodes, dtype=np.int64),
            )
            entries.append(write_task(folder, task, family.parameters[task], data))
        split = {"train": list(family.train_tasks), "test": []}
        write_manifest(
            folder,
            env="point_robot",
            env_id=family.env_id,
            env_config={},
            spec=spec,
            tasks=entries,
            behaviour={},
            split=split,
        )
        return RowStore(OfflineDataset.open(folder), family.train_tasks)
