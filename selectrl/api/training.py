"""The implementation of ``selectrl.train``: from an experiment to jobs, and from jobs to runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from selectrl.api.experiments import compose
from selectrl.errors import InputError
from selectrl.experiment.config import Experiment
from selectrl.experiment.drift import warn_of_drift
from selectrl.experiment.execution import Execution
from selectrl.fields import check_name
from selectrl.gin_edge import as_layer
from selectrl.launch.choice import choose_launcher
from selectrl.launch.job import Event, Job, Launcher, choose_threads
from selectrl.launch.local import Inline, require_cores
from selectrl.launch.runner import run_jobs
from selectrl.launch.verdict import explain_errors
from selectrl.runs.folders import set_aside

if TYPE_CHECKING:
    from selectrl.experiment.run import Run


@attrs.frozen
class PlannedRuns:
    """Runs of one experiment, before they start.

    Attributes:
        jobs: a job per seed.
        launcher: executes them.
    """

    jobs: tuple[Job, ...]
    launcher: Launcher

    @property
    def folder(self) -> Path:
        """Folder of the seeds."""
        return self.jobs[0].folder.parent


def as_experiment(
    source: Experiment | str | Path,
    env: str | None,
    profile: str | None = None,
    ablation: str | None = None,
    settings: Sequence[str] = (),
    name: str | None = None,
) -> Experiment:
    """Return an experiment as it is, or compose one from the name of a method or from a gin file.

    Raises:
        InputError: a name, a binding or a value is wrong, or settings are given with an experiment.
    """
    if isinstance(source, Experiment):
        if env or profile or ablation or settings:
            raise InputError("an experiment is complete; give env, profile, ablation and settings to selectrl.compose")
        return source
    is_file = isinstance(source, Path) or source.endswith(".gin")
    method, file = (None, source) if is_file else (str(source), None)
    return compose(method, env, profile=profile, ablation=ablation, file=file, settings=settings, name=name)


def plan_runs(
    experiment: Experiment,
    seeds: Sequence[int],
    execution: Execution,
    *,
    out: Path | str = "runs",
    name: str | None = None,
    jobs: int | None = None,
    threads: int | None = None,
) -> PlannedRuns:
    """Return a job per seed, with the folder and the threads of each, and the launcher that fits this machine.

    Args:
        experiment: the composition.
        seeds: one run each.
        execution: their execution, without threads and gin text.
        out: folder of the runs.
        name: name of the method's folder; default: the experiment's name and key.
        jobs: runs in parallel; default: one per core.
        threads: threads of each run; default: those of its start, or its share of the cores.

    Raises:
        InputError: there are more threads than cores can use, there is no seed, or the name is not valid for a folder.
    """
    require_cores(threads)
    if not seeds:
        raise InputError("no seed given; for example seeds=3 for the seeds 0, 1 and 2")
    name = name or experiment.folder_name
    check_name(name, "name of the method's folder")
    folder = Path(out) / experiment.env_name / name
    choice = choose_launcher("local", (), len(seeds), jobs or execution.processes)
    gin = as_layer(experiment).text
    planned = []
    for seed in seeds:
        run_folder = folder / f"seed{seed}"
        own = attrs.evolve(execution, gin=gin, threads=choose_threads(run_folder, threads, choice.threads))
        planned.append(Job(folder=run_folder, experiment=experiment, seed=seed, execution=own))
    return PlannedRuns(tuple(planned), choice.launcher)


def run_all(planned: PlannedRuns, *, force: bool, progress: Callable[[Event], None]) -> list[Run]:
    """Execute planned runs and return them in the order of their seeds.

    Raises:
        InputError: the input of a run was wrong.
        RunError: a run failed; the others have ended.
    """
    first = planned.jobs[0]
    if not isinstance(planned.launcher, Inline):  # workers do not warn, and a run in this process warns itself
        warn_of_drift(first.execution.data / first.experiment.env_name / first.experiment.data.name)
    for job in planned.jobs if force else ():
        renamed = set_aside(job.folder)
        if renamed is not None:
            progress(Event(job, "set aside", renamed))
    with explain_errors():
        run_jobs(planned.jobs, planned.launcher, progress).raise_first()

        from selectrl.experiment.run import Run

        return [Run(job.folder, job.experiment, job.seed, job.execution) for job in planned.jobs]
