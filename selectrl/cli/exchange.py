"""``selectrl data import-csro``, ``import-minari`` and ``export-minari``: datasets in other formats."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, cast

from cyclopts import Parameter

from selectrl.cli.options import Data, Folder, Json, Sets, plain_name
from selectrl.cli.screen import Bars, bars, emit, line
from selectrl.errors import InputError
from selectrl.gin_edge import build_part, shipped_layer, user_layers
from selectrl.protocols import FamilyConfig
from selectrl.registry import FAMILIES

if TYPE_CHECKING:
    from selectrl.data.actions import ActionRule

SOURCE = "imported from CSRO's files"
MOST_LABELS = 10_000

ActionKind: TypeAlias = Annotated[
    Literal["refuse", "clip", "rescale"],
    Parameter(name="--actions", help="Logged actions beyond -1 to 1: refuse, clip as environments do, or rescale all."),
]
Box: TypeAlias = Annotated[
    str | None,
    Parameter(
        name="--action-box",
        allow_leading_hyphen=True,
        help="Bounds LOW:HIGH that are rescaled to -1:1, for all numbers of an action or one a number with commas; "
        "default: those logged with the data.",
    ),
]


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
    actions: ActionKind = "refuse",
    action_box: Box = None,
    set_: Sets = (),
    data: Data = Path("data"),
    json: Json = False,
) -> None:
    """Make a dataset of the .npy files that CSRO's and FOCAL's collectors leave.

    The files are pickles, which could run any program; here nothing in them is run.
    How an episode ended is not said: full length counts as a time-out, less as a true end.
    """
    config = cast(FamilyConfig, build_part(f"envs.{env}", [shipped_layer("envs", env), *user_layers(None, set_)]))
    wanted, rule = read_labels(labels), read_rule(actions, action_box)
    from selectrl.data.npy_trees import find_files, import_tree

    tree = find_files(folder, len(FAMILIES.build(config).parameters), labels=wanted, deterministic=deterministic)
    out = data / env / name
    with bars() as shown:
        found = import_tree(
            tree,
            config,
            out,
            source=SOURCE,
            allow_gaps=allow_missing,
            actions=rule,
            progress=counter(shown, f"{out} files"),
        )
    if json:
        emit(
            {
                "folder": str(out),
                "episodes": found.episodes,
                "terminated": found.terminal,
                "timed_out": found.episodes - found.terminal,
                "missing": found.gaps,
                "actions": found.actions,
            }
        )
        return
    for gap in found.gaps:
        line(f"missing: {gap}")
    line(f"{found.episodes} episodes in {out}: {found.terminal} ended before the horizon, the others timed out")
    tell_actions(found.actions)
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
        written = export(dataset, namespace, root=out, progress=counter(shown, f"{namespace} tasks"))
    ids = written.ids
    if json:
        emit({"root": str(root_folder(out)), "ids": ids, "unrecoverable": written.unrecoverable})
        return
    line(f"{len(ids)} datasets, {ids[0]} to {ids[-1]}, in {root_folder(out)}")
    if written.unrecoverable:
        line(f"Minari's recover_environment() cannot make their environment: {written.unrecoverable}")


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
    actions: ActionKind = "refuse",
    action_box: Box = None,
    data: Data = Path("data"),
    json: Json = False,
) -> None:
    """Make a dataset of the Minari datasets of one namespace; what was exported comes back bit for bit."""
    from selectrl.data.actions import RECORD
    from selectrl.data.minari_files import import_minari as load
    from selectrl.data.store import OfflineDataset

    rule = read_rule(actions, action_box)
    with bars() as shown:
        out = load(namespace, data, name=name, root=root, actions=rule, progress=counter(shown, f"{namespace} tasks"))
    dataset = OfflineDataset.open(out)
    done = cast(dict[str, Any], dataset.manifest.behaviour.get(RECORD, {}))
    if json:
        emit({"folder": str(out), "fingerprint": dataset.fingerprint, "actions": done})
        return
    line(f"{len(dataset.manifest.tasks)} tasks in {out}, fingerprint {dataset.fingerprint[:16]}")
    tell_actions(done)


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


def read_rule(kind: str, box: str | None) -> ActionRule:
    """Read ``-2:2`` or, with bounds for each number, ``-2:2,0:1``.

    Raises:
        InputError: it is neither, or the box has no use.
    """
    from selectrl.data.actions import ActionRule

    if box is None:
        return ActionRule(kind=kind)
    try:
        parts = [pair.partition(":") for pair in box.split(",")]
        pairs = tuple((float(low), float(high)) for low, _, high in parts)
    except ValueError as error:
        expected = "expected LOW:HIGH such as -2:2, or one for each number with commas"
        raise InputError(f"--action-box {box!r}: {expected}") from error
    return ActionRule(kind=kind, box=pairs)


def tell_actions(done: Mapping[str, Any]) -> None:
    """Print what an import did to the actions; nothing where they are as logged."""
    if "clipped" in done:
        line(f"{done['clipped']} of {done['rows']} rows had an action beyond -1 to 1, which was clipped")
    elif done:
        line(f"the actions of {done['rows']} rows were rescaled to -1 to 1")


def counter(shown: Bars, job: str) -> Callable[[int, int], None]:
    """Return what shows how many of a job's parts are done; without a terminal, a line at every tenth."""

    def show(done: int, total: int) -> None:
        shown.update(job, done, total, tell=done * 10 // total > (done - 1) * 10 // total)

    return show
