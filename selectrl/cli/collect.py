"""``selectrl collect``: train behaviour policies on every task and keep their episodes as a dataset."""

from __future__ import annotations

from math import isnan
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Annotated, Any, Literal

import attrs
from cyclopts import Parameter

import selectrl
from selectrl.api.datasets import compose_collection, dataset_folder
from selectrl.cli.data import returns_table
from selectrl.cli.options import Data, DryRun, Json, Sets, Threads, check_plain_name
from selectrl.cli.screen import Bars, draw_bars, emit, line, table
from selectrl.gin_edge import Collection
from selectrl.registry import tag

if TYPE_CHECKING:
    from selectrl.behaviour.collect import CollectProgress


def collect(
    file: Annotated[Path | None, Parameter(help="Your gin file, applied over env and preset.")] = None,
    /,
    *,
    env: Annotated[str, Parameter(help="A shipped environment, see `selectrl list`.")],
    preset: Annotated[str, Parameter(help="A shipped behaviour preset: laptop, small, gpu or paper.")] = "laptop",
    set_: Sets = (),
    name: Annotated[
        str | None, Parameter(validator=check_plain_name, help="Name of the dataset; default: the preset's.")
    ] = None,
    threads: Annotated[
        Threads, Parameter(help="Threads of torch and simulator; default: torch's own, and 1 for the simulator.")
    ] = None,
    device: Annotated[Literal["cpu", "cuda"], Parameter(help="Device that the learners train on.")] = "cpu",
    data: Data = Path("data"),
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Collect behaviour data: train a SAC policy per task, all in parallel, and keep episodes of each checkpoint.

    Collection resumes: give the same command again after an interruption. A
    complete dataset stays as it is.
    """
    if dry_run:
        show_collection(compose_collection(env, preset, file, set_), name or preset, data, json=json)
        return
    with draw_bars() as bars:
        collect_bars = CollectBars(bars)
        dataset = selectrl.collect(
            env,
            preset=preset,
            file=file,
            settings=set_,
            name=name,
            data=data,
            threads=threads,
            device=device,
            progress=lambda at: collect_bars.show(data / env / (name or preset), at),
        )
    summary, folder = dataset.summary(), dataset.folder
    if json:
        emit(summary)
        return
    returns_table(f"Dataset {folder}", summary)
    line(f"{summary['tasks']} tasks, {summary['episodes']} episodes, {summary['rows']} transitions in {folder}")


def show_collection(collection: Collection, name: str, data: Path, *, json: bool) -> None:
    """Print the folder of a dataset, and the bindings of its collection."""
    folder = dataset_folder(collection, name, data)
    parts: dict[str, Any] = {str(tag(collection.env)): collection.env, "behaviour.sac": collection.behaviour}
    values = {
        f"{part}.{field}": value for part, config in parts.items() for field, value in attrs.asdict(config).items()
    }
    if json:
        emit({"folder": str(folder), "bindings": values})
    else:
        table(f"Dataset {folder}", ["binding", "value"], [[path, str(value)] for path, value in values.items()])


class CollectBars:
    """Draws a bar per dataset; prints plain lines at its checkpoints when stderr is not a terminal."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._labels: dict[Path, int] = {}

    def show(self, folder: Path, at: CollectProgress) -> None:
        """Show the progress of a dataset's collection."""
        note = f"checkpoint {at.label}: {describe_returns(at.returns)}" if at.label else ""
        is_new = at.label != self._labels.get(folder, 0)
        self._bars.update(str(folder), at.step, at.steps, note, tell=is_new)
        self._labels[folder] = at.label


def describe_returns(returns: Any) -> str:
    """Describe the mean and the range of the tasks' returns (task,), without the tasks that have none."""
    by_task = {task: value for task, value in enumerate(returns.tolist()) if not isnan(value)}
    worst, best = min(by_task, key=by_task.__getitem__), max(by_task, key=by_task.__getitem__)
    mean = fmean(by_task.values())
    return f"mean return {mean:.2f}, from {by_task[worst]:.2f} (task {worst}) to {by_task[best]:.2f} (task {best})"
