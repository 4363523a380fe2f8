"""From runs to rows: the seeds of one method are averaged only where they really are one experiment."""

from __future__ import annotations

import json
from collections import ChainMap
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from selectrl.report.records import EQUAL_BUDGET, Evaluation, Family, LoadedRun, Omission, Row
from selectrl.runs.layout import EVALUATIONS, evaluation_file
from selectrl.runs.reading import Bindings

UNTRAINED = ("collector", "test")
"""Bindings that act only at meta-test, so that evaluations below one trained policy may differ in them."""


def group(runs: Sequence[LoadedRun]) -> tuple[list[Family], list[Omission]]:
    """Collect runs into rows by environment, method and label.

    Args:
        runs: ordered by environment, method and seed.

    Returns:
        One family per environment and protocol, the equal budget first, and the runs that do not fit the others.
    """
    families: list[Family] = []
    omissions: list[Omission] = []
    for env, of_env in groupby(runs, key=lambda run: run.env):
        rows: list[Row] = []
        for method, of_method in groupby(of_env, key=lambda run: run.method):
            alike, left_out = _one_experiment(list(of_method))
            omissions += left_out
            own = ChainMap(*(dict(run.own) for run in alike))  # the first seed's, as seeds may bind other collectors
            for label in sorted({label for run in alike for label in run.evaluations}):
                row, left_out = _one_test(method, label, alike, own)
                rows.append(row)
                omissions += left_out
        protocols = {row.evaluation.protocol for row in rows}
        for protocol in sorted(protocols, key=lambda name: (name != EQUAL_BUDGET, name)):
            tested = [row for row in rows if row.evaluation.protocol == protocol]
            methods = {row.method for row in tested if row.own}
            kept = [row for row in tested if row.method in methods]
            if kept:
                ordered = sorted(kept, key=lambda row: (row.method, not row.own, row.label))
                families.append(Family(env=env, protocol=protocol, rows=tuple(ordered)))
            reason = f"under protocol {protocol} {{}} was not tested with its own collector"
            for row in (row for row in tested if row.method not in methods):
                omissions.append(Omission(row.runs[0].path / EVALUATIONS / row.label, reason.format(row.method)))
    return families, omissions


def flatten(bindings: Bindings, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield ``(path, value)`` of nested bindings, for example ``("encoder.latent_dim", 20)``."""
    for key, value in bindings.items():
        if isinstance(value, dict) and value:
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def arguments(part: Bindings) -> str:
    """Return a part's bindings as ``name value`` pairs."""
    return ", ".join(f"{name} {plain(value)}" for name, value in flatten(part) if name != "part" and value is not None)


def plain(value: Any) -> str:
    """Return a value as people write it."""
    if value is None:
        return "none"
    return f"{value:g}" if isinstance(value, float) else value if isinstance(value, str) else json.dumps(value)


def difference(a: Bindings, b: Bindings) -> str | None:
    """Return the first binding in which the two differ, as ``path: value against value``; ``None`` where none does."""
    left, right = dict(flatten(a)), dict(flatten(b))
    for path in [*left, *right]:
        if left.get(path) != right.get(path):
            return f"{path}: {left.get(path, 'unset')} against {right.get(path, 'unset')}"
    return None


def _one_experiment(runs: list[LoadedRun]) -> tuple[list[LoadedRun], list[Omission]]:
    """Keep the runs that were trained as the first one was."""
    kept, omissions = [], []
    for run in runs:
        binding = difference(_trained(runs[0].experiment), _trained(run.experiment))
        if binding is None:
            kept.append(run)
        else:
            omissions.append(
                Omission(run.path, f"another experiment than seed {runs[0].seed} of its method ({binding})")
            )
    return kept, omissions


def _trained(experiment: Bindings) -> Bindings:
    return {name: value for name, value in experiment.items() if name not in UNTRAINED}


def _one_test(method: str, label: str, runs: list[LoadedRun], own: Mapping[str, str]) -> tuple[Row, list[Omission]]:
    """Keep the runs whose evaluation was made as the first one was."""
    having = [run for run in runs if label in run.evaluations]
    kept, omissions = [], []
    for run in having:
        binding = difference(_tested(having[0].evaluations[label]), _tested(run.evaluations[label]))
        if binding is None:
            kept.append(run)
        else:
            path = evaluation_file(run.path, label)
            omissions.append(Omission(path, f"another test than that of seed {having[0].seed} ({binding})"))
    its_own = own.get(having[0].evaluations[label].protocol) == label
    return Row(method=method, label=label, own=its_own, runs=tuple(kept)), omissions


def _tested(evaluation: Evaluation) -> Bindings:
    return {
        **evaluation.settings,
        "data": evaluation.other_data,
        "source code": evaluation.other_code,
        "collector": dict(evaluation.collector),
        "tasks": evaluation.tasks,
        "context_steps": evaluation.context_steps,
        "repeats": evaluation.repeats,
    }
