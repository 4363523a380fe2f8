"""What the rows of a comparison share, what they do not, and whether they may stand in one table."""

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
"""Bindings in which rows must not differ: other data or another budget make another question."""


@attrs.frozen(kw_only=True)
class Fairness:
    """What was found of the rows of one environment.

    Attributes:
        same: bindings and facts that all rows share.
        differs: those that rows do not, by row; a row that has no such binding is not in it.
        checks: the conditions.
        rows: what each row is a test of, by name: the folder of its ``policy``, its ``collector`` and its ``test``.
    """

    same: Mapping[str, Any]
    differs: Mapping[str, Mapping[str, Any]]
    checks: tuple[FairnessCheck, ...]
    rows: Mapping[str, ComparedRow] = attrs.field(factory=dict)

    def record(self) -> FairnessRecord:
        """Return the record of it."""
        return FairnessRecord(
            same=self.same,
            differs=tuple(FairnessDifference(what=what, values=values) for what, values in self.differs.items()),
            checks=self.checks,
            rows=self.rows,
        )

    def refuse(self) -> None:
        """Refuse a comparison that would not be one.

        Raises:
            InputError: a condition does not hold; the sentence names the first.
        """
        wrong = next((check for check in self.checks if not check.ok), None)
        if wrong is not None:
            raise InputError(f"no fair comparison: {wrong.what}: {wrong.detail}; --allow-differences compares them so")


def examine(
    experiments: Sequence[Experiment],
    manifests: Mapping[str, Manifest],
    evaluations: Mapping[str, Iterable[EvaluationRecord]] | None = None,
    executions: Mapping[str, Iterable[ExecutionRecord]] | None = None,
    tuning: Mapping[str, str] | None = None,
) -> Fairness:
    """Compare the rows of one environment binding by binding.

    Args:
        experiments: one a row; names tell them apart.
        manifests: of the datasets that they name, by name.
        evaluations: finished meta-tests by row.
        executions: how the runs of a row were carried out, by row.
        tuning: what was spent on tuning each row; by default nothing.
    """
    recorded = {name: list(runs) for name, runs in (executions or {}).items()}
    bound = {one.name: {**dict(_flat(_of(one))), **_code(recorded.get(one.name, ()))} for one in experiments}
    paths = list(dict.fromkeys(path for values in bound.values() for path in values))
    same, differs = {}, {}
    for path in paths:
        values = {name: found[path] for name, found in bound.items() if path in found}
        if all(value == next(iter(values.values())) for value in values.values()):
            if len(values) == len(bound):
                same[path] = next(iter(values.values()))
        else:
            differs[path] = values
    trained_on = {run.dataset.fingerprint for runs in recorded.values() for run in runs}
    prints = sorted({manifest.fingerprint for manifest in manifests.values()} | trained_on)
    if len(prints) == 1:
        same["data.fingerprint"] = prints[0]
    checks = (
        FairnessCheck(
            what="the same data", ok=len(prints) == 1, detail=f"fingerprints {', '.join(p[:12] for p in prints)}"
        ),
        *(_alike(prefix, differs, same) for prefix in BUDGET),
        _disjoint(experiments, manifests.values()),
        _checkpoints(experiments, evaluations or {}),
        _tuning(tuning or dict.fromkeys(bound, "no tuning")),
    )
    return Fairness(same=same, differs=differs, checks=checks)


def _of(experiment: Experiment) -> dict[str, Any]:
    record: dict[str, Any] = to_record(experiment, complete=True)
    del record["part"], record["name"]
    return record


def _code(executions: Iterable[ExecutionRecord]) -> dict[str, str]:
    """Return the versions and the source code that runs of one row have recorded, all that differ after each other."""
    found: dict[str, dict[str, None]] = {}
    for execution in executions:
        groups = {"versions": execution.versions, "plugins": execution.plugins, "sources": execution.sources}
        for group, texts in groups.items():
            for name, text in (texts or {}).items():
                found.setdefault(f"{group}.{name}", {})[text[:12] if group == "sources" else text] = None
    return {name: ", ".join(values) for name, values in found.items()}


def _flat(record: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Go through the bindings, ``critic.lr`` for example; a part's name stands at its own path."""
    if not isinstance(record, dict):
        yield path, record
        return
    for name, value in record.items():
        yield from _flat(value, path if name == "part" else f"{path}.{name}".strip("."))


def _alike(prefix: str, differs: Mapping[str, Mapping[str, Any]], same: Mapping[str, Any]) -> FairnessCheck:
    names = {"env": "the same environment", "data": "the same rows of data", "train.steps": "the same RL updates"}
    what = names.get(prefix, "the same meta-test: budget, repeats, prior and seed of common random numbers")
    found = [path for path in differs if path == prefix or path.startswith(f"{prefix}.")]
    if found:
        values = ", ".join(f"{name} {value}" for name, value in differs[found[0]].items())
        return FairnessCheck(what=what, ok=False, detail=f"{found[0]} differs ({values})")
    shared = [f"{path} = {value}" for path, value in same.items() if path == prefix or path.startswith(f"{prefix}.")]
    return FairnessCheck(what=what, ok=True, detail=", ".join(one for one in shared if "fingerprint" not in one))


def _disjoint(experiments: Sequence[Experiment], manifests: Iterable[Manifest]) -> FairnessCheck:
    """Check that no task that is tested is trained on, by the families and by what the datasets say of themselves."""
    wrong: set[int] = set()
    splits = [split_tasks(FAMILIES.build(one.env), one.data.split) for one in experiments]
    tested = {task for _, test in splits for task in test}
    tested |= {task for manifest in manifests for task in manifest.split.get("test", ())}
    for trained, _ in splits:
        wrong |= tested & set(trained)
    detail = f"tasks {sorted(wrong)} are both" if wrong else f"{len(tested)} test tasks, none of them trained on"
    return FairnessCheck(what="no data of a test task in training", ok=not wrong, detail=detail)


def _checkpoints(
    experiments: Sequence[Experiment], evaluations: Mapping[str, Iterable[EvaluationRecord]]
) -> FairnessCheck:
    """Check that every finished meta-test is one of the last checkpoint."""
    last = {one.name: one.train.steps for one in experiments}
    early = [name for name, found in evaluations.items() if any(one.train_step != last[name] for one in found)]
    detail = f"not so for {', '.join(early)}" if early else "the last one of every run, none is chosen by its score"
    return FairnessCheck(what="the same checkpoint is tested", ok=not early, detail=detail)


def _tuning(tuning: Mapping[str, str]) -> FairnessCheck:
    """Check that no row was tuned more than another."""
    alike = len(set(tuning.values())) == 1
    each = ", ".join(f"{name} {spent}" for name, spent in tuning.items())
    return FairnessCheck(what="the same tuning budget", ok=alike, detail=next(iter(tuning.values())) if alike else each)
