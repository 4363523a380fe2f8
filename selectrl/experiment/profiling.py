"""The time of a training step by its parts: a few steps under torch's profiler, and a trace for Perfetto."""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import attrs
import torch
from torch.profiler import ProfilerActivity, profile, record_function

from selectrl.experiment.build import build_agent, build_phases
from selectrl.experiment.memory import require_memory
from selectrl.experiment.run import Run
from selectrl.experiment.torch_settings import tensor_cores, torch_threads
from selectrl.experiment.training import engine_for
from selectrl.files import write_atomically
from selectrl.runs.reading import JsonObject
from selectrl.trainer.stage import Stage

WARM_UP, STEPS = 4, 6  # even, because SELECT's actor moves on every second step
SCOPES = ("draw", "encode", "objective ", "optimiser ", "track ")


def profile_step(run: Run) -> JsonObject:
    """Profile steps of a run's rl phase, with fresh parameters, and write a trace next to the run's folder.

    Nothing is trained, and an existing run stays as it is. The time of a step is measured before the profiler starts,
    because it slows small operations down; the shares are those of the profiled steps. On CUDA they are those of the
    host, and a step that is replayed as a graph has no parts.

    Args:
        run: the run that would be trained.

    Returns:
        ``trace`` (the file's path), ``ms_per_step``, ``shares`` of the parts of a step by name, in the order of the
        step (``draw``, ``encode``, each objective, optimiser and track, ``rest``; they sum to 1), and
        ``operations``, the shares of the ten longest operations by their own time.

    Raises:
        InputError: the dataset is missing or damaged, or the folder cannot be written to.
    """
    experiment, execution = run.experiment, run.execution
    agent = build_agent(experiment, run.family.spec, run.seed)
    require_memory(experiment.train, run.family.spec, [agent], execution.device)
    phase = attrs.evolve(build_phases(experiment, agent)[-1], steps=WARM_UP + 2 * STEPS)
    store, on_cuda = run.store(run.train_tasks), execution.device == "cuda"
    engine = engine_for(experiment, execution, [agent])
    with torch_threads(execution.threads), tensor_cores(experiment.train.precision == "tf32"):
        sampler = run.sampler(run.store(run.train_tasks, "cuda") if on_cuda else store)
        stage = Stage(engine=engine, phases=[phase], store=store, samplers=[sampler])
        stage.enter()

        def steps(first: int, count: int) -> None:
            for step in range(first, first + count):
                stage.step(step)
            if on_cuda:
                torch.cuda.synchronize()

        steps(0, WARM_UP)
        started = time.perf_counter()
        steps(WARM_UP, STEPS)
        seconds = time.perf_counter() - started
        activities = [ProfilerActivity.CPU, *[ProfilerActivity.CUDA] * on_cuda]
        with profile(activities=activities, acc_events=True) as profiler, record_function("steps"):
            steps(WARM_UP + STEPS, STEPS)
    path = run.folder.with_name(f"{run.folder.name}-trace.json")
    with TemporaryDirectory() as scratch:  # torch's writer replaces the given file by its own
        profiler.export_chrome_trace(str(Path(scratch, "trace.json")))
        trace = Path(scratch, "trace.json").read_bytes()
    write_atomically(path, lambda temporary: temporary.write_bytes(trace))
    return {"trace": str(path), "ms_per_step": 1e3 * seconds / STEPS, **_shares(profiler)}


def _shares(profiler: profile) -> JsonObject:
    """Return the shares of the scopes in the order of a step, and those of the longest operations."""
    spent: dict[str, float] = {}
    for event in sorted(cast(Any, profiler).events(), key=lambda event: event.time_range.start):
        if event.name == "steps" or event.name.startswith(SCOPES):
            spent[event.name] = spent.get(event.name, 0.0) + event.time_range.elapsed_us()
    total = spent.pop("steps")
    shares = {name: time / total for name, time in spent.items()}
    own = {
        row.key: row.self_cpu_time_total / total for row in profiler.key_averages() if row.key not in (*spent, "steps")
    }
    longest = sorted(own, key=lambda name: -own[name])[:10]
    return {
        "shares": shares | {"rest": 1 - sum(shares.values())},
        "operations": {name: own[name] for name in longest},
    }
