"""``selectrl collect``: train behaviour policies on every task and keep their episodes as a dataset."""

from __future__ import annotations

from math import isnan
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Annotated, Any, Literal

import attrs
from cyclopts import Parameter

import selectrl
from selectrl.api.datasets import collection_of, folder_of
from selectrl.cli.data import returns_table
from selectrl.cli.options import Data, DryRun, Json, Sets, Threads, plain_name
from selectrl.cli.screen import Bars, bars, emit, line, table
from selectrl.gin_edge import Collection
from selectrl.registry import tag

if TYPE_CHECKING:
    from selectrl.behaviour.collect import CollectProgress


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
    if dry_run:
        show_collection(collection_of(env, preset, file, set_), name or preset, data, json=json)
        return
    with bars() as shown:
        drawn = CollectBars(shown)
        dataset = selectrl.collect(
            env,
            preset=preset,
            file=file,
            settings=set_,
            name=name,
            data=data,
            threads=threads,
            device=device,
            progress=lambda at: drawn.show(data / env / (name or preset), at),
        )
    summary, folder = dataset.summary(), dataset.folder
    if json:
        emit(summary)
        return
    returns_table(f"Dataset {folder}", summary)
    line(f"{summary['tasks']} tasks, {summary['episodes']} episodes, {summary['rows']} transitions in {folder}")


def show_collection(collection: Collection, name: str, data: Path, *, json: bool) -> None:
    """Print the folder of a dataset, and the bindings that it would be collected with."""
    folder = folder_of(collection, name, data)
    parts: dict[str, Any] = {str(tag(collection.env)): collection.env, "behaviour.sac": collection.behaviour}
    values = {
        f"{part}.{field}": value for part, config in parts.items() for field, value in attrs.asdict(config).items()
    }
    if json:
        emit({"folder": str(folder), "bindings": values})
    else:
        table(f"Dataset {folder}", ["binding", "value"], [[path, str(value)] for path, value in values.items()])


class CollectBars:
    """A bar per dataset that is collected; plain lines at its checkpoints when stderr is no terminal."""

    def __init__(self, shown: Bars) -> None:
        self._shown = shown
        self._labels: dict[Path, int] = {}

    def show(self, folder: Path, at: CollectProgress) -> None:
        """Show where the collection of a dataset stands."""
        note = f"checkpoint {at.label}: {spread(at.returns)}" if at.label else ""
        is_new = at.label != self._labels.get(folder, 0)
        self._shown.update(str(folder), at.step, at.steps, note, tell=is_new)
        self._labels[folder] = at.label


def spread(returns: Any) -> str:
    """Say how the tasks' returns lie, those without one left out; returns (task,)."""
    known = {task: value for task, value in enumerate(returns.tolist()) if not isnan(value)}
    worst, best = min(known, key=known.__getitem__), max(known, key=known.__getitem__)
    mean = fmean(known.values())
    return f"mean return {mean:.2f}, from {known[worst]:.2f} (task {worst}) to {known[best]:.2f} (task {best})"
