"""Datasets as trees of ``.npy`` files, one episode a file, as published collectors of behaviour data leave them.

::

    goal_idx<task>/trj_evalsample<k>_step<label>.npy    episodes of the stochastic policy
    goal_idx<task>/trj_eval<k>_step<label>.npy          episodes of its deterministic mode

A file holds a pickled object array (time, 4) with rows [obs, action, reward, next obs] and does not say how the episode
ended: one of full length is taken to have timed out, a shorter one to have ended truly.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, cast

import attrs
import numpy as np
from numpy.typing import NDArray

from selectrl.data.actions import RECORD, REFUSE, ActionRule, Actions
from selectrl.data.episodes import Episode, Episodes, stack
from selectrl.data.folders import entries, inside, leads_to_something
from selectrl.data.manifest import SIMULATORS, UNKNOWN, versions, write_manifest
from selectrl.data.object_files import read_table
from selectrl.data.store import write_task
from selectrl.errors import DataError, InputError
from selectrl.locks import whole
from selectrl.protocols import FamilyConfig, TaskFamily
from selectrl.registry import FAMILIES

Floats: TypeAlias = NDArray[np.float32]
Progress: TypeAlias = Callable[[int, int], None]

OVERHEAD = 1024  # bytes of a row besides its numbers, and 64 times as many of a file; NumPy writes some 200
ROUNDING, TOLERANCE = 1e-3, 0.05  # of the typical reward: what rounding may do to it, and a reward function's details
SAMPLE = 1000  # rows of a task whose rewards are looked at


class Tree(NamedTuple):
    """The files of one tree.

    Attributes:
        folder: where it lies.
        files: the files of every task by label, in the order of their numbers.
        deterministic: whether they are the deterministic policy's.
        gaps: a sentence for each task and label that has fewer episodes than the others.
    """

    folder: Path
    files: Mapping[int, Mapping[int, list[Path]]]
    deterministic: bool
    gaps: list[str]


class Imported(NamedTuple):
    """What an import found.

    Attributes:
        episodes: how many.
        terminal: how many of them ended before the horizon.
        gaps: see :class:`Tree`.
        actions: what was done to logged actions beyond [-1, 1], as the manifest records it; empty if nothing was.
    """

    episodes: int
    terminal: int
    gaps: list[str]
    actions: dict[str, Any]


def find_files(folder: Path, tasks: int, *, labels: Collection[int] | None = None, deterministic: bool = False) -> Tree:
    """List the files of a tree.

    Args:
        folder: holds ``goal_idx0`` and so on.
        tasks: how many there must be.
        labels: the checkpoints wanted; None takes all that any task has.
        deterministic: the deterministic policy's episodes in place of the stochastic one's.

    Raises:
        DataError: it is no such tree, has other tasks, or a task is empty.
    """
    named = _named(folder, folder, r"goal_idx(0|[1-9]\d{0,5})")
    folders = {int(name[1]): path for path, name in named if path.is_dir()}
    if not folders:
        raise DataError(f"{folder} holds no goal_idx0; give the folder that does")
    if leads_to_something(folder / "normalizer.npz"):
        raise DataError(f"{folder / 'normalizer.npz'}: the observations are scaled; undo that first and move it away")
    beyond = sorted(folders.keys() - range(tasks))
    if beyond:
        raise DataError(f"{folders[beyond[0]]}: the environment has {tasks} tasks, 0 to {tasks - 1}; name another")
    pattern = rf"trj_eval{'' if deterministic else 'sample'}(\d{{1,9}})_step(\d{{1,15}})\.npy"
    files = {}
    for task in range(tasks):
        inner = _named(folders[task], folder, pattern) if task in folders else ()
        found = sorted((int(name[2]), int(name[1]), path) for path, name in inner)
        files[task] = {label: [path for at, _, path in found if at == label] for label in sorted({n[0] for n in found})}
        if labels is not None:
            files[task] = {label: paths for label, paths in files[task].items() if label in labels}
        if not files[task]:
            kind = "trj_eval*" if deterministic else "trj_evalsample*"
            wanted = "" if labels is None else " of the labels asked for"
            raise DataError(f"{folder / f'goal_idx{task}'} holds no {kind} file{wanted}, and every task needs some")
        if 0 in files[task]:
            first = files[task][0][0]
            raise DataError(f"{first}: label 0 stands for random warm-up here; leave it out with --labels")
    return Tree(folder, files, deterministic, _gaps(files, labels))


def import_tree(
    tree: Tree,
    config: FamilyConfig,
    out: Path,
    *,
    source: str,
    allow_gaps: bool = False,
    actions: ActionRule = REFUSE,
    progress: Progress = lambda done, total: None,
) -> Imported:
    """Turn a tree into a dataset, whole or not at all.

    Args:
        tree: what :func:`find_files` found.
        config: the task family that the data are of.
        out: the dataset's folder, which must not be there yet.
        source: where the data come from, for the manifest.
        allow_gaps: take a tree in which a task and label have fewer episodes than the others, or none.
        actions: how logged actions beyond [-1, 1] are treated.
        progress: called with the number of files read and of all.

    Raises:
        UnreadableError: a file is there, but cannot be read.
        DataError: there are gaps, a file is damaged, hostile, or not of this family, or holds actions that the rule
            does not take.
        InputError: the folder is there already or cannot be written to, or the family is not registered.
    """
    entry = FAMILIES.find(type(config))
    if entry is None:
        raise InputError(f"{type(config).__name__} is not registered: add it to the registry of envs")
    if tree.gaps and not allow_gaps:
        more = f" (and {len(tree.gaps) - 1} more like it)" if len(tree.gaps) > 1 else ""
        raise DataError(f"{tree.folder} is incomplete: {tree.gaps[0]}{more}; complete it or give --allow-missing")
    family = FAMILIES.build(config)
    total, done, terminal = sum(len(p) for task in tree.files.values() for p in task.values()), 0, 0
    fitted = Actions(actions, family.spec.action)
    written = []
    with whole(out) as work:
        for task, by_label in tree.files.items():
            read = []
            for label, paths in by_label.items():
                for path in paths:
                    episode = read_episode(path, label, family)
                    read.append(episode._replace(action=fitted.fit(str(path), episode.action)))
                    done += 1
                    progress(done, total)
            terminal += sum(episode.terminal for episode in read)
            episodes = stack(read, family.spec.horizon)
            _check_rewards(tree.folder / f"goal_idx{task}", task, episodes, family, entry.name)
            written.append(write_task(work, task, [float(value) for value in family.parameters[task]], episodes))
        treated = fitted.finish()
        write_manifest(
            work,
            env=entry.name,
            env_id=family.env_id,
            env_config=attrs.asdict(cast(Any, config)),
            spec=family.spec,
            tasks=written,
            behaviour={
                "folder": str(tree.folder),
                "policy": "deterministic" if tree.deterministic else "stochastic",
                "labels": sorted({label for task in tree.files.values() for label in task}),
                "gaps": tree.gaps,
                **treated,
            },
            split={"train": list(family.train_tasks), "test": list(family.test_tasks)},
            source=source,
            made_with=versions() | dict.fromkeys(SIMULATORS, UNKNOWN),
        )
    return Imported(total, terminal, tree.gaps, treated.get(RECORD, {}))


def read_episode(path: Path, label: int, family: TaskFamily) -> Episode:
    """Read one file; its actions may be beyond [-1, 1].

    Raises:
        UnreadableError: the file is there, but cannot be read.
        DataError: it is damaged, hostile, or not of this family; the sentence names the file.
    """
    spec = family.spec
    numbers = 8 * (2 * spec.obs + spec.action + 1)
    most = OVERHEAD * 64 + spec.horizon * (numbers + OVERHEAD)
    table = read_table(path, columns=4, most_rows=spec.horizon, most_bytes=most)
    columns = zip(*table, strict=True)
    shapes = {"obs": (spec.obs,), "action": (spec.action,), "reward": (), "next_obs": (spec.obs,)}
    obs, action, reward, after = (
        _column(path, name, cells, shape) for cells, (name, shape) in zip(columns, shapes.items(), strict=True)
    )
    torn = np.flatnonzero((obs[1:] != after[:-1]).any(1))
    if torn.size:
        at = f"next_obs of row {torn[0]} is not obs of row {torn[0] + 1}"
        raise DataError(f"{path}: {at}, so it is not one episode; get the file again from its source")
    return Episode(np.concatenate((obs[:1], after)), action, reward, len(reward) < spec.horizon, label)


def _column(path: Path, name: str, cells: tuple[NDArray[Any], ...], shape: tuple[int, ...]) -> Floats:
    """Return a column as float32 (time, …); the first observation of an episode may be of integers."""
    for row, cell in enumerate(cells):
        if cell.shape != shape:
            got = f"{name} of row {row} has shape {cell.shape}, the environment's has {shape}"
            raise DataError(f"{path}: {got}; name the environment that the data are of")
    with np.errstate(over="ignore"):
        column = np.stack([cell.astype(np.float32) for cell in cells])
    bad = np.flatnonzero(~np.isfinite(column).reshape(len(cells), -1).all(1))
    if bad.size:
        raise DataError(f"{path}: {name} of row {bad[0]} is not a finite number; get the file again from its source")
    return column


def _check_rewards(folder: Path, task: int, episodes: Episodes[Any], family: TaskFamily, env: str) -> None:
    """Check that the rewards are the task's, where the family can tell them: no shape shows another set of tasks."""
    if family.reward is None:
        return
    rows = np.argwhere(np.arange(episodes.reward.shape[1]) < episodes.length[:, None])
    i, t = rows[:: -(-len(rows) // SAMPLE)].T
    got = episodes.reward[i, t]
    off = []
    for parameter in family.parameters:
        each = np.broadcast_to(parameter, (len(got), len(parameter)))
        expected = family.reward(each, episodes.obs[i, t], episodes.action[i, t], episodes.obs[i, t + 1])
        off.append(float(np.median(np.abs(np.asarray(expected) - got))))
    scale, nearest = max(1.0, float(np.median(np.abs(got)))), int(np.argmin(off))
    if off[task] > ROUNDING * scale and off[nearest] < off[task] / 10:
        raise DataError(
            f"{folder}: its rewards are those of task {nearest} of {env}; number the folders as they are here"
        )
    if off[task] > TOLERANCE * scale:
        told = f"its rewards are not those of task {task} of {env} (typically off by {off[task]:.2g})"
        raise DataError(f"{folder}: {told}; the data are of tasks for which there is no environment here")


def _gaps(files: Mapping[int, Mapping[int, list[Path]]], labels: Collection[int] | None) -> list[str]:
    most = max(len(paths) for task in files.values() for paths in task.values())
    wanted = sorted({label for task in files.values() for label in task} | set(labels or ()))
    return [
        f"goal_idx{task} has {len(by_label.get(label, ()))} of {most} episodes of label {label}"
        for task, by_label in files.items()
        for label in wanted
        if len(by_label.get(label, ())) < most
    ]


def _named(folder: Path, top: Path, pattern: str) -> Iterator[tuple[Path, re.Match[str]]]:
    """Go through the entries of a folder whose names match; none may be a link out of the tree."""
    for path in entries(folder, "give the one that holds goal_idx0"):
        name = re.fullmatch(pattern, path.name)
        if name:
            yield inside(path, top), name
