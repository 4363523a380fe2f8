"""Datasets and runs: ``selectrl.collect``, ``train``, ``evaluate`` and ``report``."""

from __future__ import annotations

TYPE_CHECKING = False  # typing is not imported: a command handles no signals yet
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from typing import TypedDict, Unpack, overload

    from selectrl.api.meta_tests import TestProgress
    from selectrl.behaviour.collect import CollectProgress
    from selectrl.data.store import OfflineDataset
    from selectrl.experiment.config import Experiment
    from selectrl.experiment.run import Run
    from selectrl.launch.job import Event
    from selectrl.protocols import FamilyConfig
    from selectrl.report import Report
    from selectrl.runs.evaluation import EvaluationRecord

    class _TrainOptions(TypedDict, total=False):
        """Arguments that do not change the type of :func:`train`'s result."""

        profile: str | None
        ablation: str | None
        settings: Sequence[str]
        jobs: int | None
        threads: int | None
        device: str
        engine: str
        population: int
        data: Path | str
        out: Path | str
        name: str | None
        tensorboard: bool
        force: bool
        progress: Callable[[Event], None]


def collect(
    env: str | FamilyConfig,
    *,
    preset: str = "laptop",
    file: Path | str | None = None,
    settings: Sequence[str] = (),
    name: str | None = None,
    data: Path | str = "data",
    threads: int | None = None,
    device: str = "cpu",
    progress: Callable[[CollectProgress], None] | None = None,
) -> OfflineDataset:
    """Collect behaviour data into ``DATA/ENV/NAME``, as ``selectrl collect`` does, and return the dataset.

    One SAC policy is trained per task, all tasks in parallel, and episodes are kept at every checkpoint. An interrupted
    collection continues; a complete dataset is only opened.

    Args:
        env: name of an environment, or the config of a task family.
        preset: name of a behaviour preset: ``laptop``, ``small``, ``gpu`` or ``paper``.
        file: your gin file, applied over environment and preset.
        settings: bindings such as ``"behaviour.sac.steps=1000"`` (environment steps per task).
        name: name of the dataset; default: the preset's.
        data: folder of the datasets.
        threads: threads of torch and of the simulator; default: torch's own, and 1 for the simulator.
        device: ``cpu`` or ``cuda``, device of the learners.
        progress: called after every environment step, with steps and mean returns (task,).

    Raises:
        InputError: a name, a binding or a value is wrong, the folder holds other data, or the device is not available.
        RunError: a policy diverged, or memory ran out.
        Interrupted: a signal asked to stop; the last step is saved.
    """
    from selectrl.api.datasets import compose_collection, fill_dataset

    return fill_dataset(
        compose_collection(env, preset, file, settings), name or preset, data, threads, device, progress
    )


if TYPE_CHECKING:

    @overload
    def train(
        experiment: Experiment | str | Path, env: str | None = ..., *, seed: int = ..., **options: Unpack[_TrainOptions]
    ) -> Run: ...
    @overload
    def train(
        experiment: Experiment | str | Path,
        env: str | None = ...,
        *,
        seeds: int | Sequence[int],
        **options: Unpack[_TrainOptions],
    ) -> list[Run]: ...


def train(
    experiment: Experiment | str | Path,
    env: str | None = None,
    *,
    profile: str | None = None,
    ablation: str | None = None,
    settings: Sequence[str] = (),
    seed: int = 0,
    seeds: int | Sequence[int] | None = None,
    jobs: int | None = None,
    threads: int | None = None,
    device: str = "cpu",
    engine: str = "eager",
    population: int = 64,
    data: Path | str = "data",
    out: Path | str = "runs",
    name: str | None = None,
    tensorboard: bool = False,
    force: bool = False,
    progress: Callable[[Event], None] = lambda event: None,
) -> Run | list[Run]:
    """Meta-train and meta-test, as ``selectrl train`` does, and return the run, or one run per seed.

    Each run is in ``OUT/ENV/NAME-KEY/seedN``: its experiment as JSON and gin, losses and learning curve, the last
    checkpoint, diagnostics of the encoder, and meta-tests with its own collector and with offline context. A run that
    was interrupted continues, and a finished run is not repeated.

    Several seeds run in parallel processes, which import the calling script again: put its work below
    ``if __name__ == "__main__":``, or give ``jobs=1``.

    Args:
        experiment: the composition; or the name of a method, or a gin file, which is then composed with the next four.
        env: name of an environment, for a method or file.
        profile: name of a profile, for example ``laptop``.
        ablation: name of an ablation.
        settings: bindings such as ``"train.steps=1000"``.
        seed: the seed of a single run.
        seeds: number of seeds (0, 1, and so on), or the seeds themselves; the result is then a list.
        jobs: runs in parallel; default: one per core.
        threads: threads of each run; default: OMP_NUM_THREADS or its share of the cores; a run keeps its first.
        device: ``cpu`` or ``cuda``.
        engine: ``eager`` or ``compiled``.
        population: seeds that train in parallel on CUDA, at most.
        data: folder of the datasets.
        out: folder of the runs.
        name: name of the method's folder; default: the experiment's name and key.
        tensorboard: also write TensorBoard event files.
        force: train again from the beginning; earlier runs are renamed.
        progress: called with every event: a run started, recorded losses or a meta-test, ended or failed.

    Raises:
        InputError: a name, a binding or a value is wrong, the dataset is missing or damaged, the folder cannot be
            written to, or the device is not available.
        RunError: a loss is no longer finite, or memory ran out; the other seeds have still ended.
        Interrupted: a signal asked to stop; each run is saved at its last step.
    """
    from pathlib import Path

    from selectrl.api.training import as_experiment, plan_runs, run_all
    from selectrl.experiment.execution import Execution

    composed = as_experiment(experiment, env, profile, ablation, settings, name)
    execution = Execution(data=Path(data), device=device, engine=engine, population=population, tensorboard=tensorboard)
    numbers = [seed] if seeds is None else range(seeds) if isinstance(seeds, int) else seeds
    planned = plan_runs(composed, numbers, execution, out=out, name=name, jobs=jobs, threads=threads)
    runs = run_all(planned, force=force, progress=progress)
    return runs[0] if seeds is None else runs


