"""The records of a report: runs and evaluations as stored, and the rows that they form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple, TypeAlias

import attrs
import numpy as np

from selectrl.arrays import Array, DoubleArray
from selectrl.errors import printable
from selectrl.runs.arrays import Traces
from selectrl.runs.execution import ExecutionRecord
from selectrl.runs.fairness import FairnessRecord
from selectrl.runs.reading import Bindings

Curve: TypeAlias = tuple[tuple[int, float], ...]

EQUAL_BUDGET = "equal_budget"


@attrs.frozen
class Omission:
    """Something that a report leaves out.

    Attributes:
        path: the run directory or file, below the folder that was given.
        reason: why, as the end of a sentence.
    """

    path: Path
    reason: str

    @property
    def name(self) -> str:
        """The path as text that can be printed and encoded."""
        return printable(str(self.path))

    def record(self) -> dict[str, str]:
        """Return it as JSON values."""
        return {"path": self.name, "reason": self.reason}


@attrs.frozen
class Report:
    """A report that was written.

    Attributes:
        page: the page, ``index.html``.
        left_out: runs, files and folders that could not be used, and why; the page lists them too.
    """

    page: Path
    left_out: tuple[Omission, ...]


class Diagnostics(NamedTuple):
    """Beliefs of a trained encoder on stored data.

    Attributes:
        arrays: ``train_latents`` and ``test_latents`` (task, draw, latent), with ``train_parameters`` and
            ``test_parameters`` (task, parameter); empty where they were not kept.
        follow: how far z follows a donor's states and actions (1) and not the true task's rewards (0) when the two
            disagree; absent where tasks differ in their dynamics.
    """

    arrays: Mapping[str, Array]
    follow: float | None


@attrs.frozen(kw_only=True, eq=False)
class Evaluation:
    """One meta-test of one run.

    Attributes:
        label: name of the evaluation, which is its file's stem.
        collector: bindings of the collector, with its ``part``.
        settings: how it was tested: protocol, prior, budget, block, test_seed, and under ``paper`` gate.
        tasks: ids of the test tasks.
        context_steps: environment steps of context before each scored episode; the first scored episode has none.
        returns: (task, repeat, point), undiscounted.
        env_steps: environment steps spent, by purpose.
        other_data: fingerprint of the data that it read, where these are not the run's own.
        other_code: an outside part whose source code was not the one that the run was trained with, where there is one.
        quirks: in what a published protocol departs from the usual one, in words.
        traces: what it left besides, where it did.
    """

    label: str
    collector: Bindings
    settings: Bindings
    tasks: tuple[int, ...]
    context_steps: tuple[int, ...]
    returns: DoubleArray
    env_steps: Mapping[str, int]
    other_data: str | None = None
    other_code: str | None = None
    quirks: tuple[str, ...] = ()
    traces: Traces | None = None

    @property
    def protocol(self) -> str:
        """The protocol of the test: ``equal_budget``, or ``paper`` for the protocol its authors published."""
        return str(self.settings["protocol"])

    @property
    def repeats(self) -> int:
        """Independent repeats per task."""
        return int(self.returns.shape[1])

    @property
    def of_the_run(self) -> bool:
        """Whether it was made with the data and the source code that the run was trained with."""
        return self.other_data is None and self.other_code is None

    @property
    def offline(self) -> bool:
        """Whether the context was read from the test tasks' data instead of being collected."""
        return self.label == "offline" or self.collector.get("part") == "collectors.offline"


