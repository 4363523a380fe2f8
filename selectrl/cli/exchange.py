"""``selectrl data import-csro``, ``import-minari`` and ``export-minari``: datasets in other formats."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, cast

from cyclopts import Parameter

from selectrl.cli.options import Data, Folder, Json, Sets, plain_name
from selectrl.cli.screen import Bars, bars, emit, line
from selectrl.errors import InputError
from selectrl.gin_edge import build_part, shipped_layer, user_layers
from selectrl.protocols import FamilyConfig

SOURCE = "imported from CSRO's files"
MOST_LABELS = 10_000


def import_csro(
    folder: Annotated[Path, Parameter(help="The folder that holds goal_idx0, goal_idx1 and so on.")],
    /,
    *,
    env: Annotated[str, Parameter(help="The shipped environment that the data are of.")],
    name: Annotated[str, Parameter(validator=plain_name, help="Name of the dataset.")] = "csro",
    labels: Annotated[
        str | None, Parameter(help="Checkpoints START:STOP:STEP, STOP not included, or one; default: all.")
    ] = None,
    deterministic: Annotated[
        bool, Parameter(negative="", show_default=False, help="Take the deterministic trj_eval* episodes instead.")
    ] = False,
    allow_missing: Annotated[
        bool, Parameter(negative="", show_default=False, help="Report checkpoints that lack episodes, and go on.")
    ] = False,
    set_: Sets = (),
    data: Data = Path("data"),
    json: Json = False,
) -> None:
    """Make a dataset of the .npy files that CSRO's and FOCAL's collectors leave.

    The files are pickles, which could run any program; here nothing in them is run.
    How an episode ended is not said: full length counts as a time-out, less as a true end.
    """
    config = cast(FamilyConfig, build_part(f"envs.{env}", [shipped_layer("envs", env), *user_layers(None, set_)]))
    wanted = read_labels(labels)
    from selectrl.data.npy_trees import find_files, import_tree

    tree = find_files(folder, len(config.build().parameters), labels=wanted, deterministic=deterministic)
    out = data / env / name
    with bars() as shown:
        found = import_tree(
            tree, config, out, source=SOURCE, allow_gaps=allow_missing, progress=counter(shown, f"{out} files")
        )
    if json:
        emit(
            {
                "folder": str(out),
                "episodes": found.episodes,
                "terminated": found.terminal,
                "timed_out": found.episodes - found.terminal,
                "missing": found.gaps,
            }
        )
        return
    for gap in found.gaps:
        line(f"missing: {gap}")
    line(f"{found.episodes} episodes in {out}: {found.terminal} ended before the horizon, the others timed out")
    line("The simulator that made them is unknown; data and tests should come from one simulator.")


def export_minari(
    folder: Folder,
    /,
    *,
    namespace: Annotated[str, Parameter(help="Namespace of the new datasets, for example selectrl/point-robot.")],
    out: Annotated[
        Path | None, Parameter(help="Folder of Minari's datasets; default: MINARI_DATASETS_PATH, then Minari's own.")
    ] = None,
    json: Json = False,
) -> None:
    """Write a dataset as Minari datasets, one per task, all in one namespace."""
    from selectrl.data.minari_files import export_minari as export
    from selectrl.data.minari_files import root_folder
    from selectrl.data.store import OfflineDataset

    dataset = OfflineDataset.open(folder)
    with bars() as shown:
        ids = export(dataset, namespace, root=out, progress=counter(shown, f"{namespace} tasks"))
    if json:
        emit({"root": str(root_folder(out)), "ids": ids})
        return
    line(f"{len(ids)} datasets, {ids[0]} to {ids[-1]}, in {root_folder(out)}")


def import_minari(
    namespace: Annotated[str, Parameter(help="Namespace of datasets that `export-minari` wrote.")],
    /,
    *,
    name: Annotated[
        str | None, Parameter(validator=plain_name, help="Name of the dataset; default: the namespace's.")
    ] = None,
    root: Annotated[
        Path | None, Parameter(help="Folder of Minari's datasets; default: MINARI_DATASETS_PATH, then Minari's own.")
    ] = None,
    data: Data = Path("data"),
    json: Json = False,
) -> None:
    """Make a dataset of the Minari datasets of one namespace; what was exported comes back bit for bit."""
    from selectrl.data.minari_files import import_minari as load
    from selectrl.data.store import OfflineDataset

    with bars() as shown:
        out = load(namespace, data, name=name, root=root, progress=counter(shown, f"{namespace} tasks"))
    dataset = OfflineDataset.open(out)
    if json:
        emit({"folder": str(out), "fingerprint": dataset.fingerprint})
        return
    line(f"{len(dataset.manifest.tasks)} tasks in {out}, fingerprint {dataset.fingerprint[:16]}")


def read_labels(text: str | None) -> range | None:
    """Read ``2200:5000:200`` or ``2200``.

    Raises:
        InputError: it is neither, or names no label or too many.
    """
    if text is None:
        return None
    words = text.split(":")
    if len(words) not in (1, 3) or not all(word.isdecimal() and len(word) <= 15 for word in words):
        raise InputError(f"--labels {text!r}: expected START:STOP:STEP such as 2200:5000:200, or one label")
    start, *rest = map(int, words)
    stop, step = rest or (start + 1, 1)
    found = range(start, stop, max(step, 1))
    if step < 1 or not 1 <= len(found) <= MOST_LABELS:
        raise InputError(f"--labels {text!r}: expected 1 to {MOST_LABELS} labels, START below STOP and STEP above 0")
    return found


def counter(shown: Bars, job: str) -> Callable[[int, int], None]:
    """Return what shows how many of a job's parts are done; without a terminal, a line at every tenth."""

    def show(done: int, total: int) -> None:
        shown.update(job, done, total, tell=done * 10 // total > (done - 1) * 10 // total)

    return show
