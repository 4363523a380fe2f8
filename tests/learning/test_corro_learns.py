"""CORRO's pre-training on Point-Robot: a generator that does not collapse, and a latent that knows unseen goals.

The data are scripted so that rewards alone tell the task: states and actions are drawn alike in all of them. A context
of 4 rows is read, since the mean of many tells goals even through a network that was never trained.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from selectrl.actors.configs import SacConfig
from selectrl.critics.configs import TwinQVConfig
from selectrl.data.episodes import Episodes
from selectrl.data.rows import RowStore
from selectrl.data.sampler import Sampler
from selectrl.encoders.corro.configs import CorroConfig, CvaeConfig
from selectrl.envs.configs import PointRobotConfig
from selectrl.errors import RunError
from selectrl.experiment.build import build_agent, build_phases
from selectrl.registry import FAMILIES
from selectrl.structs import Batch, Latent, Rows
from selectrl.trainer.config import TrainConfig
from selectrl.trainer.engine import Engine
from selectrl.trainer.stage import Stage

FAMILY = FAMILIES.build(PointRobotConfig())
EPISODES, TIME = 50, 20
CVAE_STEPS, CONTRASTIVE_STEPS, LR = 800, 1000, 1e-3
SEEDS = (0, 1, 2)


def wandering(tasks: tuple[int, ...], reach: float) -> RowStore:
    """Random walks from uniform starts within a reach of the origin, 50 episodes of 20 steps a task."""

    def episodes(task: int) -> Episodes[Any]:
        rng = np.random.default_rng(task)
        action = rng.uniform(-1, 1, (EPISODES, TIME, 2))
        steps = np.concatenate((rng.uniform(-reach, reach, (EPISODES, 1, 2)), 0.1 * action), 1)
        obs = steps.cumsum(1)
        reward = -np.linalg.norm(obs[:, 1:] - FAMILY.parameters[task], axis=-1)
        arrays = [torch.from_numpy(value).float() for value in (obs, action, reward)]
        ends = torch.zeros(EPISODES, TIME, dtype=torch.bool), torch.full((EPISODES,), TIME)
        return Episodes(*arrays, *ends, torch.zeros(EPISODES, dtype=torch.int64))

    entries = [SimpleNamespace(task=task, parameter=goal) for task, goal in enumerate(FAMILY.parameters)]
    dataset: Any = SimpleNamespace(task=episodes, manifest=SimpleNamespace(spec=FAMILY.spec, tasks=entries))
    return RowStore(dataset, tasks, reward_of=FAMILY.reward)


def pretrained(store: RowStore, negatives: CvaeConfig, seed: int = 0) -> tuple[Any, dict[str, float]]:
    """The encoder after its pre-training, and the last logged terms of each phase."""
    encoder = CorroConfig(negatives=negatives, contrastive_steps=CONTRASTIVE_STEPS, lr=LR)
    parts: Any = SimpleNamespace(
        encoder=encoder, critic=TwinQVConfig(hidden=(4,)), actor=SacConfig(), train=TrainConfig()
    )
    agent = build_agent(parts, FAMILY.spec, seed)
    engine, terms = Engine([agent]), {}
    sampler = Sampler(store, meta_batch=16, replacement=False, sizes={}, seed=seed)
    for phase in build_phases(parts, agent)[:-1]:
        stage = Stage(engine=engine, phases=[phase], store=store, samplers=[sampler])
        stage.enter()
        for step in range(phase.steps):
            terms |= stage.step(step)
    return agent.encoder, {name: value.item() for name, value in terms.items()}


def latents(encoder: Any, store: RowStore, draws: int = 30, rows: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """z of random contexts, and the goals of their tasks."""
    local, rng = torch.arange(len(store.tasks)), np.random.default_rng(0)
    found = []
    for _ in range(draws):
        ranks = torch.from_numpy(rng.integers(0, EPISODES * TIME, (len(local), rows)))
        context: Rows = store.gather(local, ranks, encoder.fields)
        nothing = torch.zeros(0)
        batch = Batch(store.tasks, {"context": context}, {}, nothing, Latent(nothing, nothing, {}))
        found.append(encoder.encode(batch).z[:, 0].detach())
    return torch.cat(found).numpy(), store.parameters.repeat(draws, 1).numpy()


def probe(encoder: Any, train: RowStore, test: RowStore) -> float:
    """R² on unseen tasks of a linear map from z to the goal, fitted to the training tasks."""
    z, goal = latents(encoder, train)
    fit = np.linalg.lstsq(np.c_[z, np.ones(len(z))], goal, rcond=None)[0]
    z, goal = latents(encoder, test)
    missed = (np.c_[z, np.ones(len(z))] @ fit - goal) ** 2
    return 1 - float(missed.sum() / ((goal - goal.mean(0)) ** 2).sum())


@pytest.mark.slow
def test_the_latent_of_unseen_tasks_tells_their_goals() -> None:
    train, test = wandering(FAMILY.train_tasks, reach=1.2), wandering(FAMILY.test_tasks, reach=1.2)
    scores = []
    for seed in SEEDS:
        encoder, terms = pretrained(train, CvaeConfig(steps=CVAE_STEPS, lr=LR), seed)
        assert terms["cvae/kl"] > 0.1
        scores.append(probe(encoder, train, test))
    assert np.mean(scores) > 0.5  # 0.88 where it was written; 0.1 without contrastive training


@pytest.mark.slow
def test_the_published_divergence_weight_on_raw_targets_is_caught_as_a_collapse() -> None:
    """Near the origin, where Point-Robot starts, rewards of two tasks differ by little."""
    reference = CvaeConfig(steps=CVAE_STEPS, lr=LR, beta=0.2, standardise=False, delta=False)
    with pytest.raises(RunError, match=r"^negatives\.cvae has collapsed: .* lower negatives\.cvae\.beta \(0\.2\)"):
        pretrained(wandering(FAMILY.train_tasks, reach=0.0), reference)
