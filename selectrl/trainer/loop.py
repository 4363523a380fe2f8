"""The one training loop. It knows phases, steps and checkpoints, and no algorithm."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import attrs

from selectrl.data.rows import RowStore
from selectrl.data.sampler import Sampler
from selectrl.protocols import Draw, Noise, Phase
from selectrl.streams import stream
from selectrl.trainer import checkpoint
from selectrl.trainer.config import TrainConfig
from selectrl.trainer.engine import Engine, stacked
from selectrl.trainer.metrics import Metrics, Record, fetched, finite


@attrs.frozen(kw_only=True)
class Member:
    """One seed of a training: what it draws, and where it writes.

    Attributes:
        seed: the seed.
        sampler: draws its batches.
        folder: its run's folder, for metrics and checkpoints.
        test: (rl step) -> record of a meta-test of its agent, which holds what was trained so far.
    """

    seed: int
    sampler: Sampler
    folder: Path
    test: Callable[[int], Record]

    @property
    def metrics(self) -> Metrics:
        """The file that its records go to."""
        return Metrics(self.folder / "metrics.jsonl")


@attrs.frozen(kw_only=True)
class Trainer:
    """Trains one agent, or several seeds of it side by side, through its phases, and resumes where it stopped.

    Every draw is a pure function of (seed, phase, name, step), so a resumed run is bit-identical to an undisturbed one
    on the same machine, torch version and thread count, and a seed in a population draws what it draws alone.

    Attributes:
        engine: parameters and optimisers of all members.
        phases: what to run; the last is ``rl``.
        store: rows of the training tasks, which a phase may prepare from.
        members: the seeds, in the engine's order; their newest checkpoints are of one step.
        config: the loop's settings.
    """

    engine: Engine
    phases: Sequence[Phase]
    store: RowStore
    members: Sequence[Member]
    config: TrainConfig

    @property
    def total(self) -> int:
        """Steps of all phases together."""
        return sum(phase.steps for phase in self.phases)

    def run(self) -> Iterator[tuple[int, Record]]:
        """Train to the end.

        Yields:
            A member's place and its record, which is also appended to its ``metrics.jsonl``: losses (kind ``train``)
            and meta-tests (``test``).

        Raises:
            RunError: a loss is no longer finite.
            InputError: a run's folder cannot be written to.
        """
        done, before = self._restore(), 0
        for phase in self.phases:
            if done <= before + phase.steps:
                self._enter(phase)
                for place, record in self._run_phase(phase, before, max(done - before, 0)):
                    yield place, self.members[place].metrics.write(record)
            before += phase.steps

    def _enter(self, phase: Phase) -> None:
        if phase.prepare is None:
            self.engine.enter(phase)
            return
        self.engine.sync()
        pairs = zip(self.engine.agents, self.members, strict=True)
        made = [phase.prepare(agent, self.store, stream(one.seed, phase.name, "prepare")) for agent, one in pairs]
        self.engine.enter(phase, stacked(made))

    def _run_phase(self, phase: Phase, before: int, start: int) -> Iterator[tuple[int, Record]]:
        config, last = self.config, phase is self.phases[-1]
        draws, noise = needs(phase)
        if last and start == 0:
            yield from self._tested(0)
        clock, counted = time.perf_counter(), start
        for step in range(start, phase.steps):
            drawn = [one.sampler.batch(phase.name, phase.steps, draws, noise, step) for one in self.members]
            values = self.engine.step(stacked(drawn), step)
            now, end = step + 1, step + 1 == phase.steps
            log, save = (now % every == 0 or end for every in (config.log_every, config.checkpoint_every))
            if log or save:
                scalars = [finite(one, phase, step) for one in fetched(values, len(self.members))]
            if log:
                rate = (now - counted) / (time.perf_counter() - clock)
                about = {"kind": "train", "phase": phase.name, "step": now, "phase_steps": phase.steps}
                for place, found in enumerate(scalars):
                    yield place, {**about, "steps_per_second": round(rate, 2), "values": found}
                clock, counted = time.perf_counter(), now
            if last and (now % config.test_every == 0 or end):
                yield from self._tested(now)
                clock, counted = time.perf_counter(), now
            if save:
                self._save(before + now)

    def _tested(self, step: int) -> Iterator[tuple[int, Record]]:
        self.engine.sync()
        for place, one in enumerate(self.members):
            yield place, one.test(step)

    def _save(self, step: int) -> None:
        for place, one in enumerate(self.members):
            about = {"step": step, "metrics": one.metrics.size(), "total": self.total}
            checkpoint.save(one.folder, step, self.engine.state(place), about)

    def _restore(self) -> int:
        """Load the newest checkpoints, drop metrics that are newer, and return how many steps are done."""
        found = [(one, checkpoint.newest(one.folder)) for one in self.members]
        sound = [(one, *pair) for one, pair in found if pair is not None]
        if not sound:
            for one in self.members:
                one.metrics.path.unlink(missing_ok=True)
            return 0
        done, before = int(sound[0][2]["step"]), 0
        for phase in self.phases:
            if before < done:  # its optimisers are part of the checkpoint
                self.engine.enter(phase)
            before += phase.steps
        self.engine.load([state for _, state, _ in sound])
        for one, _, about in sound:
            one.metrics.cut(int(about["metrics"]), done)
        return done


def needs(phase: Phase) -> tuple[list[Draw], list[Noise]]:
    """Return all draws and noise that a phase's encoding and objectives ask for."""
    draws = [*phase.draws, *(draw for objective in phase.objectives for draw in objective.draws)]
    noise = [*phase.noise, *(one for objective in phase.objectives for one in objective.noise)]
    return draws, noise
