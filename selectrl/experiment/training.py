"""Trains runs in their directories: one run, or several seeds of an experiment in parallel as one population."""

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
from selectrl.trainer.agent import AgentModule
from selectrl.trainer.engine import Engine
from selectrl.trainer.loop import Member, Trainer

Progress: TypeAlias = Callable[[Run, JsonObject], None]
COMPILER = {"cpu": "eager", "cuda": "inductor"}  # on the CPU for tests: it is traced as for CUDA, but is not faster


def train(runs: Sequence[Run], progress: Progress = lambda run, record: None) -> list[bool]:
    """Train runs that differ only in seed and folder, or continue where an earlier call stopped.

    On CUDA they are trained in parallel, as one population, or as one per step of their checkpoints if these share no
    step; on the CPU one after another, because matrix products of one seed already use all cores. Each seed has the
    same draws as alone.

    Args:
        runs: the runs to train.
        progress: called with every record and its run.

    Returns:
        For each run, whether it was trained in this call.

    Raises:
        InputError: a directory contains another experiment or cannot be written to; the dataset is missing, damaged or
            not that of the run's start; the device is not available; or a batch does not fit the memory.
        RunError: a loss is no longer finite.
    """
    device = runs[0].execution.device
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("--device cuda: torch finds no CUDA device; leave --device out to use the CPU")
    warn_of_drift(runs[0].data_folder)
    trained: dict[int, bool] = {}
    for group in group_populations(runs) if device == "cuda" else [[run] for run in runs]:
        done = train_population(group, progress)
        trained |= {id(run): done for run in group}
    return [trained[id(run)] for run in runs]


def group_populations(runs: Sequence[Run]) -> list[list[Run]]:
    """Return the runs in groups whose seeds can continue, or start, in parallel."""
    if checkpoint.share_step([run.folder for run in runs]):
        return [list(runs)]
    by_step: dict[int, list[Run]] = {}
    for run in runs:
        by_step.setdefault(checkpoint.read_step(run.folder), []).append(run)
    started = [run for step, group in by_step.items() if step for run in group]
    if checkpoint.share_step([run.folder for run in started]):
        return [group for group in (started, by_step.get(0)) if group]
    return list(by_step.values())


def train_population(runs: Sequence[Run], progress: Progress) -> bool:
    """Train runs whose checkpoints share a step, or that have none, as one agent or one population.

    Returns:
        Whether they were trained in this call.
    """
    first, execution = runs[0], runs[0].execution
    experiment, tasks = first.experiment, first.train_tasks
    firsts = [run.check_start() or experiment for run in runs]  # curves keep the collector and test of their first call
    agents = [build_agent(experiment, run.family.spec, run.seed) for run in runs]
    require_memory(experiment.train, first.family.spec, agents, execution.device)
    phases_of = [build_phases(experiment, agent) for agent in agents]
    phases = phases_of[0]
    engine = engine_for(experiment, execution, agents)
    for phase in phases:
        engine.enter(phase)  # refuse what cannot work before anything is written
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
                test=make_curve_test(run, agent, first_experiment),
                record={**run.record.to_json(), "versions": library_versions()},
            )
            for run, agent, own, first_experiment in zip(runs, agents, phases_of, firsts, strict=True)
        ],
        config=experiment.train,
    )
    for phase in phases:  # refuse a draw that the data cannot give before anything is written, too
        trainer.members[0].sampler.phase(attrs.evolve(phase, steps=1)).batch(0)
    with ExitStack() as stack:
        for run in runs:
            stack.enter_context(lock(run.folder))
        if [run.check_start() or experiment for run in runs] != firsts:  # between the first check and the lock
            names = ", ".join(str(run.folder) for run in runs)
            raise InputError(f"another process has just started {names} with another test; give the command again")
        if all(checkpoint.read_step(run.folder) == trainer.total for run in runs):
            return False
        for run in runs:
            run.claim()
        stack.enter_context(record_executions(runs, phases))
        stack.enter_context(torch_threads(execution.threads))
        stack.enter_context(tensor_cores(experiment.train.precision == "tf32"))
        writers = [stack.enter_context(open_event_writer(run)) for run in runs]
        for place, record in trainer.run():
            writers[place](record)
            progress(runs[place], record)
    return True


@contextmanager
def record_executions(runs: Sequence[Run], phases: Sequence[Phase]) -> Iterator[None]:
    """Record the execution of the runs, and at the end, or at a signal, the time of the block."""
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


def engine_for(experiment: Experiment, execution: Execution, agents: Sequence[AgentModule]) -> Engine:
    """Return the engine that steps these agents of an experiment as the execution says."""
    return Engine(
        agents,
        precision=experiment.train.precision,
        device=execution.device,
        compiler=COMPILER[execution.device] if execution.engine == "compiled" else None,
    )


def make_curve_test(run: Run, agent: AgentModule, first: Experiment) -> Callable[[int], TestLine]:
    """Return the test of a run's learning curve: (rl step) -> a point."""
    meta_test = run.build_test(agent, first.collector, first.test)
    return lambda step: curve_point(meta_test.run(run.prior(agent, first.test)), step, first)


@contextmanager
def open_event_writer(run: Run) -> Iterator[Callable[[JsonObject], None]]:
    """Yield a function that writes records to TensorBoard if enabled, and does nothing otherwise."""
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
