"""The bindings that the rows of a comparison share or do not share, and the conditions of a fair comparison."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import attrs

from selectrl.data.manifest import Manifest
from selectrl.envs.split import split_tasks
from selectrl.errors import InputError
from selectrl.experiment.config import Experiment, to_record
from selectrl.registry import FAMILIES
from selectrl.runs.evaluation import EvaluationRecord
from selectrl.runs.execution import ExecutionRecord
from selectrl.runs.fairness import ComparedRow, FairnessCheck, FairnessDifference, FairnessRecord

BUDGET = ("env", "data", "train.steps", "test")
"""Bindings in which rows must not differ: other data or another budget change the question."""


@attrs.frozen(kw_only=True)
class Fairness:
    """The result of checking the rows of one environment.

    Attributes:
        same: bindings and facts that all rows share.
        differs: those that rows do not share, by row; a row without such a binding is absent.
        checks: the conditions.
        rows: the tested policy of each row, by name: the folder of its ``policy``, its ``collector`` and its ``test``.
    """

    same: Mapping[str, Any]
    differs: Mapping[str, Mapping[str, Any]]
    checks: tuple[FairnessCheck, ...]
    rows: Mapping[str, ComparedRow] = attrs.field(factory=dict)

    def record(self) -> FairnessRecord:
        """Return the record of this result."""
        return FairnessRecord(
            same=self.same,
            differs=tuple(FairnessDifference(what=what, values=values) for what, values in self.differs.items()),
            checks=self.checks,
            rows=self.rows,
        )

    def refuse(self) -> None:
        """Refuse a comparison that is not fair.

        Raises:
            InputError: a condition does not hold; the sentence names the first.
        """
        failed = next((check for check in self.checks if not check.ok), None)
        if failed is not None:
            raise InputError(
                f"not a fair comparison: {failed.what}: {failed.detail}; add --allow-differences to compare anyway"
            )


def check_fairness(
    experiments: Sequence[Experiment],
    manifests: Mapping[str, Manifest],
    evaluations: Mapping[str, Iterable[EvaluationRecord]] | None = None,
    executions: Mapping[str, Iterable[ExecutionRecord]] | None = None,
    tuning: Mapping[str, str] | None = None,
) -> Fairness:
    """Compare the rows of one environment binding by binding.

    Args:
        experiments: one per row, with different names.
        manifests: manifests of their datasets, by name.
        evaluations: finished meta-tests by row.
        executions: execution records of the runs, by row.
        tuning: the tuning budget of each row; by default none.
    """
    recorded = {name: list(runs) for name, runs in (executions or {}).items()}
    bound = {
        experiment.name: {**dict(_flatten(_bindings_of(experiment))), **_code_facts(recorded.get(experiment.name, ()))}
        for experiment in experiments
    }
    paths = list(dict.fromkeys(path for values in bound.values() for path in values))
    same, differs = {}, {}
    for path in paths:
        values = {name: bindings[path] for name, bindings in bound.items() if path in bindings}
        if all(value == next(iter(values.values())) for value in values.values()):
            if len(values) == len(bound):
                same[path] = next(iter(values.values()))
        else:
            differs[path] = values
    trained_on = {run.dataset.fingerprint for runs in recorded.values() for run in runs}
    fingerprints = sorted({manifest.fingerprint for manifest in manifests.values()} | trained_on)
    if len(fingerprints) == 1:
        same["data.fingerprint"] = fingerprints[0]
    checks = (
        FairnessCheck(
            what="the same data",
            ok=len(fingerprints) == 1,
            detail=f"fingerprints {', '.join(fingerprint[:12] for fingerprint in fingerprints)}",
        ),
        *(_check_budget(prefix, differs, same) for prefix in BUDGET),
        _check_tasks(experiments, manifests.values()),
        _check_checkpoints(experiments, evaluations or {}),
        _check_tuning(tuning or dict.fromkeys(bound, "no tuning")),
    )
    return Fairness(same=same, differs=differs, checks=checks)


def _bindings_of(experiment: Experiment) -> dict[str, Any]:
    record: dict[str, Any] = to_record(experiment, complete=True)
    del record["part"], record["name"]
    return record


def _code_facts(executions: Iterable[ExecutionRecord]) -> dict[str, str]:
    """Return the versions and the source code that the runs of a row have recorded, with all different values."""
    facts: dict[str, dict[str, None]] = {}
    for execution in executions:
        groups = {"versions": execution.versions, "plugins": execution.plugins, "sources": execution.sources}
        for group, texts in groups.items():
            for name, text in (texts or {}).items():
                facts.setdefault(f"{group}.{name}", {})[text[:12] if group == "sources" else text] = None
    return {name: ", ".join(values) for name, values in facts.items()}


def _flatten(record: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the bindings by path, for example ``critic.lr``; a part's name has the part's path."""
    if not isinstance(record, dict):
        yield path, record
        return
    for name, value in record.items():
        yield from _flatten(value, path if name == "part" else f"{path}.{name}".strip("."))


def _check_budget(prefix: str, differs: Mapping[str, Mapping[str, Any]], same: Mapping[str, Any]) -> FairnessCheck:
    names = {"env": "the same environment", "data": "the same rows of data", "train.steps": "the same RL updates"}
    what = names.get(prefix, "the same meta-test: budget, repeats, prior and seed of common random numbers")
    differing = [path for path in differs if path == prefix or path.startswith(f"{prefix}.")]
    if differing:
        values = ", ".join(f"{name} {value}" for name, value in differs[differing[0]].items())
        return FairnessCheck(what=what, ok=False, detail=f"{differing[0]} differs ({values})")
    shared = [f"{path} = {value}" for path, value in same.items() if path == prefix or path.startswith(f"{prefix}.")]
    detail = ", ".join(binding for binding in shared if "fingerprint" not in binding)
    return FairnessCheck(what=what, ok=True, detail=detail)


def _check_tasks(experiments: Sequence[Experiment], manifests: Iterable[Manifest]) -> FairnessCheck:
    """Check that no test task is trained on, by the families and by the manifests."""
    in_both: set[int] = set()
    splits = [split_tasks(FAMILIES.build(experiment.env), experiment.data.split) for experiment in experiments]
    tested = {task for _, test in splits for task in test}
    tested |= {task for manifest in manifests for task in manifest.split.get("test", ())}
    for trained, _ in splits:
        in_both |= tested & set(trained)
    detail = f"tasks {sorted(in_both)} are both" if in_both else f"{len(tested)} test tasks, none of them trained on"
    return FairnessCheck(what="no data of a test task in training", ok=not in_both, detail=detail)


def _check_checkpoints(
    experiments: Sequence[Experiment], evaluations: Mapping[str, Iterable[EvaluationRecord]]
) -> FairnessCheck:
    """Check that every finished meta-test used the last checkpoint."""
    last = {experiment.name: experiment.train.steps for experiment in experiments}
    early = [
        name for name, records in evaluations.items() if any(record.train_step != last[name] for record in records)
    ]
    detail = f"not so for {', '.join(early)}" if early else "the last one of every run, none is chosen by its score"
    return FairnessCheck(what="the same checkpoint is tested", ok=not early, detail=detail)


def _check_tuning(tuning: Mapping[str, str]) -> FairnessCheck:
    """Check that no row was tuned more than another."""
    is_same = len(set(tuning.values())) == 1
    detail = next(iter(tuning.values())) if is_same else ", ".join(f"{name} {spent}" for name, spent in tuning.items())
    return FairnessCheck(what="the same tuning budget", ok=is_same, detail=detail)
