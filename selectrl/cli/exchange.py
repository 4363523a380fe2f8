"""``selectrl data import-csro``, ``import-minari`` and ``export-minari``: datasets in other formats."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, cast

from cyclopts import Parameter

from selectrl.cli.options import Data, Folder, Json, Sets, check_plain_name
from selectrl.cli.screen import Bars, draw_bars, emit, line
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
        help="Bounds LOW:HIGH that are rescaled to -1:1, for all dimensions of an action or, with commas, for each; "
        "default: the bounds logged with the data.",
    ),
]


def import_csro(
    folder: Annotated[Path, Parameter(help="The folder that contains goal_idx0, goal_idx1 and so on.")],
    /,
    *,
    env: Annotated[str, Parameter(help="The shipped environment of the data.")],
    name: Annotated[str, Parameter(validator=check_plain_name, help="Name of the dataset.")] = "csro",
    labels: Annotated[
        str | None, Parameter(help="Checkpoints START:STOP:STEP, STOP not included, or one label; default: all.")
    ] = None,
    deterministic: Annotated[
        bool, Parameter(negative="", show_default=False, help="Take the deterministic trj_eval* episodes instead.")
    ] = False,
    allow_missing: Annotated[
        bool, Parameter(negative="", show_default=False, help="Report checkpoints without episodes, and continue.")
    ] = False,
    actions: ActionKind = "refuse",
    action_box: Box = None,
    set_: Sets = (),
    data: Data = Path("data"),
    json: Json = False,
) -> None:
    """Convert the .npy files of CSRO's and FOCAL's collectors to a dataset.

    The files are pickles, which could run any program; here nothing in them is run.
    The files do not record how an episode ended: full length counts as a time-out,
    less as a terminal state.
    """
    config = cast(FamilyConfig, build_part(f"envs.{env}", [shipped_layer("envs", env), *user_layers(None, set_)]))
    wanted_labels, rule = read_labels(labels), read_rule(actions, action_box)
    from selectrl.data.npy_trees import find_files, import_tree

    tree = find_files(folder, len(FAMILIES.build(config).parameters), labels=wanted_labels, deterministic=deterministic)
    out = data / env / name
    with draw_bars() as bars:
        imported = import_tree(
            tree,
            config,
            out,
            source=SOURCE,
            allow_gaps=allow_missing,
            actions=rule,
            progress=tenth_counter(bars, f"{out} files"),
        )
    if json:
        emit(
            {
                "folder": str(out),
                "episodes": imported.episodes,
                "terminated": imported.terminal,
                "timed_out": imported.episodes - imported.terminal,
                "missing": imported.gaps,
                "actions": imported.actions,
            }
        )
        return
    for gap in imported.gaps:
        line(f"missing: {gap}")
    line(f"{imported.episodes} episodes in {out}: {imported.terminal} ended before the horizon, the others timed out")
    print_action_changes(imported.actions)
    line("Their simulator is unknown; data and tests should come from the same simulator.")


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
    with draw_bars() as bars:
        written = export(dataset, namespace, root=out, progress=tenth_counter(bars, f"{namespace} tasks"))
    ids = written.ids
    if json:
        emit({"root": str(root_folder(out)), "ids": ids, "unrecoverable": written.unrecoverable})
        return
    line(f"{len(ids)} datasets, {ids[0]} to {ids[-1]}, in {root_folder(out)}")
    if written.unrecoverable:
        line(f"Minari's recover_environment() cannot build their environment: {written.unrecoverable}")


def import_minari(
    namespace: Annotated[str, Parameter(help="Namespace of datasets that `export-minari` wrote.")],
    /,
    *,
    name: Annotated[
        str | None, Parameter(validator=check_plain_name, help="Name of the dataset; default: the namespace's.")
    ] = None,
    root: Annotated[
        Path | None, Parameter(help="Folder of Minari's datasets; default: MINARI_DATASETS_PATH, then Minari's own.")
    ] = None,
    actions: ActionKind = "refuse",
    action_box: Box = None,
    data: Data = Path("data"),
    json: Json = False,
) -> None:
    """Convert the Minari datasets of one namespace to a dataset; an exported dataset is restored bit for bit."""
    from selectrl.data.actions import RECORD
    from selectrl.data.minari_files import import_minari as load
    from selectrl.data.store import OfflineDataset

    rule = read_rule(actions, action_box)
    with draw_bars() as bars:
        out = load(
            namespace, data, name=name, root=root, actions=rule, progress=tenth_counter(bars, f"{namespace} tasks")
        )
    dataset = OfflineDataset.open(out)
    changes = cast(dict[str, Any], dataset.manifest.behaviour.get(RECORD, {}))
    if json:
        emit({"folder": str(out), "fingerprint": dataset.fingerprint, "actions": changes})
        return
    line(f"{len(dataset.manifest.tasks)} tasks in {out}, fingerprint {dataset.fingerprint[:16]}")
    print_action_changes(changes)


def read_labels(text: str | None) -> range | None:
    """Read ``2200:5000:200`` or ``2200``.

    Raises:
        InputError: the text is neither, or names no label or too many.
    """
    if text is None:
        return None
    words = text.split(":")
    if len(words) not in (1, 3) or not all(word.isdecimal() and len(word) <= 15 for word in words):
        raise InputError(f"--labels {text!r}: expected START:STOP:STEP such as 2200:5000:200, or one label")
    start, *rest = map(int, words)
    stop, step = rest or (start + 1, 1)
    labels = range(start, stop, max(step, 1))
    if step < 1 or not 1 <= len(labels) <= MOST_LABELS:
        raise InputError(f"--labels {text!r}: expected 1 to {MOST_LABELS} labels, START below STOP and STEP above 0")
    return labels


def read_rule(kind: str, box: str | None) -> ActionRule:
    """Read ``-2:2`` or, with bounds for each dimension, ``-2:2,0:1``.

    Raises:
        InputError: the text is neither, or this kind uses no box.
    """
    from selectrl.data.actions import ActionRule

    if box is None:
        return ActionRule(kind=kind)
    try:
        parts = [pair.partition(":") for pair in box.split(",")]
        pairs = tuple((float(low), float(high)) for low, _, high in parts)
    except ValueError as error:
        expected = "expected LOW:HIGH such as -2:2, or one for each dimension with commas"
        raise InputError(f"--action-box {box!r}: {expected}") from error
    return ActionRule(kind=kind, box=pairs)


def print_action_changes(changes: Mapping[str, Any]) -> None:
    """Print how an import changed the actions; nothing where they are as logged."""
    if "clipped" in changes:
        line(f"{changes['clipped']} of {changes['rows']} rows had an action beyond -1 to 1, which was clipped")
    elif changes:
        line(f"the actions of {changes['rows']} rows were rescaled to -1 to 1")


def tenth_counter(bars: Bars, job: str) -> Callable[[int, int], None]:
    """Return a callback that shows the finished parts of a job; without a terminal, one line at every tenth."""

    def show(done: int, total: int) -> None:
        bars.update(job, done, total, tell=done * 10 // total > (done - 1) * 10 // total)

    return show
