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

BUDGET = ("env", "data", "train.steps", "test")
"""Bindings in which rows must not differ: other data or another budget make another question."""


@attrs.frozen(kw_only=True)
class Check:
    """One condition of a fair comparison.

    Attributes:
        what: the condition.
        ok: whether it holds.
        detail: what was found.
    """

    what: str
    ok: bool
    detail: str


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
    checks: tuple[Check, ...]
    rows: Mapping[str, Mapping[str, Any]] = attrs.field(factory=dict)

    def record(self) -> dict[str, Any]:
        """Return it as ``fairness.json`` holds it."""
        return {
            "same": dict(self.same),
            "differs": [{"what": what, "values": dict(values)} for what, values in self.differs.items()],
            "checks": [attrs.asdict(check) for check in self.checks],
            "rows": {name: dict(row) for name, row in self.rows.items()},
        }

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
    evaluations: Mapping[str, Iterable[Mapping[str, Any]]] | None = None,
    executions: Mapping[str, Iterable[Mapping[str, Any]]] | None = None,
    tuning: Mapping[str, str] | None = None,
) -> Fairness:
    """Compare the rows of one environment binding by binding.

    Args:
        experiments: one a row; names tell them apart.
        manifests: of the datasets that they name, by name.
        evaluations: finished meta-tests by row, as they were written.
        executions: how the runs of a row were carried out, by row, as they were written.
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
    trained_on = {
        text for runs in recorded.values() for run in runs if (text := _nested(run, "dataset", "fingerprint"))
    }
    prints = sorted({manifest.fingerprint for manifest in manifests.values()} | trained_on)
    if len(prints) == 1:
        same["data.fingerprint"] = prints[0]
    checks = (
        Check(what="the same data", ok=len(prints) == 1, detail=f"fingerprints {', '.join(p[:12] for p in prints)}"),
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


def _code(executions: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return the versions and the source code that runs of one row have recorded, all that differ after each other."""
    found: dict[str, dict[str, None]] = {}
    for execution in executions:
        for group in ("versions", "plugins", "sources"):
            for name in execution[group] if isinstance(execution.get(group), dict) else ():
                text = _nested(execution, group, name)
                found.setdefault(f"{group}.{name}", {})[text[:12] if group == "sources" else text] = None
    return {name: ", ".join(values) for name, values in found.items()}


def _nested(record: Mapping[str, Any], group: str, name: str) -> str:
    """Return a text of an object in a record, empty where it is not recorded."""
    inner = record.get(group)
    return str(inner.get(name, "")) if isinstance(inner, dict) else ""


def _flat(record: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Go through the bindings, ``critic.lr`` for example; a part's name stands at its own path."""
    if not isinstance(record, dict):
        yield path, record
        return
    for name, value in record.items():
        yield from _flat(value, path if name == "part" else f"{path}.{name}".strip("."))


def _alike(prefix: str, differs: Mapping[str, Mapping[str, Any]], same: Mapping[str, Any]) -> Check:
    names = {"env": "the same environment", "data": "the same rows of data", "train.steps": "the same RL updates"}
    what = names.get(prefix, "the same meta-test: budget, repeats, prior and seed of common random numbers")
    found = [path for path in differs if path == prefix or path.startswith(f"{prefix}.")]
    if found:
        values = ", ".join(f"{name} {value}" for name, value in differs[found[0]].items())
        return Check(what=what, ok=False, detail=f"{found[0]} differs ({values})")
    shared = [f"{path} = {value}" for path, value in same.items() if path == prefix or path.startswith(f"{prefix}.")]
    return Check(what=what, ok=True, detail=", ".join(one for one in shared if "fingerprint" not in one))


def _disjoint(experiments: Sequence[Experiment], manifests: Iterable[Manifest]) -> Check:
    """Check that no task that is tested is trained on, by the families and by what the datasets say of themselves."""
    wrong: set[int] = set()
    splits = [split_tasks(FAMILIES.build(one.env), one.data.split) for one in experiments]
    tested = {task for _, test in splits for task in test}
    tested |= {task for manifest in manifests for task in manifest.split.get("test", ())}
    for trained, _ in splits:
        wrong |= tested & set(trained)
    detail = f"tasks {sorted(wrong)} are both" if wrong else f"{len(tested)} test tasks, none of them trained on"
    return Check(what="no data of a test task in training", ok=not wrong, detail=detail)


def _checkpoints(experiments: Sequence[Experiment], evaluations: Mapping[str, Iterable[Mapping[str, Any]]]) -> Check:
    """Check that every finished meta-test is one of the last checkpoint."""
    last = {one.name: one.train.steps for one in experiments}
    early = [name for name, found in evaluations.items() if any(one["train_step"] != last[name] for one in found)]
    detail = f"not so for {', '.join(early)}" if early else "the last one of every run, none is chosen by its score"
    return Check(what="the same checkpoint is tested", ok=not early, detail=detail)


def _tuning(tuning: Mapping[str, str]) -> Check:
    """Check that no row was tuned more than another."""
    alike = len(set(tuning.values())) == 1
    each = ", ".join(f"{name} {spent}" for name, spent in tuning.items())
    return Check(what="the same tuning budget", ok=alike, detail=next(iter(tuning.values())) if alike else each)
