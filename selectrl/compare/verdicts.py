"""Verdicts: the first row of each environment compared with every other, in one sentence each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import attrs

from selectrl.compare.plan import ComparisonPlan, TrainedPolicy
from selectrl.errors import InputError
from selectrl.launch.job import Job
from selectrl.report.analysis.comparison import compare
from selectrl.report.analysis.formats import digits_for
from selectrl.report.analysis.sentences import verdict
from selectrl.report.load import load
from selectrl.report.records import Row


@attrs.frozen(kw_only=True)
class Verdict:
    """The difference between two rows of one environment.

    Attributes:
        env: name of the environment.
        a: name of the first row.
        b: name of the other.
        difference: mean return of ``a`` minus that of ``b``, over their shared seeds if there are any; ``None``
            where their meta-tests differ.
        interval: its 95% interval on these tasks; ``None`` where there are too few seeds for it.
        interval_other_tasks: its 95% interval on other tasks of the family; ``None`` where there are too few seeds.
        margin: the largest difference that does not matter; ``None`` where the family declares none.
        seeds: number of shared seeds.
        sentence: the verdict as a sentence.
    """

    env: str
    a: str
    b: str
    difference: float | None
    interval: tuple[float, float] | None
    interval_other_tasks: tuple[float, float] | None
    margin: float | None
    seeds: int
    sentence: str


def make_verdicts(plan: ComparisonPlan, done: tuple[Job, ...]) -> tuple[Verdict, ...]:
    """Compare the first row of every environment with the others, over the seeds and tasks that they share.

    Args:
        plan: the comparison.
        done: the runs that are finished.
    """
    finished = {job.folder for job in done}
    pairs = []
    for env in plan.envs:
        rows: dict[str, Row] = {}
        for policy in plan.policies:
            if policy.experiment.env_name == env:
                rows |= _load_rows(policy, [policy.folder / f"seed{s}" for s in range(plan.seeds)], finished)
        names = [row.experiment.name for row in plan.rows_of(env) if row.experiment.name in rows]
        pairs += [_make_verdict(env, names[0], other, rows) for other in names[1:]]
    return tuple(pairs)


def _load_rows(policy: TrainedPolicy, folders: list[Path], finished: set[Path]) -> Mapping[str, Row]:
    """Return the rows of one policy as the report shows them, with its finished seeds."""
    try:
        runs, _ = load([folder for folder in folders if folder in finished])
    except InputError:
        return {}
    rows = {}
    for row in policy.rows:
        name, protocol = row.experiment.name, row.experiment.test.protocol
        runs_of_row = [run for run in runs if run.method == name]
        label = runs_of_row[0].own[protocol] if runs_of_row else ""
        tested = tuple(run for run in runs_of_row if label in run.evaluations)
        if tested:
            rows[name] = Row(method=name, label=label, own=True, runs=tested)
    return rows


def _make_verdict(env: str, a: str, b: str, rows: Mapping[str, Row]) -> Verdict:
    comparison = compare(rows[a], rows[b])
    effect = comparison.effect
    digits = digits_for((effect.value,) if effect else ())
    return Verdict(
        env=env,
        a=a,
        b=b,
        difference=effect.value if effect else None,
        interval=effect.interval if effect else None,
        interval_other_tasks=effect.interval_other_tasks if effect else None,
        margin=comparison.margin,
        seeds=effect.seeds if effect else 0,
        sentence=f"{env}: {verdict(comparison, digits)}",
    )
