"""The library's way beside a naive one, in one process and at the published sizes of Half-Cheetah-Vel.

The naive ways are written from the formulas, as literally as these put it. Losses come with their gradients and equal
ours; the two that draw or walk have random numbers of their own.

Usage: python bench/pairs.py NAME   prints one pair's seconds as JSON
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from types import SimpleNamespace

import attrs
import gymnasium
import numpy as np
import torch
from naive import club_grid, metric_loop, mlp
from peak import peak
from published import made_up_rows, shipped_experiment
from torch import Tensor

from selectrl.data.sampler import Sampler
from selectrl.evaluate.harness import MetaTest
from selectrl.experiment.build import build_agent, build_phases
from selectrl.functional.contrastive import info_nce
from selectrl.functional.representation import club_bound, metric_loss
from selectrl.registry import COLLECTORS, FAMILIES, NEGATIVES
from selectrl.structs import Rows

ENV = "half_cheetah_vel"
TASKS = 16


@attrs.frozen
class Pair:
    """Two ways to do one thing.

    Attributes:
        ours: the library's.
        naive: the other.
        share: how much of our work one call of the naive way does.
        bare: what no Python around it can beat, where there is such a thing.
        env_steps: environment steps of one call of ours, 0 where there are none.
    """

    ours: Callable[[], object]
    naive: Callable[[], object]
    share: float = 1.0
    bare: Callable[[], object] | None = None
    env_steps: int = 0


def with_gradients(loss: Callable[..., Tensor], *inputs: Tensor) -> Callable[[], list[Tensor]]:
    """Return a function that returns the loss and its gradients with respect to all inputs."""
    leaves = [one.requires_grad_() for one in inputs]

    def run() -> list[Tensor]:
        value = loss(*leaves)
        return [value.detach(), *torch.autograd.grad(value, leaves)]

    return run


def club() -> Pair:
    """CSRO's bound: in linear time, and on the grid of all pairs of a task's rows."""
    train, latent = shipped_experiment("csro", ENV).train, 20
    rows, mean = torch.randn(2, TASKS, train.context, latent).tanh().unbind(0)
    variance = torch.rand(TASKS, train.context, latent) + 0.5
    return Pair(with_gradients(club_bound, rows, mean, variance), with_gradients(club_grid, rows, mean, variance))


def metric() -> Pair:
    """FOCAL's distance metric: over the matrix of distances, and by a loop over pairs of tasks."""
    z, tasks = torch.randn(TASKS, 20).tanh(), torch.arange(TASKS)
    return Pair(with_gradients(lambda z: metric_loss(z, tasks), z), with_gradients(metric_loop, z))


def nce() -> Pair:
    """CORRO's InfoNCE: in one sum, and query by query, negative by negative."""
    config = shipped_experiment("corro", ENV).encoder
    shape = (TASKS, config.queries)
    query, key = torch.randn(2, *shape, config.latent_dim).unbind(0)
    negatives = torch.randn(*shape, config.negative_count, config.latent_dim)

    def loop(query: Tensor, key: Tensor, negatives: Tensor) -> Tensor:
        losses = []
        for task in range(shape[0]):
            for one in range(shape[1]):
                q = query[task, one]
                scores = [(q @ c) / config.temperature for c in (key[task, one], *negatives[task, one])]
                losses.append(-torch.log_softmax(torch.stack(scores), 0)[0])
        return torch.stack(losses).mean()

    def ours(*inputs: Tensor) -> Tensor:
        return info_nce(*inputs, temperature=config.temperature)

    return Pair(with_gradients(ours, query, key, negatives), with_gradients(loop, query, key, negatives))


def cvae() -> Pair:
    """CORRO's conditional VAE: all tasks at once, and task by task, row by row, with torch's distributions."""
    experiment = shipped_experiment("corro", ENV)
    spec, config = FAMILIES.build(experiment.env).spec, experiment.encoder.negatives
    part, shape = NEGATIVES.build(config, spec), (TASKS, config.rows)
    obs, next_obs = torch.randn(2, *shape, spec.obs).unbind(0)
    rows = Rows(obs, torch.rand(*shape, spec.action), torch.randn(shape), next_obs, torch.zeros(shape), torch.zeros(0))
    normal = torch.randn(*shape, config.latent_dim)
    batch = SimpleNamespace(draws={"rows": rows}, noise={"posterior": normal})
    standard = torch.distributions.Normal(torch.zeros(config.latent_dim), torch.ones(config.latent_dim))
    weights = list(part.parameters())

    def descend(loss: Tensor) -> list[Tensor]:
        return [loss.detach(), *torch.autograd.grad(loss, weights)]

    def loop() -> list[Tensor]:
        losses = []
        for task in range(shape[0]):
            for one in range(shape[1]):
                given = torch.cat((rows.obs[task, one], rows.action[task, one]))
                target = torch.cat((rows.reward[task, one][None], rows.next_obs[task, one] - rows.obs[task, one]))
                mean, log_variance = part.posterior_net(torch.cat((given, target))).chunk(2)
                posterior = torch.distributions.Normal(mean, (0.5 * log_variance).exp())
                made = part.decoder_net(torch.cat((given, posterior.mean + posterior.stddev * normal[task, one])))
                miss = (made - target).square()
                divergence = torch.distributions.kl_divergence(posterior, standard).sum()
                losses.append(config.beta * divergence + miss[0] + miss[1:].mean())
        return descend(torch.stack(losses).mean())

    return Pair(lambda: descend(part.loss(None, batch).total), loop)


