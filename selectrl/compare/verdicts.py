"""Who is above whom: the first row of each environment against every other, one sentence each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from selectrl.compare.plan import Plan, Policy
from selectrl.errors import InputError
from selectrl.launch.job import Job
from selectrl.report.analysis.comparison import compare
from selectrl.report.analysis.formats import digits_for
from selectrl.report.analysis.sentences import verdict
from selectrl.report.load import load
from selectrl.report.records import Row


def verdicts(plan: Plan, done: tuple[Job, ...]) -> list[dict[str, Any]]:
    """Compare the first row of every environment with the others, over the seeds and tasks that they share.

    Args:
        plan: the comparison.
        done: the runs that are finished.

    Returns:
        One record a pair: ``env``, ``a``, ``b``, ``difference``, ``interval``, ``interval_other_tasks``, ``margin``,
        ``seeds`` and the ``sentence``.
    """
    finished = {job.folder for job in done}
    found = []
    for env in plan.envs:
        rows: dict[str, Row] = {}
        for policy in plan.policies:
            if policy.experiment.env_name == env:
                rows |= _rows(policy, [policy.folder / f"seed{s}" for s in range(plan.seeds)], finished)
        names = [row.experiment.name for row in plan.of(env) if row.experiment.name in rows]
        found += [_verdict(env, names[0], other, rows) for other in names[1:]]
    return found


def _rows(policy: Policy, folders: list[Any], finished: set[Any]) -> Mapping[str, Row]:
    """Return the rows that are tests of one policy, as the report shows them, as far as its seeds are finished."""
    try:
        runs, _ = load([folder for folder in folders if folder in finished])
    except InputError:
        return {}
    rows = {}
    for row in policy.rows:
        name, protocol = row.experiment.name, row.experiment.test.protocol
        of_row = [run for run in runs if run.method == name]
        label = of_row[0].own[protocol] if of_row else ""
        having = tuple(run for run in of_row if label in run.evaluations)
        if having:
            rows[name] = Row(method=name, label=label, own=True, runs=having)
    return rows


def _verdict(env: str, a: str, b: str, rows: Mapping[str, Row]) -> dict[str, Any]:
    comparison = compare(rows[a], rows[b])
    one = comparison.effect
    digits = digits_for((one.value,) if one else ())
    return {
        "env": env,
        "a": a,
        "b": b,
        "difference": one.value if one else None,
        "interval": list(one.interval) if one and one.interval else None,
        "interval_other_tasks": list(one.interval_other_tasks) if one and one.interval_other_tasks else None,
        "margin": comparison.margin,
        "seeds": one.seeds if one else 0,
        "sentence": f"{env}: {verdict(comparison, digits)}",
    }
