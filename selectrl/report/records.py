"""What a report is made of: runs and evaluations as they lie on disk, and the rows that they add up to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from selectrl.functional.estimates import Floats

Bindings = Mapping[str, Any]


@attrs.frozen
class Omission:
    """Something that was found and left out.

    Attributes:
        path: the run directory or file.
        reason: why, as the end of a sentence.
    """

    path: Path
    reason: str


@attrs.frozen(kw_only=True, eq=False)
class Evaluation:
    """One meta-test of one run.

    Attributes:
        label: name of the evaluation, which is its file's stem.
        collector: bindings of the collector, with its ``part``.
        settings: what must agree before two evaluations may be compared: protocol, prior, budget, block.
        tasks: ids of the test tasks.
        context_steps: environment steps of context before each scored episode; the first scored episode has none.
        returns: (task, repeat, point), undiscounted.
        env_steps: environment steps spent, by purpose.
        traces: file that holds the paths of repeat 0, where there is one.
    """

    label: str
    collector: Bindings
    settings: Bindings
    tasks: tuple[int, ...]
    context_steps: tuple[int, ...]
    returns: Floats
    env_steps: Mapping[str, int]
    traces: Path | None

    @property
    def offline(self) -> bool:
        """Whether the context was read from the test tasks' data instead of being collected."""
        return self.label == "offline" or self.collector.get("part") == "collectors.offline"


@attrs.frozen(kw_only=True, eq=False)
class Run:
    """One finished run: an experiment and a seed.

    Attributes:
        path: its directory.
        env: name of the environment, without its registry.
        folder: name of the folder that holds its seeds.
        method: what it is called: its experiment's name, or the folder's where two folders share a name.
        seed: the seed.
        experiment: the nested bindings.
        execution: versions, dataset, machine; any of them may be missing.
        evaluations: by label.
        own: label of the evaluation with the collector that the experiment binds.
        tested: (step, return) during training, by label.
        speed: median training steps per second, where it was logged.
    """

    path: Path
    env: str
    folder: str
    method: str
    seed: int
    experiment: Bindings
    execution: Bindings
    evaluations: Mapping[str, Evaluation]
    own: str
    tested: Mapping[str, tuple[tuple[int, float], ...]]
    speed: float | None

    @property
    def dataset(self) -> Bindings:
        """What is recorded of the data that it was trained on."""
        found = self.execution.get("dataset")
        return found if isinstance(found, dict) else {}

    @property
    def steps(self) -> int | None:
        """Training steps of the rl phase, where they are bound."""
        train = self.experiment.get("train")
        steps = train.get("steps") if isinstance(train, dict) else None
        return steps if isinstance(steps, int) else None

    @property
    def pretraining(self) -> int:
        """Steps of the phases before the rl phase, as far as they are recorded."""
        phases = self.execution.get("phases")
        steps = phases if isinstance(phases, dict) else {}
        return sum(value for name, value in steps.items() if name != "rl" and isinstance(value, int))


@attrs.frozen(kw_only=True, eq=False)
class Row:
    """One method under one collector: all seeds of one folder that were evaluated under one label.

    Attributes:
        method: what its runs are called.
        label: the evaluation's label.
        own: whether this is the collector that the method binds.
        runs: its runs, by seed.
    """

    method: str
    label: str
    own: bool
    runs: tuple[Run, ...]

    @property
    def evaluation(self) -> Evaluation:
        """The first seed's evaluation, which stands for all in everything but returns."""
        return self.runs[0].evaluations[self.label]

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds."""
        return tuple(run.seed for run in self.runs)

    @property
    def scores(self) -> Floats:
        """Returns averaged over repeats, (seed, task, point)."""
        return np.stack([run.evaluations[self.label].returns.mean(axis=1) for run in self.runs])

    @property
    def name(self) -> str:
        """How figures and tables call the row."""
        return self.method if self.own else f"{self.method} · {self.label}"


@attrs.frozen(kw_only=True, eq=False)
class Family:
    """All rows of one environment.

    Attributes:
        env: name of the environment.
        rows: by method, each method's own collector first.
    """

    env: str
    rows: tuple[Row, ...]

    @property
    def methods(self) -> tuple[Row, ...]:
        """One row per method: the one under its own collector."""
        return tuple(row for row in self.rows if row.own)

    @property
    def title(self) -> str:
        """The environment's name as papers write it."""
        return "-".join(word[:1].upper() + word[1:] for word in self.env.split("_"))
