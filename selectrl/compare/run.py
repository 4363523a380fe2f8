"""Carries a plan out: what is missing is run, what failed is remembered, and nothing is done twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs

from selectrl.compare.fairness import Fairness, examine
from selectrl.compare.plan import Plan
from selectrl.compare.state import first_of, is_done
from selectrl.data.manifest import NAME, Manifest, read_manifest
from selectrl.errors import RunError
from selectrl.experiment.config import to_record
from selectrl.experiment.provenance import warn_of_versions
from selectrl.files import is_there, write_json
from selectrl.launch.job import Event, Failure, Job, Launcher, Tell
from selectrl.launch.runner import carry_out
from selectrl.runs.evaluation import EvaluationRecord
from selectrl.runs.execution import ExecutionRecord
from selectrl.runs.fairness import ComparedRow
from selectrl.runs.layout import FAILURES
from selectrl.runs.reading import read_value


@attrs.frozen(kw_only=True)
class Outcome:
    """How a comparison ended.

    Attributes:
        done: runs that are finished.
        failed: why the others are not, by run directory.
        retryable: whether the same command tries each of them again; else that takes ``retry``.
    """

    done: tuple[Job, ...]
    failed: Mapping[str, str]
    retryable: bool


class Failures:
    """Runs that failed, with the reason, in one file below the comparison's folder.

    Args:
        out: the comparison's folder.

    Raises:
        InputError: the file cannot be read or is damaged.
    """

    def __init__(self, out: Path) -> None:
        self.path = out / FAILURES
        self.known: dict[str, str] = read_value(Mapping[str, str], self.path) if is_there(self.path) else {}

    def add(self, folder: Path, reason: str) -> None:
        """Remember a failure."""
        self.known[str(folder)] = reason
        write_json(self.path, self.known)

    def forget(self, folder: Path) -> None:
        """Forget a failure, where there is one."""
        if self.known.pop(str(folder), None) is not None:
            write_json(self.path, self.known)


def run_missing(plan: Plan, jobs: Sequence[Job], launcher: Launcher, tell: Tell, *, retry: bool = False) -> Outcome:
    """Carry out the jobs that are not finished.

    Args:
        plan: the comparison.
        jobs: its jobs, with the threads of each.
        launcher: carries them out.
        tell: called with every event; ``done`` also for runs that were finished before.
        retry: run again what failed at an earlier call; otherwise it stays failed.

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
        elif folder in failures.known and not retry:
            failed[folder] = failures.known[folder]
            tell(Event(job, "failed", Failure(failed[folder])))
        else:
            todo.append(job)

    def remember(event: Event) -> None:
        if event.kind == "failed" and event.value.code == RunError.exit_code:  # the same call would fail again
            failures.add(event.job.folder, event.value.sentence)
        elif event.kind == "done":
            failures.forget(event.job.folder)
        tell(event)

    results = carry_out(todo, launcher, remember)
    failed |= {str(folder): failure.sentence for folder, failure in results.failures.items()}
    done = tuple(job for job in jobs if str(job.folder) not in failed)
    return Outcome(done=done, failed=failed, retryable=failures.known.keys().isdisjoint(failed))


def manifests_of(plan: Plan, env: str) -> dict[str, Manifest]:
    """Read the manifests of an environment's datasets.

    Raises:
        DataError: a dataset is missing or damaged.
    """
    names = dict.fromkeys(row.experiment.data.name for row in plan.of(env))
    return {name: read_manifest(plan.data / env / name / NAME) for name in names}


def fairness_of(plan: Plan, env: str) -> Fairness:
    """Examine the rows of one environment, with what their finished runs have recorded.

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
            first = first_of(folder)
            if first is None:
                continue
            execution = ExecutionRecord.read_if_there(folder)
            for name, label in policy.labels(first).items():
                if execution is not None:
                    executions.setdefault(name, []).append(execution)
                evaluation = EvaluationRecord.read_if_sound(folder, label)
                if evaluation is not None:
                    evaluations.setdefault(name, []).append(evaluation)
    experiments = [row.experiment for row in plan.of(env)]
    tuning = {row.experiment.name: row.tuning for row in plan.of(env)}
    fairness = examine(experiments, manifests_of(plan, env), evaluations, executions, tuning)
    return attrs.evolve(fairness, rows=rows)
