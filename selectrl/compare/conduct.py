"""The whole comparison: from rows to runs, verdicts and a report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from selectrl.compare.comparison import Comparison, DatasetProgress, Listener, Settings
from selectrl.compare.plan import ComparisonPlan, ComparisonRow, make_plan
from selectrl.compare.run import examine_fairness, run_missing
from selectrl.compare.state import estimate_cost
from selectrl.data.manifest import NAME
from selectrl.errors import InputError
from selectrl.experiment.config import Experiment
from selectrl.launch.choice import choose_launcher
from selectrl.launch.local import end_reimport, require_cores
from selectrl.locks import lock
from selectrl.runs.layout import EXPERIMENT

if TYPE_CHECKING:
    from selectrl.report import Report

Collect = Callable[[Experiment, Callable[[object], None]], object]


def conduct(
    rows: Sequence[ComparisonRow],
    settings: Settings,
    progress: Listener = lambda message: None,
    collect: Collect | None = None,
) -> Comparison:
    """Plan, execute the missing runs, and compare.

    A run that fails does not stop the others: it is in the failures of the result. The same call again continues
    interrupted work and repeats nothing. Apart from the run directories it writes ``failures.json``, ``report/`` and
    ``ENV/fairness.json`` below the folder of the runs.

    Args:
        rows: lines of the comparison's table; the first of each environment is compared with the others.
        settings: its settings.
        progress: called with every message.
        collect: fills the dataset of an experiment and reports its progress; ``None`` refuses a missing dataset.

    Raises:
        InputError: a row, a setting or the data are wrong, or the comparison is not fair.
        Interrupted: a signal asked to stop.
    """
    end_reimport()
    if settings.launcher != "slurm":  # its tasks run on other machines
        require_cores(settings.threads)
    plan = make_plan(rows, settings.seeds, settings.data, settings.out)
    execution, runs = settings.execution, len(plan.policies) * plan.seeds
    launcher, threads, max_parallel = choose_launcher(
        settings.launcher, settings.launcher_settings, runs, settings.jobs or execution.processes
    )
    missing = {folder: reader for folder, reader in plan.datasets().items() if not (folder / NAME).exists()}
    absent = {reader.env_name for reader in missing.values()}
    planned = Comparison(
        plan=plan,
        estimate=estimate_cost(plan, max_parallel),
        fairness={env: examine_fairness(plan, env) for env in plan.envs if env not in absent},
    )
    progress(planned)
    if settings.dry_run:
        return planned
    for folder, experiment in missing.items():
        if collect is None:
            raise InputError(f"there is no dataset in {folder}; add --preset laptop to collect it first")
        collect(experiment, lambda at, folder=folder: progress(DatasetProgress(folder, at)))  # type: ignore[misc]
    if not settings.allow_differences:
        for env in plan.envs:
            examine_fairness(plan, env).refuse()
    if settings.calibrate and planned.estimate.seconds is None:
        from selectrl.compare.calibrate import training_times

        progress(estimate_cost(plan, max_parallel, training_times(plan)))
    jobs = plan.jobs(attrs.evolve(execution, threads=threads), settings.threads)
    with lock(settings.out / ".comparison"):
        outcome = run_missing(plan, jobs, launcher, progress, retry=settings.retry_failed)
    fairness = {env: examine_fairness(plan, env) for env in plan.envs}
    for env, examined in fairness.items():
        examined.record().write(settings.out / env)
    from selectrl.compare.verdicts import make_verdicts

    return attrs.evolve(
        planned,
        fairness=fairness,
        done=outcome.done,
        verdicts=make_verdicts(plan, outcome.done),
        report=write_report(plan, settings.out) if outcome.done else None,
        failures=outcome.failed,
        retryable=outcome.retryable,
    )


def write_report(plan: ComparisonPlan, out: Path) -> Report:
    """Write the report of a comparison below the folder of its runs."""
    from selectrl.report import build_report

    folders = [policy.folder for policy in plan.policies if any(policy.folder.glob(f"seed*/{EXPERIMENT}"))]
    return build_report(folders, out / "report")
