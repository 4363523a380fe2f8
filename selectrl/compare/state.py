"""How far runs are, read from their directories alone: no scheduler and no accounting is asked."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import attrs

from selectrl.compare.plan import Plan
from selectrl.errors import InputError
from selectrl.experiment.config import Experiment, to_record
from selectrl.experiment.execution import Execution
from selectrl.experiment.labels import label_of
from selectrl.experiment.provenance import changed_part, source_fingerprints, trained_parts
from selectrl.experiment.stored import read_experiment
from selectrl.launch.job import Job
from selectrl.runs.evaluation import EvaluationRecord
from selectrl.runs.execution import ExecutionRecord
from selectrl.runs.identity import identity_of, is_wanted
from selectrl.runs.metrics import LossLine, Metrics


@attrs.frozen(kw_only=True)
class Estimate:
    """What a plan takes.

    Attributes:
        runs: runs in all.
        done: of which are finished, tests included.
        steps: training steps in all, those before the rl phase included.
        left: of which are still to be done.
        seconds: wall time for what is left at the speed of earlier runs; ``None`` where none has been timed.
    """

    runs: int
    done: int
    steps: int
    left: int
    seconds: float | None


def first_of(folder: Path) -> Experiment | None:
    """Return the experiment that a run directory was begun with, ``None`` where there is no sound record to read.

    Whoever needs the run itself ends with the sentence why; here it counts as not done, and nothing is written.
    """
    try:
        return read_experiment(folder)[0]
    except InputError:
        return None


def is_done(job: Job) -> bool:
    """Say whether a run is trained with today's parts and every meta-test that is wanted of it is there.

    A run that is not done is carried out, which refuses a file that cannot be read and replaces none.
    """
    try:
        return _is_done(job)
    except InputError:
        return False


def _is_done(job: Job) -> bool:
    first = first_of(job.folder)
    if first is None or first.key != job.experiment.key:
        return False
    execution = ExecutionRecord.read_if_there(job.folder)
    if changed_part(execution, job.experiment):
        return False
    fingerprint = execution.dataset.fingerprint if execution else None
    for collector, test in job.wanted:
        sources = source_fingerprints(*trained_parts(job.experiment), collector)
        wanted = identity_of(to_record(collector), to_record(test), fingerprint, sources)
        record = EvaluationRecord.read_if_sound(job.folder, label_of(collector, test, first))
        if not is_wanted(record, job.experiment.train.steps, wanted):
            return False
    return True


def pretraining(experiment: Experiment) -> int:
    """Return the steps of the phases before rl, which an encoder binds in fields that are called so."""

    def count(record: Any) -> int:
        if not isinstance(record, dict):
            return 0
        own = sum(value for name, value in record.items() if name.endswith("steps") and isinstance(value, int))
        return own + sum(count(value) for value in record.values())

    return count(to_record(experiment.encoder))


def reached(folder: Path) -> tuple[int, list[float]]:
    """Return the training steps that a run's metrics tell of, all phases together, and the speeds that they log."""
    last: dict[str, int] = {}
    speeds = []
    with suppress(InputError):  # which the run itself will end with; nothing is timed
        for _, line in Metrics.of(folder).read().lines:
            if isinstance(line, LossLine):
                last[line.phase] = line.step
                speeds.append(line.steps_per_second)
    return sum(last.values()), speeds


def estimate(plan: Plan, side_by_side: int, timed: Mapping[Path, float] | None = None) -> Estimate:
    """Say what a plan takes, at the speeds that this method's runs, or failing that the environment's, have logged.

    Args:
        plan: the comparison.
        side_by_side: runs at a time.
        timed: seconds of a whole training by the folder of a policy, for those that have not run yet.
    """
    jobs = plan.jobs(Execution())
    whole = left = done = 0
    todo: list[tuple[Job, int]] = []
    by_folder: dict[Path, list[float]] = {}
    by_env: dict[str, list[float]] = {}
    for job in jobs:
        steps = job.experiment.train.steps + pretraining(job.experiment)
        at, speeds = reached(job.folder)
        by_folder.setdefault(job.folder.parent, []).extend(speeds)
        by_env.setdefault(job.experiment.env_name, []).extend(speeds)
        whole += steps
        if is_done(job):
            done += 1
        else:
            todo.append((job, max(steps - at, 0)))
            left += todo[-1][1]
    paces: list[float | None] = []  # seconds per step
    for job, _ in todo:
        rates = by_folder[job.folder.parent]
        if not rates and timed:
            paces.append(timed[job.folder.parent] / (job.experiment.train.steps + pretraining(job.experiment)))
            continue
        rates = rates or by_env[job.experiment.env_name]
        paces.append(len(rates) / sum(rates) if rates else None)
    seconds = None
    if None not in paces:
        spent = sum(steps * (pace or 0.0) for (_, steps), pace in zip(todo, paces, strict=True))
        seconds = spent / max(1, min(side_by_side, len(todo)))
    return Estimate(runs=len(jobs), done=done, steps=whole, left=left, seconds=seconds)
