"""The progress of runs, read only from their directories, not from a scheduler."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import attrs

from selectrl.compare.plan import ComparisonPlan
from selectrl.errors import InputError
from selectrl.experiment.config import Experiment, to_record
from selectrl.experiment.execution import Execution
from selectrl.experiment.labels import make_label
from selectrl.experiment.provenance import changed_part, source_fingerprints, trained_parts
from selectrl.experiment.stored import read_experiment
from selectrl.launch.job import Job
from selectrl.runs.evaluation import EvaluationRecord
from selectrl.runs.execution import ExecutionRecord
from selectrl.runs.identity import identity_of, is_wanted
from selectrl.runs.metrics import LossLine, Metrics


@attrs.frozen(kw_only=True)
class CostEstimate:
    """The cost of a plan.

    Attributes:
        runs: runs in all.
        done: finished runs, tests included.
        steps: training steps in all, those before the rl phase included.
        left: training steps that are still to be done.
        seconds: wall time of the steps left at the speed of earlier runs; ``None`` where no speed was measured.
    """

    runs: int
    done: int
    steps: int
    left: int
    seconds: float | None


def find_first_experiment(folder: Path) -> Experiment | None:
    """Return the experiment that a run directory was started with, ``None`` where there is no sound record.

    A damaged record counts as not done here, and nothing is written; the run itself will end with the reason.
    """
    try:
        return read_experiment(folder)[0]
    except InputError:
        return None


def is_done(job: Job) -> bool:
    """Return whether a run is trained with the current parts and has all its meta-tests.

    A run that is not done is executed, which refuses an unreadable file and does not replace it.
    """
    try:
        return _is_done(job)
    except InputError:
        return False


def _is_done(job: Job) -> bool:
    first = find_first_experiment(job.folder)
    if first is None or first.key != job.experiment.key:
        return False
    execution = ExecutionRecord.read_if_there(job.folder)
    if changed_part(execution, job.experiment):
        return False
    fingerprint = execution.dataset.fingerprint if execution else None
    for collector, test in job.meta_tests:
        sources = source_fingerprints(*trained_parts(job.experiment), collector)
        wanted = identity_of(first.key, to_record(collector), to_record(test), fingerprint, sources)
        record = EvaluationRecord.read_if_sound(job.folder, make_label(collector, test, first))
        if not is_wanted(record, job.experiment.train.steps, wanted):
            return False
    return True


def count_pretraining_steps(experiment: Experiment) -> int:
    """Return the steps of the phases before rl, which an encoder binds in fields whose names end in ``steps``."""

    def count(record: Any) -> int:
        if not isinstance(record, dict):
            return 0
        own = sum(value for name, value in record.items() if name.endswith("steps") and isinstance(value, int))
        return own + sum(count(value) for value in record.values())

    return count(to_record(experiment.encoder))


def read_progress(folder: Path) -> tuple[int, list[float]]:
    """Return the training steps in a run's metrics, all phases together, and the logged speeds."""
    last: dict[str, int] = {}
    speeds = []
    with suppress(InputError):  # the run itself will end with it; nothing is timed
        for _, line in Metrics.of(folder).read().lines:
            if isinstance(line, LossLine):
                last[line.phase] = line.step
                speeds.append(line.steps_per_second)
    return sum(last.values()), speeds


def estimate_cost(plan: ComparisonPlan, max_parallel: int, timed: Mapping[Path, float] | None = None) -> CostEstimate:
    """Return the cost of a plan, at the logged speeds of the method's runs, or otherwise of the environment's runs.

    Args:
        plan: the comparison.
        max_parallel: runs at the same time, at most.
        timed: seconds of a complete training by the folder of a policy, for those that have not run yet.
    """
    jobs = plan.jobs(Execution())
    total = left = done = 0
    todo: list[tuple[Job, int]] = []
    by_folder: dict[Path, list[float]] = {}
    by_env: dict[str, list[float]] = {}
    for job in jobs:
        steps = job.experiment.train.steps + count_pretraining_steps(job.experiment)
        at, speeds = read_progress(job.folder)
        by_folder.setdefault(job.folder.parent, []).extend(speeds)
        by_env.setdefault(job.experiment.env_name, []).extend(speeds)
        total += steps
        if is_done(job):
            done += 1
        else:
            todo.append((job, max(steps - at, 0)))
            left += todo[-1][1]
    paces: list[float | None] = []  # seconds per step
    for job, _ in todo:
        rates = by_folder[job.folder.parent]
        if not rates and timed:
            paces.append(
                timed[job.folder.parent] / (job.experiment.train.steps + count_pretraining_steps(job.experiment))
            )
            continue
        rates = rates or by_env[job.experiment.env_name]
        paces.append(len(rates) / sum(rates) if rates else None)
    seconds = None
    if None not in paces:
        spent = sum(steps * (pace or 0.0) for (_, steps), pace in zip(todo, paces, strict=True))
        seconds = spent / max(1, min(max_parallel, len(todo)))
    return CostEstimate(runs=len(jobs), done=done, steps=total, left=left, seconds=seconds)