def evaluate(
    *runs: Path | str,
    collector: str | None = None,
    ablation: str | None = None,
    protocol: str | None = None,
    budget: int | None = None,
    repeats: int | None = None,
    settings: Sequence[str] = (),
    label: str | None = None,
    diagnose: bool = False,
    force: bool = False,
    threads: int | None = None,
    data: Path | str = "data",
    progress: Callable[[TestProgress], None] = lambda tested: None,
) -> dict[Path, EvaluationRecord]:
    """Meta-test trained runs on unseen tasks, as ``selectrl evaluate`` does, and return the record of each run.

    Each record is written to ``RUN/evaluations/LABEL.json``. Its ``returns`` (task, repeat, scored episode) are
    undiscounted sums of rewards, ``context_steps`` (scored episode,) the environment steps of context before each,
    ``curve`` (scored episode,) the mean return, ``final_return`` the last of it and ``interval`` its 95 % interval.

    Args:
        runs: run directories, or folders above them.
        collector: name of a registered collector; default: the run's own.
        ablation: name of an ablation of the collection, instead of a collector.
        protocol: ``equal_budget`` or ``paper``; default: the run's own.
        budget: environment steps of context per task and repeat; default: the run's own.
        repeats: repeats per task; default: the run's own, and 2 under ``paper``.
        settings: bindings of the collector and of ``test``, such as ``"collectors.proximal.sigma=0.5"``.
        label: name of the result; default: built from the settings that differ from the run's own.
        diagnose: also write the encoder's latents of stored context.
        force: use the weights even where the source code of a part has changed since the training.
        threads: threads of torch and of the simulator; default: 1.
        data: folder of the datasets, which only offline context and diagnostics read.
        progress: called before and after each run.

    Raises:
        InputError: there is no run, a setting is wrong or about training, the label belongs to another meta-test,
            or the source code of a part has changed.
    """
    from pathlib import Path

    from selectrl.api.meta_tests import RequestedTest, evaluate_all, plan_tests

    request = RequestedTest(
        collector=collector,
        ablation=ablation,
        protocol=protocol,
        budget=budget,
        repeats=repeats,
        settings=tuple(settings),
        label=label,
    )
    plans = plan_tests([Path(run) for run in runs], request, threads=threads, data=Path(data), force=force)
    return evaluate_all(plans, diagnose=diagnose, force=force, progress=progress)


def report(*runs: Path | str, out: Path | str = "report", export: Path | str | None = None, last: int = 3) -> Report:
    """Write one HTML page from finished runs, as ``selectrl report`` does, with every figure and table as files.

    Args:
        runs: run directories, or folders above them; runs that are not finished or damaged are left out and named.
        out: folder of the report, whose earlier files are replaced.
        export: new folder to copy all that a report reads to, without weights and data.
        last: number of tests at the end of training whose mean return is reported next to the last one's.

    Returns:
        The path of the page, and the runs and files that were left out with the reason for each.

    Raises:
        InputError: no run is given or finished, ``last`` is below 2, ``export`` is not empty, or a folder cannot be
            written to.
    """
    from pathlib import Path

    from selectrl.errors import InputError
    from selectrl.report import build_report

    if not runs:
        raise InputError("no run given; for example `selectrl report runs/point_robot`")
    copy = None if export is None else Path(export)
    return build_report([Path(run) for run in runs], Path(out), export=copy, last=last)
