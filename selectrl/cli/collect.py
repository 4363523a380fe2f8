"""``selectrl collect``: train behaviour policies on every task and keep their episodes as a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from selectrl.cli.options import Data, DryRun, Json, Sets, Threads
from selectrl.cli.screen import bars, emit, line, table
from selectrl.experiment.config import to_record
from selectrl.gin_edge import build_collection, shipped_layer, user_layers


def collect(
    file: Annotated[Path | None, Parameter(help="A gin file of yours, laid over env and preset.")] = None,
    /,
    *,
    env: Annotated[str, Parameter(help="A shipped environment, see `selectrl list`.")],
    preset: Annotated[str, Parameter(help="A shipped behaviour preset: laptop or paper.")] = "laptop",
    set_: Sets = (),
    name: Annotated[str | None, Parameter(help="Name of the dataset; default: the preset's.")] = None,
    threads: Threads = None,
    data: Data = Path("data"),
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Collect behaviour data: one SAC policy per task, all tasks trained together, episodes kept at every checkpoint.

    Collection resumes: give the same command again after an interruption. A complete dataset is left alone.
    """
    layers = [shipped_layer("envs", env), shipped_layer("behaviour", preset), *user_layers(file, set_)]
    collection = build_collection(layers)
    folder = data / env / (name or preset)
    if dry_run:
        record = {"folder": str(folder), **to_record(collection)}
        if json:
            emit(record)
        else:
            table(
                f"Dataset {folder}",
                ["binding", "value"],
                [[f"behaviour.sac.{k}", str(v)] for k, v in record["behaviour"].items()],
            )
        return
    from selectrl.behaviour import collect as fill
    from selectrl.data.store import OfflineDataset

    with bars() as shown:

        def show(at: Any) -> None:
            shown.update(f"{env}/{name or preset}", at.step, at.steps, at.note, tell=at.tell)

        fill(collection.env, collection.behaviour, folder, threads=threads, progress=show)
    summary = OfflineDataset.open(folder, env=env).summary()
    if json:
        emit(summary)
        return
    returns: Any = summary["mean_return_by_label"]
    table(f"Dataset {folder}", ["checkpoint", "mean return"], [[k, f"{v:.2f}"] for k, v in returns.items()])
    line(f"{summary['tasks']} tasks, {summary['episodes']} episodes, {summary['rows']} transitions in {folder}")
