"""Carries a plan out: what is missing is run, what failed is remembered, and nothing is done twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from selectrl.compare.fairness import Fairness, examine
from selectrl.compare.plan import Plan
from selectrl.compare.state import first_of, is_done
from selectrl.data.manifest import NAME, Manifest, read_manifest
from selectrl.errors import RunError
from selectrl.experiment.config import to_record
from selectrl.experiment.identity import read_written
from selectrl.experiment.provenance import read_execution, warn_of_versions
from selectrl.files import read_json_or_none, write_json
from selectrl.launch.job import Event, Failure, Job, Launcher, Tell
from selectrl.launch.runner import carry_out


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
    """

    def __init__(self, out: Path) -> None:
        self.path = out / "failures.json"
        found = read_json_or_none(self.path)
        self.known: dict[str, str] = found if isinstance(found, dict) else {}

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
            warn_of_versions(job.folder, read_execution(job.folder))
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
    evaluations: dict[str, list[Mapping[str, Any]]] = {}
    executions: dict[str, list[Mapping[str, Any]]] = {}
    rows: dict[str, Mapping[str, Any]] = {}
    for policy in plan.policies:
        if policy.experiment.env_name != env:
            continue
        for row in policy.rows:
            tested = {"collector": to_record(row.experiment.collector), "test": to_record(row.experiment.test)}
            rows[row.experiment.name] = {"policy": policy.folder.name, **tested}
        for seed in range(plan.seeds):
            folder = policy.folder / f"seed{seed}"
            first = first_of(folder)
            if first is None:
                continue
            execution = read_execution(folder)
            for name, label in policy.labels(first).items():
                executions.setdefault(name, []).append(execution)
                found = read_written(folder / "evaluations" / f"{label}.json")
                if found is not None:
                    evaluations.setdefault(name, []).append(found)
    experiments = [row.experiment for row in plan.of(env)]
    tuning = {row.experiment.name: row.tuning for row in plan.of(env)}
    fairness = examine(experiments, manifests_of(plan, env), evaluations, executions, tuning)
    return attrs.evolve(fairness, rows=rows)
