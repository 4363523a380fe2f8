"""The training time of a run, measured on a few of its steps."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter

from selectrl.compare.plan import ComparisonPlan
from selectrl.errors import RunError
from selectrl.experiment.build import build_agent, build_phases
from selectrl.experiment.execution import Execution
from selectrl.experiment.memory import require_memory
from selectrl.experiment.run import Run
from selectrl.experiment.torch_settings import torch_threads
from selectrl.trainer.engine import Engine
from selectrl.trainer.stage import Stage

WARM_UP, TIMED = 2, 5


def enter_phase(stage: Stage) -> None:
    """Enter a phase; if a part refuses to continue after a few steps, with the earlier buffers."""
    try:
        stage.enter()
    except RunError:
        stage.engine.enter(stage.phase)


def training_seconds(run: Run) -> float:
    """Return the training time of a run on this machine, without its meta-tests; nothing is written.

    Each phase executes a few steps; the fastest counts.

    Raises:
        InputError: the dataset is missing or damaged, or a batch does not fit the memory.
    """
    agent = build_agent(run.experiment, run.family.spec, run.seed)
    require_memory(run.experiment.train, run.family.spec, [agent])
    engine, store, total = Engine([agent]), run.store(run.train_tasks), 0.0
    sampler = run.sampler(store)
    with torch_threads(run.execution.threads):
        for phase in build_phases(run.experiment, agent):
            stage = Stage(engine=engine, phases=[phase], store=store, samplers=[sampler])
            enter_phase(stage)
            times = []
            for step in range(min(WARM_UP + TIMED, phase.steps)):
                begin = perf_counter()
                stage.step(step)
                times.append(perf_counter() - begin)
            total += phase.steps * min(times[WARM_UP:] or times, default=0.0)
    return total


def training_times(plan: ComparisonPlan) -> dict[Path, float]:
    """Return the training time of one seed of each policy on one thread, in seconds, by the policy's folder.

    Raises:
        InputError: a dataset is missing or damaged.
    """
    execution = Execution(data=plan.data)
    return {
        policy.folder: training_seconds(Run(policy.folder, policy.experiment, 0, execution)) for policy in plan.policies
    }