@attrs.frozen(kw_only=True, eq=False)
class LoadedRun:
    """One finished run: an experiment and a seed.

    Attributes:
        path: its directory below the folder that was read.
        env: name of the environment, without its registry.
        folder: name of the folder that holds its seeds.
        method: name of the method: its experiment's name, or the folder's where two folders share a name.
        seed: the seed.
        experiment: the nested bindings.
        execution: how it was trained, where that is recorded.
        changed: outside parts whose source code has changed since, as far as they are installed here.
        evaluations: by label.
        own: label of the evaluation with the collector that the experiment binds, by protocol.
        tested: (step, return) during training, by label.
        values: (step, value) of what losses logged in the rl phase, by name.
        speed: median training steps per second, where it was logged.
        diagnostics: what its encoder makes of stored data, where it was asked.
        fairness: what the comparison it belongs to says of its fairness, where it was one.
    """

    path: Path
    env: str
    folder: str
    method: str
    seed: int
    experiment: Bindings
    execution: ExecutionRecord | None
    changed: tuple[str, ...]
    evaluations: Mapping[str, Evaluation]
    own: Mapping[str, str]
    tested: Mapping[str, Curve]
    values: Mapping[str, Curve]
    speed: float | None
    diagnostics: Diagnostics | None
    fairness: FairnessRecord | None

    @property
    def steps(self) -> int:
        """Training steps of the rl phase."""
        return int(self.experiment["train"]["steps"])

    @property
    def terminals(self) -> str:
        """The rule for the end of an episode in its training."""
        data = self.experiment.get("data")
        bound = data.get("terminals") if isinstance(data, dict) else None
        return str(bound or "not recorded")

    def tested_like(self, evaluation: Evaluation) -> Curve:
        """Return its learning curve where it was tested while training as in an evaluation, but for repeats."""
        test = self.experiment.get("test")
        bound = {"protocol": EQUAL_BUDGET, **(test if isinstance(test, dict) else {})}
        bound["test_seed"] = bound.get("seed")
        alike = all(
            None in (value, bound.get(name)) or value == bound[name] for name, value in evaluation.settings.items()
        )
        part = str(evaluation.collector.get("part", "")).rpartition(".")[2]
        return self.tested.get(part, ()) if alike and evaluation.collector == self.experiment.get("collector") else ()

    @property
    def pretraining(self) -> int:
        """Steps of the phases before the rl phase, as far as they are recorded."""
        return self.execution.pretraining if self.execution else 0


@attrs.frozen(kw_only=True, eq=False)
class Row:
    """One method under one collector: all seeds of one folder that were evaluated under one label.

    Attributes:
        method: name of its runs.
        label: the evaluation's label.
        own: whether the method is reported under it: the collector that it binds, or its first seed where seeds differ.
        runs: its runs, by seed.
    """

    method: str
    label: str
    own: bool
    runs: tuple[LoadedRun, ...]

    @property
    def evaluation(self) -> Evaluation:
        """The first seed's evaluation, which stands for all in everything but returns."""
        return self.runs[0].evaluations[self.label]

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds."""
        return tuple(run.seed for run in self.runs)

    @property
    def scores(self) -> DoubleArray:
        """Returns averaged over repeats, (seed, task, point)."""
        return np.stack([run.evaluations[self.label].returns.mean(axis=1) for run in self.runs])

    @property
    def learning(self) -> tuple[DoubleArray, DoubleArray]:
        """Returns of meta-tests while training: the steps that every seed was tested at (point,), and (seed, point)."""
        return shared_steps(run.tested_like(self.evaluation) for run in self.runs)

    def logged(self, name: str) -> tuple[DoubleArray, DoubleArray]:
        """Return the values that losses logged under a name: steps (point,), and values (seed, point)."""
        return shared_steps(run.values.get(name, ()) for run in self.runs)

    @property
    def name(self) -> str:
        """The name of the row in figures and tables."""
        return self.method if self.own else f"{self.method} · {self.label}"


@attrs.frozen(kw_only=True, eq=False)
class Family:
    """All rows of one environment under one protocol.

    Attributes:
        env: name of the environment.
        protocol: how its rows were tested.
        rows: by method, each method's own collector first.
    """

    env: str
    protocol: str
    rows: tuple[Row, ...]

    @property
    def name(self) -> str:
        """Stem of its files."""
        return self.env if self.protocol == EQUAL_BUDGET else f"{self.env}_{self.protocol}"

    @property
    def methods(self) -> tuple[Row, ...]:
        """One row per method: the one under its own collector."""
        return tuple(row for row in self.rows if row.own)

    def own(self, method: str) -> Row:
        """Return a method's row under its own collector."""
        return next(row for row in self.methods if row.method == method)

    def offline(self, method: str) -> Row | None:
        """Return a method's row with context from the test tasks' data that was otherwise tested as its own row was."""
        settings = self.own(method).evaluation.settings
        rows = (row for row in self.rows if row.method == method and row.evaluation.offline)
        alike = (row for row in rows if row.evaluation.settings == settings and row.evaluation.of_the_run)
        return next(alike, None)

    @property
    def title(self) -> str:
        """The environment's name as papers write it."""
        env = "-".join(word[:1].upper() + word[1:] for word in self.env.split("_"))
        return env if self.protocol == EQUAL_BUDGET else f"{env}, protocol “{self.protocol}”"


def shared_steps(curves: Iterable[Curve]) -> tuple[DoubleArray, DoubleArray]:
    """Return the steps that all curves but empty ones have, (point,), and those curves at them, (curve, point)."""
    points = [dict(curve) for curve in curves if curve]
    steps = sorted(set.intersection(*map(set, points))) if points else []
    return np.array(steps, dtype=float), np.array([[curve[step] for step in steps] for curve in points])
