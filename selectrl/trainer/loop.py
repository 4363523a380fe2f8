"""The one training loop. It knows phases, steps and checkpoints, and no algorithm."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import attrs

from selectrl.data.rows import RowStore
from selectrl.data.sampler import Sampler
from selectrl.errors import InputError
from selectrl.protocols import Phase
from selectrl.runs import checkpoint
from selectrl.runs.metrics import Line, LossLine, Metrics, TestLine
from selectrl.runs.reading import JsonObject
from selectrl.stopping import defer_signals
from selectrl.trainer.config import TrainConfig
from selectrl.trainer.engine import Engine, fetched
from selectrl.trainer.guard import Guard
from selectrl.trainer.stage import Stage


@attrs.frozen(kw_only=True)
class Member:
    """One seed of a training, with its phases, draws and folder.

    Attributes:
        phases: phases of its agent; the last is ``rl``.
        sampler: draws its batches.
        folder: its run's folder, for metrics and checkpoints.
        test: (rl step) -> a meta-test of its agent with the present parameters.
        record: JSON that its checkpoints carry; its ``key`` and ``seed`` must equal those of a loaded checkpoint.
    """

    phases: Sequence[Phase]
    sampler: Sampler
    folder: Path
    test: Callable[[int], TestLine]
    record: JsonObject = attrs.field(factory=dict)

    @property
    def metrics(self) -> Metrics:
        """The file that its records go to."""
        return Metrics.of(self.folder)


@attrs.frozen(kw_only=True)
class Trainer:
    """Trains one agent, or several seeds of it in parallel, through its phases, and resumes where it stopped.

    Every draw is a pure function of (seed, phase, name, step), so a resumed run is bit-identical to an undisturbed one
    on the same machine, torch version and thread count, and a seed in a population draws what it draws alone.

    Attributes:
        engine: parameters and optimisers of all members.
        store: rows of the training tasks, which a phase may prepare from.
        members: the seeds, in the engine's order; they continue from the newest step that each has a checkpoint of, or
            begin again.
        config: the loop's settings.
    """

    engine: Engine
    store: RowStore
    members: Sequence[Member]
    config: TrainConfig

    @property
    def phases(self) -> Sequence[Phase]:
        """The phases of the first member, whose losses the engine runs."""
        return self.members[0].phases

    @property
    def total(self) -> int:
        """Steps of all phases together."""
        return sum(phase.steps for phase in self.phases)

    def stage(self, place: int) -> Stage:
        """Return the phase at a place in the order of phases, for all members."""
        return Stage(
            engine=self.engine,
            phases=[member.phases[place] for member in self.members],
            store=self.store,
            samplers=[member.sampler for member in self.members],
        )

    def run(self) -> Iterator[tuple[int, JsonObject]]:
        """Train to the end.

        Yields:
            A member's place and its record, which is also appended to its metrics: losses (kind ``train``)
            and meta-tests (``test``).

        Raises:
            RunError: a loss, a parameter or a return is no longer finite.
            InputError: a run's folder cannot be written to.
            Interrupted: a signal asked to stop; the last step is finished and saved.
        """
        done, before = self._restore(), 0
        with defer_signals() as stopping:
            for place, phase in enumerate(self.phases):
                if done <= before + phase.steps and not stopping():
                    stage = self.stage(place)
                    stage.enter()
                    for member, line in self._run_stage(stage, before, max(done - before, 0), stopping):
                        yield member, self.members[member].metrics.write(line)
                before += phase.steps

    def _run_stage(
        self, stage: Stage, before: int, start: int, stopping: Callable[[], bool]
    ) -> Iterator[tuple[int, Line]]:
        config, phase = self.config, stage.phase
        last = phase is self.phases[-1]
        guard = Guard(phase=phase.name, batch=stage.batch, folders=[member.folder for member in self.members])
        if last and start == 0:
            yield from self._tested(0)
        clock, counted = time.perf_counter(), start
        for step in range(start, phase.steps):
            values = stage.step(step)
            guard.watch(step, values)
            now, end, stop = step + 1, step + 1 == phase.steps, stopping()
            every = (config.log_every, config.test_every, config.checkpoint_every)
            log, test, save = (now % period == 0 or end for period in every)
            if log or test or save or stop:
                guard.check_losses()
            if test or save or stop:
                for place in range(len(self.members)):
                    guard.check_state(step, place, self.engine.state(place))
            if log:
                rate = (now - counted) / (time.perf_counter() - clock)
                line = partial(LossLine, phase=phase.name, step=now, phase_steps=phase.steps)
                for place, losses in enumerate(fetched(values, len(self.members))):
                    yield place, line(steps_per_second=round(rate, 2), values=losses)
                clock, counted = time.perf_counter(), now
            if last and test:
                yield from self._tested(now)
                clock, counted = time.perf_counter(), now
            if save or stop:
                self._save(before + now, phase.name)
            if stop:
                return

    def _tested(self, step: int) -> Iterator[tuple[int, Line]]:
        self.engine.sync()
        for place, member in enumerate(self.members):
            yield place, member.test(step)

    def _save(self, step: int, phase: str) -> None:
        for place, member in enumerate(self.members):
            metrics = (
                member.metrics.flush()
            )  # before the checkpoint that counts on them: a power cut may come in between
            state = self.engine.state(place)
            saved = checkpoint.Checkpoint(state, step, self.total, metrics, phase, member.record)
            checkpoint.save(member.folder, saved)

    def _restore(self) -> int:
        """Load the newest checkpoints, drop what is newer than they are, and return how many steps are done."""
        saved = checkpoint.read_shared([member.folder for member in self.members])
        done = self._load(saved) if saved else 0
        for member in self.members:  # before their metrics are cut: a power cut may come in between
            checkpoint.set_later_aside(member.folder, done)
        for place, member in enumerate(self.members):
            member.metrics.cut(saved[place].metrics if saved else 0)
        return done

    def _load(self, checkpoints: Sequence[checkpoint.Checkpoint]) -> int:
        """Load a checkpoint of each member, all of one step, and return that step."""
        for member, saved in zip(self.members, checkpoints, strict=True):
            if any(
                saved.record.get(name, member.record.get(name)) != member.record.get(name) for name in ("key", "seed")
            ):
                raise InputError(
                    f"the newest checkpoint in {member.folder} is of another experiment or seed; delete it, or choose "
                    "another folder"
                )
        done, before = checkpoints[0].step, 0
        for phase in self.phases:
            if before < done:  # its optimisers are part of the checkpoint
                self.engine.enter(phase)
            before += phase.steps
        self.engine.load([saved.state for saved in checkpoints])
        return done
