"""The record of a meta-test of a trained run. Free of torch and NumPy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import attrs

from selectrl.errors import RecordError
from selectrl.runs.layout import evaluation_file
from selectrl.runs.reading import LEFT_OUT, SCHEMA, Bindings, FileRecord, json_key, with_file


@attrs.frozen(kw_only=True)
class TestedState(FileRecord):
    """The checkpoint that was tested.

    Attributes:
        step: steps of all phases together.
        digest: checksum of its tensors.
    """

    __test__ = False  # keeps pytest from collecting it

    step: int
    digest: str


@attrs.frozen(kw_only=True)
class RunFacts:
    """Facts of a run that its evaluations must agree with.

    Attributes:
        env: its environment.
        seed: its seed.
        key: key of its experiment.
        steps: training steps of its rl phase.
        tasks: tasks that it may be tested on; None where its task family cannot be built.
    """

    env: str
    seed: int
    key: str
    steps: int
    tasks: frozenset[int] | None


@attrs.frozen(kw_only=True)
class EvaluationRecord(FileRecord):
    """One meta-test of one run.

    Attributes:
        schema: version of the format.
        label: name of the evaluation when it was written; the file's name decides.
        env: the environment.
        collector: bindings of the collector.
        train_step: rl steps of the checkpoint.
        checkpoint: the checkpoint; absent from records of earlier versions.
        seed: seed of the run.
        key: key of the run's experiment; absent from records of earlier versions.
        protocol: ``equal_budget``, or ``paper`` for a published schedule.
        budget: environment steps of context.
        block: environment steps of a block of context.
        repeats: independent repeats per task.
        prior: the belief before any context.
        test_seed: seed of common random numbers.
        tasks: ids of the test tasks.
        context_steps: environment steps of context before each scored episode.
        returns: (task, repeat, point), undiscounted.
        final_return: mean return of the last scored episodes.
        interval: 95 % interval of that mean, over repeats within tasks.
        context_free: mean return before any context.
        curve: mean return at each point.
        area: area below the curve.
        return_per_task: mean final return of each task.
        return_per_repeat: mean final return of each repeat.
        env_steps: environment steps spent, by purpose.
        quirks: deviations of a published protocol from the usual one; absent under ``equal_budget``, like the
            next four.
        gate: number of episodes before a published schedule first reads the belief.
        scored_episodes: (task, repeat), how many were scored.
        context_of_last: (task, repeat), steps of context that the last belief had read.
        return_all_episodes: mean return of all episodes.
        dataset: fingerprint of the data that it read; None where it read none.
        versions: of this package and of libraries; absent from records of earlier versions, as the next two.
        plugins: versions of the packages that parts come from.
        sources: fingerprints of the source code of outside parts, by part.
    """

    schema: int = SCHEMA
    label: str
    env: str
    collector: Bindings
    train_step: int
    checkpoint: TestedState | None = attrs.field(default=None, metadata=LEFT_OUT)
    seed: int
    key: str | None = attrs.field(default=None, metadata=LEFT_OUT)
    protocol: str
    budget: int
    block: int
    repeats: int
    prior: str
    test_seed: int
    tasks: tuple[int, ...]
    context_steps: tuple[int, ...]
    returns: tuple[tuple[tuple[float, ...], ...], ...]
    final_return: float = attrs.field(metadata=json_key("return"))
    interval: tuple[float, float]
    context_free: float
    curve: tuple[float, ...]
    area: float
    return_per_task: tuple[float, ...]
    return_per_repeat: tuple[float, ...]
    env_steps: Mapping[str, int]
    quirks: tuple[str, ...] | None = attrs.field(default=None, metadata=LEFT_OUT)
    gate: int | None = attrs.field(default=None, metadata=LEFT_OUT)
    scored_episodes: tuple[tuple[int, ...], ...] | None = attrs.field(default=None, metadata=LEFT_OUT)
    context_of_last: tuple[tuple[int, ...], ...] | None = attrs.field(default=None, metadata=LEFT_OUT)
    return_all_episodes: float | None = attrs.field(default=None, metadata=LEFT_OUT)
    dataset: str | None = None
    versions: Mapping[str, str] | None = attrs.field(default=None, metadata=LEFT_OUT)
    plugins: Mapping[str, str] | None = attrs.field(default=None, metadata=LEFT_OUT)
    sources: Mapping[str, str] | None = attrs.field(default=None, metadata=LEFT_OUT)

    @classmethod
    def read(cls, folder: Path, label: str) -> Self:
        """Read an evaluation of a run; errors as :meth:`read_file`."""
        return cls.read_file(evaluation_file(folder, label))

    @classmethod
    def read_if_sound(cls, folder: Path, label: str) -> Self | None:
        """Read an evaluation of a run, None where it must be made again; see :meth:`read_file_if_sound`."""
        return cls.read_file_if_sound(evaluation_file(folder, label))

    def write(self, folder: Path) -> None:
        """Write the evaluation below a run, under its label."""
        self.write_file(evaluation_file(folder, self.label))

    @property
    def identity(self) -> dict[str, Any]:
        """Collector, settings, data and source code, see :mod:`selectrl.runs.identity`."""
        names = (
            "key",
            "collector",
            "protocol",
            "budget",
            "repeats",
            "prior",
            "test_seed",
            "gate",
            "dataset",
            "sources",
        )
        return {name: getattr(self, name) for name in names}

    def check(self) -> None:
        """Check that returns, tasks, repeats, points and budget agree."""
        if not self.protocol.isidentifier():  # it names files
            raise RecordError(f"protocol: {self.protocol!r:.80} is not the name of a protocol")
        if len(set(self.tasks)) < len(self.tasks):
            raise RecordError("tasks: a task is tested twice")
        if any(later <= earlier for earlier, later in pairwise(self.context_steps)):
            raise RecordError("context_steps: they do not increase")
        if self.context_steps and self.context_steps[-1] > self.budget:
            last = self.context_steps[-1]
            raise RecordError(f"context_steps: they end at {last:,}, beyond the budget of {self.budget:,}")
        shape = (len(self.tasks), self.repeats, len(self.context_steps))
        rows = [len(row) for row in self.returns] + [shape[1]] * (0 in shape)
        points = {len(episodes) for row in self.returns for episodes in row}
        if 0 in shape or len(self.returns) != shape[0] or set(rows) != {shape[1]} or points != {shape[2]}:
            raise RecordError(f"returns: they are not of {shape[0]} tasks, {shape[1]} repeats and {shape[2]} points")

    def check_run(self, file: Path, run: RunFacts) -> None:
        """Check that the evaluation agrees with its run.

        Args:
            file: the evaluation's file, for the sentence.
            run: facts of the run.

        Raises:
            RecordError: it does not belong to this run's trained policy; the sentence names file and field.
        """
        try:
            self._check_run(run)
        except RecordError as error:
            raise RecordError(with_file(file, error)) from error

    def _check_run(self, run: RunFacts) -> None:
        if self.env != run.env:
            raise RecordError(f"env: evaluated on {self.env}, but the run is one of {run.env}")
        if self.seed != run.seed:
            raise RecordError(f"seed: it is {self.seed}, but that of the run is {run.seed}")
        if self.key not in (None, run.key):
            raise RecordError(f"key: the test is of the experiment {self.key:.80}, but that of the run is {run.key}")
        if self.train_step < run.steps:
            raise RecordError(f"train_step: half-finished, evaluated at step {self.train_step:,} of {run.steps:,}")
        if self.train_step > run.steps:
            raise RecordError(f"train_step: {self.train_step:,} is beyond the run's {run.steps:,} steps")
        if run.tasks is not None and not run.tasks >= set(self.tasks):
            other = min(set(self.tasks) - run.tasks)
            raise RecordError(f"tasks: task {other} is not a test task of the run, which are {_list_tasks(run.tasks)}")


def _list_tasks(tasks: Iterable[int]) -> str:
    """Return tasks in order, the first and the last of them where there are many."""
    names = [str(task) for task in sorted(tasks)]
    return ", ".join(names if len(names) <= 12 else [*names[:8], "…", names[-1]])
