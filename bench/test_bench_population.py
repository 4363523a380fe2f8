"""Seeds of SELECT and CSRO, laptop profile: in turn, as the CPU runs them, and stacked under vmap, as CUDA does."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from published import made_up_rows, shipped_experiment

from selectrl.data.sampler import Sampler
from selectrl.experiment.build import build_agent, build_phases
from selectrl.registry import FAMILIES
from selectrl.trainer.engine import Engine
from selectrl.trainer.stage import Stage

SEEDS, STEPS, ROUNDS = 5, 4, 5


def runner(experiment, store, groups: list[list[int]]) -> Callable[[], None]:  # type: ignore[no-untyped-def]
    """Return a function that takes some steps of each group of seeds, one group after the other."""
    family, train = FAMILIES.build(experiment.env), experiment.train
    sizes = {"rl": train.batch, "context": train.context}
    work = []
    for seeds in groups:
        agents = [build_agent(experiment, family.spec, seed) for seed in seeds]
        samplers = [
            Sampler(store, meta_batch=train.meta_batch, replacement=False, sizes=sizes, seed=seed) for seed in seeds
        ]
        phases = [build_phases(experiment, agent)[-1] for agent in agents]
        stage = Stage(engine=Engine(agents), phases=phases, store=store, samplers=samplers)
        stage.enter()
        work.append(stage)

    def run() -> None:
        for stage in work:
            for step in range(STEPS):
                stage.step(step)

    return run


@pytest.mark.parametrize("method", ["select", "csro"])
def test_ratios_of_a_population(method: str) -> None:
    experiment = shipped_experiment(method, "point_robot", "laptop")
    store = made_up_rows(FAMILIES.build(experiment.env))
    ways = {
        "one seed": runner(experiment, store, [[0]]),
        "five in turn": runner(experiment, store, [[seed] for seed in range(SEEDS)]),
        "five under vmap": runner(experiment, store, [list(range(SEEDS))]),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, run in ways.items():
            begin = time.perf_counter()
            run()
            times[name].append((time.perf_counter() - begin) / STEPS)
    alone = min(times["one seed"])
    for name, found in times.items():
        share = "" if name == "one seed" else f"  {min(found) / (SEEDS * alone):.2f} of {SEEDS} single seeds"
        print(f"\n{method:<8}{name:<16}{1000 * min(found):8.1f} ms a step{share}", end="")
