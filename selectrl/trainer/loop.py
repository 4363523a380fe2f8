"""The one training loop. It knows phases, steps and checkpoints, and no algorithm."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from selectrl.data.rows import RowStore
from selectrl.data.sampler import Sampler
from selectrl.errors import InputError, RunError
from selectrl.protocols import Draw, Noise, Phase
from selectrl.streams import stream
from selectrl.trainer import checkpoint
from selectrl.trainer.config import TrainConfig
from selectrl.trainer.engine import Engine

Record = dict[str, Any]


@attrs.frozen(kw_only=True)
class Trainer:
    """Trains one agent through its phases, and resumes where it stopped.

    Every draw is a pure function of (seed, phase, name, step), so a resumed run is bit-identical to an undisturbed one
    on the same machine, torch version and thread count.

    Attributes:
        engine: parameters and optimisers.
        phases: what to run; the last is ``rl``.
        store: rows of the training tasks, which a phase may prepare from.
        sampler: draws batches from them.
        config: the loop's settings.
        seed: the run's seed.
        folder: the run's folder, for metrics and checkpoints.
        test: (rl step) -> record of a meta-test at this point.
    """

    engine: Engine
    phases: Sequence[Phase]
    store: RowStore
    sampler: Sampler
    config: TrainConfig
    seed: int
    folder: Path
    test: Callable[[int], Record]

    @property
    def total(self) -> int:
        """Steps of all phases together."""
        return sum(phase.steps for phase in self.phases)

    def run(self) -> Iterator[Record]:
        """Train to the end.

        Yields:
            Records, which are also appended to ``metrics.jsonl``: losses (kind ``train``) and meta-tests (``test``).

        Raises:
            RunError: a loss is no longer finite.
            InputError: the run's folder cannot be written to.
        """
        done = self._restore()
        metrics = Metrics(self.folder / "metrics.jsonl")
        before = 0
        for phase in self.phases:
            if done <= before + phase.steps:
                self._enter(phase)
                for record in self._run_phase(phase, before, max(done - before, 0), metrics):
                    yield metrics.write(record)
            before += phase.steps

    def _enter(self, phase: Phase) -> None:
        prepare = phase.prepare
        buffers = prepare(self.engine.agent, self.store, stream(self.seed, phase.name, "prepare")) if prepare else {}
        self.engine.enter(phase, buffers)

    def _run_phase(self, phase: Phase, before: int, start: int, metrics: Metrics) -> Iterator[Record]:
        config, last = self.config, phase is self.phases[-1]
        draws, noise = needs(phase)
        if last and start == 0:
            yield self.test(0)
        clock, counted = time.perf_counter(), start
        for step in range(start, phase.steps):
            batch = self.sampler.batch(phase.name, phase.steps, draws, noise, step)
            values = self.engine.step(batch, step)
            now, end = step + 1, step + 1 == phase.steps
            log, save = (now % every == 0 or end for every in (config.log_every, config.checkpoint_every))
            if log or save:
                scalars = finite({name: value.item() for name, value in values.items()}, phase, step)
            if log:
                rate = (now - counted) / (time.perf_counter() - clock)
                yield {
                    "kind": "train",
                    "phase": phase.name,
                    "step": now,
                    "phase_steps": phase.steps,
                    "steps_per_second": round(rate, 2),
                    "values": scalars,
                }
                clock, counted = time.perf_counter(), now
            if last and (now % config.test_every == 0 or end):
                yield self.test(now)
                clock, counted = time.perf_counter(), now
            if save:
                about = {"step": before + now, "metrics": metrics.size(), "total": self.total}
                checkpoint.save(self.folder, before + now, self.engine.state(), about)

    def _restore(self) -> int:
        """Load the newest checkpoint, drop metrics that are newer, and return how many steps are done."""
        found = checkpoint.newest(self.folder)
        path = self.folder / "metrics.jsonl"
        if found is None:
            path.unlink(missing_ok=True)
            return 0
        state, about = found
        done, before = int(about["step"]), 0
        for phase in self.phases:
            if before < done:  # its optimisers are part of the checkpoint
                self.engine.enter(phase)
            before += phase.steps
        self.engine.load(state)
        size = int(about["metrics"])
        if not path.exists() or path.stat().st_size < size:
            raise InputError(
                f"{path} holds less than the run's checkpoint at step {done} says; restore it, or delete the folder's "
                "checkpoints to begin again"
            )
        with path.open("ab") as handle:
            handle.truncate(size)
        return done


def needs(phase: Phase) -> tuple[list[Draw], list[Noise]]:
    """Return all draws and noise that a phase's encoding and objectives ask for."""
    draws = [*phase.draws, *(draw for objective in phase.objectives for draw in objective.draws)]
    noise = [*phase.noise, *(one for objective in phase.objectives for one in objective.noise)]
    return draws, noise


def finite(values: Mapping[str, float], phase: Phase, step: int) -> dict[str, float]:
    """Return the values if all are finite.

    Raises:
        RunError: one is not; the sentence names it and the step.
    """
    for name, value in values.items():
        if not math.isfinite(value):
            raise RunError(
                f"{name} is {value} at step {step} of phase {phase.name}; the last checkpoint is sound, "
                "lower the learning rate or look at the data before it"
            )
    return dict(values)


class Metrics:
    """Appends records to a JSON-lines file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, record: Record) -> Record:
        """Append a record and return it."""
        with self.path.open("a", encoding="utf-8") as handle:
            handle.write(json.dumps(record, allow_nan=False) + "\n")
        return record

    def size(self) -> int:
        """Return the file's size in bytes."""
        return self.path.stat().st_size if self.path.exists() else 0
