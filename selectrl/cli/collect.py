"""``selectrl collect``: train behaviour policies on every task and keep their episodes as a dataset."""

from __future__ import annotations

from math import isnan
from pathlib import Path
from statistics import fmean
from typing import Annotated, Any, Literal

import attrs
from cyclopts import Parameter

from selectrl.cli.data import returns_table
from selectrl.cli.options import Data, DryRun, Json, Sets, Threads, plain_name
from selectrl.cli.screen import bars, emit, line, table
from selectrl.gin_edge import Collection, build_collection, shipped_layer, user_layers
from selectrl.launch.local import require_cores
from selectrl.registry import registered_name, tag


def collect(
    file: Annotated[Path | None, Parameter(help="A gin file of yours, laid over env and preset.")] = None,
    /,
    *,
    env: Annotated[str, Parameter(help="A shipped environment, see `selectrl list`.")],
    preset: Annotated[str, Parameter(help="A shipped behaviour preset: laptop, small, gpu or paper.")] = "laptop",
    set_: Sets = (),
    name: Annotated[
        str | None, Parameter(validator=plain_name, help="Name of the dataset; default: the preset's.")
    ] = None,
    threads: Annotated[
        Threads, Parameter(help="Threads of torch and simulator; default: torch's own, and 1 for the simulator.")
    ] = None,
    device: Annotated[Literal["cpu", "cuda"], Parameter(help="Where the learners live.")] = "cpu",
    data: Data = Path("data"),
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Collect behaviour data: one SAC policy per task, all tasks trained together, episodes kept at every checkpoint.

    Collection resumes: give the same command again after an interruption. A
    complete dataset is left alone.
    """
    require_cores(threads)
    layers = [shipped_layer("envs", env), shipped_layer("behaviour", preset), *user_layers(file, set_)]
    collection = build_collection(layers)
    family = str(tag(collection.env))
    folder = data / registered_name(collection.env) / (name or preset)
    if dry_run:
        parts: dict[str, Any] = {family: collection.env, "behaviour.sac": collection.behaviour}
        values = {f"{part}.{k}": v for part, one in parts.items() for k, v in attrs.asdict(one).items()}
        if json:
            emit({"folder": str(folder), "bindings": values})
        else:
            table(f"Dataset {folder}", ["binding", "value"], [[path, str(value)] for path, value in values.items()])
        return
    fill(collection, folder, threads, device)
    from selectrl.data.store import OfflineDataset

    summary = OfflineDataset.open(folder).summary()
    if json:
        emit(summary)
        return
    returns_table(f"Dataset {folder}", summary)
    line(f"{summary['tasks']} tasks, {summary['episodes']} episodes, {summary['rows']} transitions in {folder}")


def fill(collection: Collection, folder: Path, threads: int | None = None, device: str = "cpu") -> None:
    """Collect a dataset, or what is missing of it, and show how it goes on."""
    from selectrl.behaviour.collect import collect as collect_here

    told = {0}
    with bars() as shown:

        def show(at: Any) -> None:
            note = f"checkpoint {at.label}: {spread(at.returns)}" if at.label else ""
            shown.update(str(folder), at.step, at.steps, note, tell=at.label not in told)
            told.add(at.label)

        collect_here(collection.env, collection.behaviour, folder, threads=threads, device=device, progress=show)


def spread(returns: Any) -> str:
    """Say how the tasks' returns lie, those without one left out; returns (task,)."""
    known = {task: value for task, value in enumerate(returns.tolist()) if not isnan(value)}
    worst, best = min(known, key=known.__getitem__), max(known, key=known.__getitem__)
    mean = fmean(known.values())
    return f"mean return {mean:.2f}, from {known[worst]:.2f} (task {worst}) to {known[best]:.2f} (task {best})"
