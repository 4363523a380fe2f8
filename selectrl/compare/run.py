"""Executes the missing runs of a plan, and remembers those that failed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs

from selectrl.compare.fairness import Fairness, check_fairness
from selectrl.compare.plan import ComparisonPlan
from selectrl.compare.state import find_first_experiment, is_done
from selectrl.data.manifest import NAME, Manifest, read_manifest
from selectrl.errors import RunError
from selectrl.experiment.config import to_record
from selectrl.experiment.provenance import warn_of_versions
from selectrl.files import is_there, write_json
from selectrl.launch.job import Event, Failure, Job, Launcher, Tell
from selectrl.launch.runner import run_jobs
from selectrl.runs.evaluation import EvaluationRecord
from selectrl.runs.execution import ExecutionRecord
from selectrl.runs.fairness import ComparedRow
from selectrl.runs.layout import FAILURES
from selectrl.runs.reading import read_value


@attrs.frozen(kw_only=True)
class Outcome:
    """The runs of a comparison after it ended.

    Attributes:
        done: runs that are finished.
        failed: the reason why each other run is not finished, by run directory.
        retryable: whether the same command runs each of them again; otherwise ``retry`` is needed.
    """

    done: tuple[Job, ...]
    failed: Mapping[str, str]
    retryable: bool


class Failures:
    """The failed runs with their reasons, in one file below the comparison's folder.

    Args:
        out: the comparison's folder.

    Raises:
        InputError: the file cannot be read or is damaged.
    """

    def __init__(self, out: Path) -> None:
        self.path = out / FAILURES
        self.reasons: dict[str, str] = read_value(Mapping[str, str], self.path) if is_there(self.path) else {}

    def add(self, folder: Path, reason: str) -> None:
        """Add a failure."""
        self.reasons[str(folder)] = reason
        write_json(self.path, self.reasons)

    def forget(self, folder: Path) -> None:
        """Remove a failure, if there is one."""
        if self.reasons.pop(str(folder), None) is not None:
            write_json(self.path, self.reasons)


def run_missing(
    plan: ComparisonPlan, jobs: Sequence[Job], launcher: Launcher, tell: Tell, *, retry: bool = False
) -> Outcome:
    """Execute the jobs that are not finished.

    Args:
        plan: the comparison.
        jobs: its jobs, with the threads of each.
        launcher: executes them.
        tell: called with every event; ``done`` also for runs that were finished before.
        retry: run again the runs that failed at an earlier call; otherwise they stay failed.

    Raises:
        InputError: the folder of the runs cannot be written to.
    """
    failures = Failures(plan.out)
    failed: dict[str, str] = {}
    todo = []
    for job in jobs:
        folder = str(job.folder)
        if is_done(job):
            failures.forget(job.folder)
            warn_of_versions(job.folder, ExecutionRecord.read_if_there(job.folder))
            tell(Event(job, "done"))
        elif folder in failures.reasons and not retry:
            failed[folder] = failures.reasons[folder]
            tell(Event(job, "failed", Failure(failed[folder])))
        else:
            todo.append(job)

    def remember(event: Event) -> None:
        if event.kind == "failed" and event.value.code == RunError.exit_code:  # the same call would fail again
            failures.add(event.job.folder, event.value.sentence)
        elif event.kind == "done":
            failures.forget(event.job.folder)
        tell(event)

    results = run_jobs(todo, launcher, remember)
    failed |= {str(folder): failure.sentence for folder, failure in results.failures.items()}
    done = tuple(job for job in jobs if str(job.folder) not in failed)
    return Outcome(done=done, failed=failed, retryable=failures.reasons.keys().isdisjoint(failed))


def read_manifests(plan: ComparisonPlan, env: str) -> dict[str, Manifest]:
    """Read the manifests of an environment's datasets.

    Raises:
        DataError: a dataset is missing or damaged.
    """
    names = dict.fromkeys(row.experiment.data.name for row in plan.rows_of(env))
    return {name: read_manifest(plan.data / env / name / NAME) for name in names}


def examine_fairness(plan: ComparisonPlan, env: str) -> Fairness:
    """Examine the rows of one environment, with the records of their finished runs.

    Raises:
        DataError: a dataset is missing or damaged.
    """
    evaluations: dict[str, list[EvaluationRecord]] = {}
    executions: dict[str, list[ExecutionRecord]] = {}
    rows: dict[str, ComparedRow] = {}
    for policy in plan.policies:
        if policy.experiment.env_name != env:
            continue
        for row in policy.rows:
            rows[row.experiment.name] = ComparedRow(
                policy=policy.folder.name,
                collector=to_record(row.experiment.collector),
                test=to_record(row.experiment.test),
            )
        for seed in range(plan.seeds):
            folder = policy.folder / f"seed{seed}"
            first = find_first_experiment(folder)
            if first is None:
                continue
            execution = ExecutionRecord.read_if_there(folder)
            for name, label in policy.labels(first).items():
                if execution is not None:
                    executions.setdefault(name, []).append(execution)
                evaluation = EvaluationRecord.read_if_sound(folder, label)
                if evaluation is not None:
                    evaluations.setdefault(name, []).append(evaluation)
    experiments = [row.experiment for row in plan.rows_of(env)]
    tuning = {row.experiment.name: row.tuning for row in plan.rows_of(env)}
    fairness = check_fairness(experiments, read_manifests(plan, env), evaluations, executions, tuning)
    return attrs.evolve(fairness, rows=rows)
