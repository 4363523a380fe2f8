"""How long a run takes, found by taking a few of its steps."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter

from torch import Tensor

from selectrl.compare.plan import Plan
from selectrl.data.rows import RowStore
from selectrl.errors import RunError
from selectrl.experiment.build import build_agent, build_phases
from selectrl.experiment.execution import Execution
from selectrl.experiment.memory import require_memory
from selectrl.experiment.run import Run
from selectrl.experiment.torch_settings import torch_threads
from selectrl.protocols import Phase
from selectrl.streams import stream
from selectrl.trainer.agent import Agent
from selectrl.trainer.engine import Engine
from selectrl.trainer.loop import needs

WARM, TIMED = 2, 5


def prepared(phase: Phase, agent: Agent, store: RowStore) -> dict[str, Tensor]:
    """Return what a phase prepares; nothing where it refuses what so few steps trained, and earlier buffers stay."""
    try:
        return phase.prepare(agent, store, stream(0, phase.name, "prepare")) if phase.prepare else {}
    except RunError:
        return {}


def training_seconds(run: Run) -> float:
    """Return the time that a run's training takes here, its meta-tests not counted; nothing is written.

    Each phase is entered and takes a few steps, of which the quickest counts.

    Raises:
        InputError: the dataset is missing or damaged, or a batch does not fit the memory.
    """
    agent = build_agent(run.experiment, run.family.spec, run.seed)
    require_memory(run.experiment.train, run.family.spec, [agent])
    engine, store, total = Engine([agent]), run.store(run.train_tasks), 0.0
    sampler = run.sampler(store)
    with torch_threads(run.execution.threads):
        for phase in build_phases(run.experiment, agent):
            engine.enter(phase, prepared(phase, agent, store))
            times = []
            for step in range(min(WARM + TIMED, phase.steps)):
                begin = perf_counter()
                engine.step(sampler.batch(phase.name, phase.steps, *needs(phase), step), step)
                times.append(perf_counter() - begin)
            total += phase.steps * min(times[WARM:] or times, default=0.0)
    return total


def training_times(plan: Plan) -> dict[Path, float]:
    """Return the seconds that a seed of each policy trains, one thread each, by the policy's folder.

    Raises:
        InputError: a dataset is missing or damaged.
    """
    execution = Execution(data=plan.data)
    return {
        policy.folder: training_seconds(Run(policy.folder, policy.experiment, 0, execution)) for policy in plan.policies
    }
