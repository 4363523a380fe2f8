"""Training fills run directories: one run, or several seeds of an experiment side by side as one population."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TypeAlias

import attrs
import torch

from selectrl.data.manifest import library_versions
from selectrl.errors import InputError, Interrupted
from selectrl.experiment.build import build_agent, build_phases
from selectrl.experiment.config import Experiment
from selectrl.experiment.drift import warn_of_drift
from selectrl.experiment.execution import Execution
from selectrl.experiment.memory import require_memory
from selectrl.experiment.records import curve_point
from selectrl.experiment.run import Run
from selectrl.experiment.torch_settings import tensor_cores, torch_threads
from selectrl.locks import lock
from selectrl.protocols import Phase
from selectrl.runs import checkpoint
from selectrl.runs.layout import TENSORBOARD
from selectrl.runs.metrics import TestLine
from selectrl.runs.reading import JsonObject
from selectrl.trainer.agent import Agent
from selectrl.trainer.engine import Engine
from selectrl.trainer.loop import Member, Trainer

Progress: TypeAlias = Callable[[Run, JsonObject], None]
COMPILER = {"cpu": "eager", "cuda": "inductor"}  # on the CPU for tests: it is traced as for CUDA and no faster


def train(runs: Sequence[Run], progress: Progress = lambda run, record: None) -> list[bool]:
    """Train runs that differ in seed and folder alone, or go on where an earlier call stopped.

    On CUDA they are trained side by side, as one population, or one for each step that their checkpoints stand at if
    those share none; on the CPU in turn, for matrix products of one seed fill its cores already. Either way each seed
    draws what it draws alone.

    Args:
        runs: what is trained.
        progress: called with every record and the run that it is of.

    Returns:
        For each run, whether there was anything left to do.

    Raises:
        InputError: a directory holds another experiment or cannot be written to; the dataset is not there, damaged, or
            not the one that the run began with; the device is not there; or a batch does not fit the memory.
        RunError: a loss is no longer finite.
    """
    device = runs[0].execution.device
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("device cuda was asked for, but torch finds no CUDA device; leave --device out to use the CPU")
    warn_of_drift(runs[0].data_folder)
    trained: dict[int, bool] = {}
    for group in populations(runs) if device == "cuda" else [[run] for run in runs]:
        done = side_by_side(group, progress)
        trained |= {id(run): done for run in group}
    return [trained[id(run)] for run in runs]


def populations(runs: Sequence[Run]) -> list[list[Run]]:
    """Return the runs in groups whose seeds can go on, or begin, side by side."""
    if checkpoint.together([run.folder for run in runs]):
        return [list(runs)]
    by_step: dict[int, list[Run]] = {}
    for run in runs:
        by_step.setdefault(checkpoint.reached(run.folder), []).append(run)
    begun = [run for step, group in by_step.items() if step for run in group]
    if checkpoint.together([run.folder for run in begun]):
        return [group for group in (begun, by_step.get(0)) if group]
    return list(by_step.values())


def side_by_side(runs: Sequence[Run], progress: Progress) -> bool:
    """Train runs whose checkpoints share a step, or that have none, as one agent or one population.

    Returns:
        Whether there was anything left to do.
    """
    first, execution = runs[0], runs[0].execution
    experiment, tasks = first.experiment, first.train_tasks
    begun = [run.begun() or experiment for run in runs]  # curves keep the collector and test of their first call
    agents = [build_agent(experiment, run.family.spec, run.seed) for run in runs]
    require_memory(experiment.train, first.family.spec, agents, execution.device)
    phases_of = [build_phases(experiment, agent) for agent in agents]
    phases = phases_of[0]
    engine = engine_for(experiment, execution, agents)
    for phase in phases:
        engine.enter(phase)  # refuses what cannot work before anything is written
    store = first.store(tasks)
    resident = store if execution.device == "cpu" else first.store(tasks, execution.device)
    trainer = Trainer(
        engine=engine,
        store=store,
        members=[
            Member(
                phases=own,
                sampler=run.sampler(resident),
                folder=run.folder,
                test=curve(run, agent, its),
                record={**run.record.to_json(), "versions": library_versions()},
            )
            for run, agent, own, its in zip(runs, agents, phases_of, begun, strict=True)
        ],
        config=experiment.train,
    )
    for phase in phases:  # a draw that the data cannot give is refused before anything is written, too
        trainer.members[0].sampler.phase(attrs.evolve(phase, steps=1)).batch(0)
    with ExitStack() as held:
        for run in runs:
            held.enter_context(lock(run.folder))
        if [run.begun() or experiment for run in runs] != begun:  # between the first look and the lock
            names = ", ".join(str(run.folder) for run in runs)
            raise InputError(f"another process has just begun {names} with another test; give the command again")
        if all(checkpoint.reached(run.folder) == trainer.total for run in runs):
            return False
        for run in runs:
            run.claim()
        held.enter_context(on_record(runs, phases))
        held.enter_context(torch_threads(execution.threads))
        held.enter_context(tensor_cores(experiment.train.precision == "tf32"))
        writes = [held.enter_context(sink(run)) for run in runs]
        for place, record in trainer.run():
            writes[place](record)
            progress(runs[place], record)
    return True


@contextmanager
def on_record(runs: Sequence[Run], phases: Sequence[Phase]) -> Iterator[None]:
    """Record how the runs are carried out, and afterwards what time it took, to its end or until a signal."""
    for run in runs:
        run.record_execution(phases, len(runs))
    started, stop = time.perf_counter(), None
    try:
        yield
    except Interrupted as signal:
        stop = signal
    share = (time.perf_counter() - started) / len(runs)
    for run in runs:
        run.record_execution(phases, len(runs), wall_seconds=share)
    if stop:
        raise stop


def engine_for(experiment: Experiment, execution: Execution, agents: Sequence[Agent]) -> Engine:
    """Return the engine that steps these agents of an experiment as the execution says."""
    return Engine(
        agents,
        precision=experiment.train.precision,
        device=execution.device,
        compiler=COMPILER[execution.device] if execution.engine == "compiled" else None,
    )


def curve(run: Run, agent: Agent, begun: Experiment) -> Callable[[int], TestLine]:
    """Return what makes a point of a run's learning curve: (rl step) -> a meta-test."""
    made = run.build_test(agent, begun.collector, begun.test)
    return lambda step: curve_point(made.run(run.prior(agent, begun.test)), step, begun)


@contextmanager
def sink(run: Run) -> Iterator[Callable[[JsonObject], None]]:
    """Give a function that passes records on to TensorBoard, if wanted."""
    if not run.execution.tensorboard:
        yield lambda record: None
        return
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise InputError("TensorBoard is not installed; pip install 'selectrl[tensorboard]'") from error
    with SummaryWriter(run.folder / TENSORBOARD) as writer:

        def write(record: JsonObject) -> None:
            values = record["values"] if record["kind"] == "train" else {"test/return": record["return"]}
            for name, value in values.items():
                writer.add_scalar(name, value, record["step"])

        yield write
