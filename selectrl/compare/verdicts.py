"""Who is above whom: the first row of each environment against every other, one sentence each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import attrs

from selectrl.compare.plan import Plan, Policy
from selectrl.errors import InputError
from selectrl.launch.job import Job
from selectrl.report import analyse, words
from selectrl.report.load import load
from selectrl.report.records import Row


@attrs.frozen(kw_only=True)
class Verdict:
    """The difference between two rows of one environment.

    Attributes:
        env: name of the environment.
        a: name of the first row.
        b: name of the other.
        difference: mean return of ``a`` minus that of ``b``, over the seeds that both have if there are any; ``None``
            where their meta-tests differ.
        interval: 95 % interval of the difference; ``None`` where there are too few seeds for it.
        seeds: how many seeds both have.
        sentence: the same as a sentence.
    """

    env: str
    a: str
    b: str
    difference: float | None
    interval: tuple[float, float] | None
    seeds: int
    sentence: str


def verdicts(plan: Plan, done: tuple[Job, ...]) -> tuple[Verdict, ...]:
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
                rows |= _rows(policy, [policy.folder / f"seed{s}" for s in range(plan.seeds)], finished)
        names = [row.experiment.name for row in plan.of(env) if row.experiment.name in rows]
        pairs += [_verdict(env, names[0], other, rows) for other in names[1:]]
    return tuple(pairs)


def _rows(policy: Policy, folders: list[Path], finished: set[Path]) -> Mapping[str, Row]:
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


def _verdict(env: str, a: str, b: str, rows: Mapping[str, Row]) -> Verdict:
    comparison = analyse.compare(rows[a], rows[b])
    effect = comparison.effect
    digits = words.digits_for((effect.value,) if effect else ())
    return Verdict(
        env=env,
        a=a,
        b=b,
        difference=effect.value if effect else None,
        interval=effect.interval if effect else None,
        seeds=effect.seeds if effect else 0,
        sentence=f"{env}: {words.verdict(comparison, digits)}",
    )