def sampler() -> Pair:
    """The draws of a CSRO step: one gather a field for all tasks, and task by task, field by field."""
    experiment = shipped_experiment("csro", ENV)
    family, train = FAMILIES.build(experiment.env), experiment.train
    store = made_up_rows(family)
    phase = build_phases(experiment, build_agent(experiment, family.spec, 0))[-1]
    sizes = {"rl": train.batch, "context": train.context}
    sampler = Sampler(store, meta_batch=train.meta_batch, replacement=False, sizes=sizes, seed=0)
    rng, steps = np.random.default_rng(0), iter(range(phase.steps))
    ours = attrs.evolve(sampler.phase(phase), noise=())
    wanted = {draw.name: draw for draw in ours.draws}
    episodes = store.obs.view(len(store.tasks), store.episodes, store.time + 1, -1)
    tables = {
        "obs": episodes[:, :, :-1].flatten(1, 2).numpy(),
        "next_obs": episodes[:, :, 1:].flatten(1, 2).numpy(),
        "action": store.action.numpy(),
        "reward": store.reward.numpy(),
        "terminal": store.terminal.numpy(),
    }

    def naive() -> dict[str, dict[str, Tensor]]:
        tasks, drawn = rng.permutation(len(store.tasks))[: train.meta_batch], {}
        for draw in wanted.values():
            parts: dict[str, list[Tensor]] = {field: [] for field in draw.fields}
            for task in tasks:
                rows = rng.integers(store.counts[task], size=sizes[draw.kind])
                for field in draw.fields:
                    parts[field].append(torch.from_numpy(tables[field][task][rows]))
            drawn[draw.name] = {field: torch.stack(found) for field, found in parts.items()}
        return drawn

    return Pair(lambda: ours.batch(next(steps)).draws, naive)


def meta_test(repeats: int = 2) -> Pair:
    """CSRO's meta-test: all worlds in lockstep, and one Gymnasium environment and one observation at a time."""
    experiment = shipped_experiment("csro", ENV)
    family = FAMILIES.build(experiment.env)
    agent = build_agent(experiment, family.spec, 0)
    config = attrs.evolve(experiment.test, repeats=repeats)
    collector = COLLECTORS.build(experiment.collector)
    ours = MetaTest(agent.encoder, agent.policy, family, collector, config, tasks=family.test_tasks)
    horizon, spec = family.spec.horizon, family.spec
    latent = experiment.encoder.latent_dim
    row_net = mlp(spec.obs + spec.action + 1, experiment.encoder.hidden[0], latent)
    policy = mlp(spec.obs + latent, experiment.actor.policy.hidden[0], 2 * spec.action)
    env = gymnasium.make(family.env_id, task=family.test_tasks[0])

    @torch.no_grad()
    def naive() -> None:
        """One block of context, the belief from its rows, and one scored episode."""
        z, context = torch.zeros(latent), []
        for exploring in (True, False):
            obs, _ = env.reset(seed=0)
            for _ in range(horizon):
                mean, log_std = policy(torch.cat((torch.from_numpy(obs), z))).chunk(2)
                noise = torch.randn(spec.action) if exploring else 0.0
                action = (mean + log_std.clamp(-20, 0).exp() * noise).tanh().numpy()
                next_obs, reward, _, _, _ = env.step(action)
                context.append(np.concatenate((obs, action, [reward]), dtype=np.float32))
                obs = next_obs
            z = row_net(torch.from_numpy(np.stack(context))).tanh().mean(0)

    length = config.budget + (config.budget // horizon + 1) * horizon  # collected and scored, of each world
    worlds = family.worlds([task for task, _ in ours.worlds])
    controls = np.random.default_rng(0).uniform(-1, 1, (length, len(ours.worlds), spec.action))

    def bare() -> None:
        """MuJoCo's own steps of as many worlds."""
        worlds.reset(seed=0)
        for control in controls:
            worlds.ctrl[:] = control
            worlds.batch.step(nstep=worlds.frame_skip)

    steps = len(ours.worlds) * length
    return Pair(ours.run, naive, share=2 * horizon / steps, bare=bare, env_steps=steps)


#: Pairs by name; a pair is made when it is measured.
PAIRS: dict[str, Callable[[], Pair]] = {
    "club": club,
    "metric": metric,
    "info_nce": nce,
    "cvae": cvae,
    "sampler": sampler,
    "meta_test": meta_test,
}


def measure(name: str, at_least: float = 3.0) -> dict[str, object]:
    """Return the shortest seconds of each way, for the same work, of rounds that take turns for so long.

    ``peak_mib`` is this process's peak memory above what the imports took, when our way has run and no other.
    """
    before = peak()
    pair = PAIRS[name]()
    pair.ours()
    memory = peak() - before
    ways = {"ours": pair.ours, "naive": pair.naive} | ({"bare": pair.bare} if pair.bare else {})
    least, started, turns = dict.fromkeys(ways, float("inf")), time.perf_counter(), 0
    while turns < 4 or time.perf_counter() - started < at_least:
        for way, function in ways.items():
            begin = time.perf_counter()
            function()
            if turns:  # the first is not counted
                least[way] = min(least[way], time.perf_counter() - begin)
        turns += 1
    least["naive"] /= pair.share
    return {"name": name, "peak_mib": memory, "env_steps": pair.env_steps, **least}


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1])))
