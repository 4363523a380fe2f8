"""The plain Python interface: what the command line does, as functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selectrl.experiment.config import Experiment
from selectrl.gin_edge import build_experiment, default_name, experiment_layers

if TYPE_CHECKING:
    from selectrl.experiment.run import Run


def compose(
    method: str,
    env: str,
    *,
    profile: str | None = None,
    ablation: str | None = None,
    file: Path | str | None = None,
    settings: Sequence[str] = (),
) -> Experiment:
    """Return a shipped method on a shipped environment, with changes laid over it.

    Args:
        method: name of a method, for example ``select``.
        env: name of an environment, for example ``point_robot``.
        profile: name of a profile, for example ``laptop``.
        ablation: name of an ablation, for example ``td3_bc``.
        file: a gin file of yours.
        settings: bindings such as ``"encoders.csro.latent_dim=10"``, as ``--set`` takes them.

    Raises:
        InputError: a name, a binding or a value is wrong.
    """
    path = Path(file) if file else None
    layers = experiment_layers(method=method, env=env, profile=profile, ablation=ablation, file=path, settings=settings)
    return build_experiment(layers, default_name(method, ablation, path))


def train(
    experiment: Experiment,
    *,
    seed: int = 0,
    data: Path | str = "data",
    out: Path | str = "runs",
    progress: Callable[[dict[str, Any]], None] = lambda record: None,
    **execution: Any,
) -> Run:
    """Train one seed of an experiment, or go on where an earlier call stopped, and return its run.

    Args:
        experiment: what to train.
        seed: its seed.
        data: folder of the datasets.
        out: folder of the runs.
        progress: called with every record of losses and meta-tests.
        execution: how it is carried out, see :class:`~selectrl.experiment.execution.Execution`.

    Raises:
        InputError: the dataset is missing or damaged, the folder cannot be written to, or the device is not there.
        RunError: a loss is no longer finite, or memory ran out.
    """
    told = lambda run, record: progress(record)  # noqa: E731
    return train_seeds(experiment, [seed], data=data, out=out, progress=told, **execution)[0]


def train_seeds(
    experiment: Experiment,
    seeds: Sequence[int],
    *,
    data: Path | str = "data",
    out: Path | str = "runs",
    progress: Callable[[Run, dict[str, Any]], None] = lambda run, record: None,
    **execution: Any,
) -> list[Run]:
    """Train several seeds: on CUDA side by side as one population, on the CPU in turn. See :func:`train`."""
    from selectrl.launch.verdict import explained

    with explained():
        from selectrl.experiment.execution import Execution
        from selectrl.experiment.run import Run
        from selectrl.experiment.training import train as train_runs

        folder = Path(out) / experiment.env_name / experiment.folder_name
        how = Execution(data=Path(data), **execution)
        runs = [Run(folder / f"seed{seed}", experiment, seed, how) for seed in seeds]
        train_runs(runs, progress)
    return runs
