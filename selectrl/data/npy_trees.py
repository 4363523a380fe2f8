"""Import of trees of ``.npy`` files, one episode per file, as published collectors of behaviour data write them.

::

    goal_idx<task>/trj_evalsample<k>_step<label>.npy    episodes of the stochastic policy
    goal_idx<task>/trj_eval<k>_step<label>.npy          episodes of its deterministic mode

A file holds a pickled object array (time, 4) with rows [obs, action, reward, next obs] and does not record how
the episode ended: a full length counts as a time-out, a shorter one as a true termination.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, cast

import attrs
import numpy as np

from selectrl.arrays import Array, FloatArray
from selectrl.data.actions import RECORD, REFUSE, ActionRule, Actions
from selectrl.data.episodes import Episodes, LoggedEpisode, stack
from selectrl.data.folders import list_entries, require_inside, target_exists
from selectrl.data.manifest import SIMULATORS, UNKNOWN, library_versions, write_manifest
from selectrl.data.object_files import read_table
from selectrl.data.store import write_task
from selectrl.errors import DataError, InputError
from selectrl.locks import build_folder
from selectrl.protocols import FamilyConfig, TaskFamily
from selectrl.registry import FAMILIES

Progress: TypeAlias = Callable[[int, int], None]

OVERHEAD = 1024  # bytes of a row besides its numbers, and 64 times as many of a file; NumPy writes about 200
ROUNDING, TOLERANCE = 1e-3, 0.05  # of the typical reward: error of rounding, and of another reward function
SAMPLE = 1000  # rows of a task whose rewards are checked


class Tree(NamedTuple):
    """The files of one tree.

    Attributes:
        folder: its path.
        files: the files of every task by label, in the order of their numbers.
        deterministic: whether the deterministic policy acted.
        gaps: a sentence for each task and label that has fewer episodes than the others.
    """

    folder: Path
    files: Mapping[int, Mapping[int, list[Path]]]
    deterministic: bool
    gaps: list[str]


class TreeImport(NamedTuple):
    """The counts of an import.

    Attributes:
        episodes: number of episodes.
        terminal: number of episodes that ended before the horizon.
        gaps: see :class:`Tree`.
        actions: treatment of logged actions outside [-1, 1], as the manifest records it; empty if none changed.
    """

    episodes: int
    terminal: int
    gaps: list[str]
    actions: dict[str, Any]


def find_files(folder: Path, tasks: int, *, labels: Collection[int] | None = None, deterministic: bool = False) -> Tree:
    """List the files of a tree.

    Args:
        folder: folder of ``goal_idx0`` and so on.
        tasks: expected number of tasks.
        labels: the checkpoints to import; None takes all that any task has.
        deterministic: whether to take the episodes of the deterministic policy instead of the stochastic one.

    Raises:
        DataError: the folder is not such a tree, has other tasks, or a task is empty.
    """
    matches = _match_entries(folder, folder, r"goal_idx(0|[1-9]\d{0,5})")
    folders = {int(match[1]): path for path, match in matches if path.is_dir()}
    if not folders:
        raise DataError(f"{folder} holds no goal_idx0; name the folder that does")
    if target_exists(folder / "normalizer.npz"):
        raise DataError(f"{folder / 'normalizer.npz'}: the observations are scaled; undo that first and move it away")
    excess = sorted(folders.keys() - range(tasks))
    if excess:
        raise DataError(f"{folders[excess[0]]}: expected tasks 0 to {tasks - 1}; name the environment of the data")
    pattern = rf"trj_eval{'' if deterministic else 'sample'}(\d{{1,9}})_step(\d{{1,15}})\.npy"
    files: dict[int, dict[int, list[Path]]] = {}
    for task in range(tasks):
        inner = _match_entries(folders[task], folder, pattern) if task in folders else ()
        listed = sorted((int(match[2]), int(match[1]), path) for path, match in inner)
        files[task] = {}
        for label, _, path in listed:
            files[task].setdefault(label, []).append(path)
        if labels is not None:
            files[task] = {label: paths for label, paths in files[task].items() if label in labels}
        if not files[task]:
            kind = "trj_eval*" if deterministic else "trj_evalsample*"
            condition = "" if labels is None else " with a label of --labels"
            got = f"{folder / f'goal_idx{task}'} holds no {kind} file{condition}"
            raise DataError(f"{got}, expected some for every task; complete the tree")
        if 0 in files[task]:
            first = files[task][0][0]
            raise DataError(f"{first}: label 0 is reserved for the random warm-up; leave it out with --labels")
    return Tree(folder, files, deterministic, _find_gaps(files, labels))


def import_tree(
    tree: Tree,
    config: FamilyConfig,
    out: Path,
    *,
    source: str,
    allow_gaps: bool = False,
    actions: ActionRule = REFUSE,
    progress: Progress = lambda done, total: None,
) -> TreeImport:
    """Turn a tree into a dataset, completely or not at all.

    Args:
        tree: the result of :func:`find_files`.
        config: the task family that the data are of.
        out: the dataset's folder, which must not exist yet.
        source: origin of the data, for the manifest.
        allow_gaps: whether to accept a tree in which a task and label have fewer episodes than the others, or none.
        actions: treatment of logged actions outside [-1, 1].
        progress: called with the number of files read and the number of all files.

    Raises:
        UnreadableError: a file exists, but cannot be read.
        DataError: there are gaps, or a file is damaged, hostile, not of this family, or holds actions that the rule
            refuses.
        InputError: the folder exists already or cannot be written to, or the family is not registered.
    """
    entry = FAMILIES.find(type(config))
    if entry is None:
        raise InputError(f"{type(config).__name__} is not registered: add it to the registry of envs")
    if tree.gaps and not allow_gaps:
        more = f" (and {len(tree.gaps) - 1} more like it)" if len(tree.gaps) > 1 else ""
        raise DataError(f"{tree.folder} is incomplete: {tree.gaps[0]}{more}; complete it or give --allow-missing")
    family = FAMILIES.build(config)
    total, done, terminal = sum(len(p) for task in tree.files.values() for p in task.values()), 0, 0
    fitter = Actions(actions, family.spec.action)
    entries = []
    with build_folder(out) as work:
        for task, by_label in tree.files.items():
            logged = []
            for label, paths in by_label.items():
                for path in paths:
                    episode = read_episode(path, label, family)
                    logged.append(episode._replace(action=fitter.fit(str(path), episode.action)))
                    done += 1
                    progress(done, total)
            terminal += sum(episode.terminal for episode in logged)
            episodes = stack(logged, family.spec.horizon)
            _check_rewards(tree.folder / f"goal_idx{task}", task, episodes, family, entry.name)
            entries.append(write_task(work, task, [float(value) for value in family.parameters[task]], episodes))
        treatment = fitter.finish()
        write_manifest(
            work,
            env=entry.name,
            env_id=family.env_id,
            env_config=attrs.asdict(cast(Any, config)),
            spec=family.spec,
            tasks=entries,
            behaviour={
                "folder": str(tree.folder),
                "policy": "deterministic" if tree.deterministic else "stochastic",
                "labels": sorted({label for task in tree.files.values() for label in task}),
                "gaps": tree.gaps,
                **treatment,
            },
            split={"train": list(family.train_tasks), "test": list(family.test_tasks)},
            source=source,
            versions=library_versions() | dict.fromkeys(SIMULATORS, UNKNOWN),
        )
    return TreeImport(total, terminal, tree.gaps, treatment.get(RECORD, {}))


def read_episode(path: Path, label: int, family: TaskFamily) -> LoggedEpisode:
    """Read one file; its actions may be outside [-1, 1].

    Raises:
        UnreadableError: the file exists, but cannot be read.
        DataError: it is damaged, hostile, or not of this family; the sentence names the file.
    """
    spec = family.spec
    numbers = 8 * (2 * spec.obs + spec.action + 1)
    most = OVERHEAD * 64 + spec.horizon * (numbers + OVERHEAD)
    table = read_table(path, columns=4, most_rows=spec.horizon, most_bytes=most)
    columns = zip(*table, strict=True)
    shapes = {"obs": (spec.obs,), "action": (spec.action,), "reward": (), "next_obs": (spec.obs,)}
    obs, action, reward, after = (
        _read_column(path, name, cells, shape) for cells, (name, shape) in zip(columns, shapes.items(), strict=True)
    )
    breaks = np.flatnonzero((obs[1:] != after[:-1]).any(1))
    if breaks.size:
        problem = f"next_obs of row {breaks[0]} is not obs of row {breaks[0] + 1}"
        raise DataError(f"{path}: {problem}, so the file is not one episode; get the file again from its source")
    return LoggedEpisode(np.concatenate((obs[:1], after)), action, reward, len(reward) < spec.horizon, label)


def _read_column(path: Path, name: str, cells: tuple[Array, ...], shape: tuple[int, ...]) -> FloatArray:
    """Return a column as float32 (time, …); the first observation of an episode may have integers."""
    for row, cell in enumerate(cells):
        if cell.shape != shape:
            got = f"{name} of row {row} has shape {cell.shape}, expected {shape} of the environment"
            raise DataError(f"{path}: {got}; name the environment of the data")
    with np.errstate(over="ignore"):
        column = np.stack([cell.astype(np.float32) for cell in cells])
    bad = np.flatnonzero(~np.isfinite(column).reshape(len(cells), -1).all(1))
    if bad.size:
        raise DataError(f"{path}: {name} of row {bad[0]} is not a finite number; get the file again from its source")
    return column


def _check_rewards(folder: Path, task: int, episodes: Episodes[Any], family: TaskFamily, env: str) -> None:
    """Check that the rewards are the task's, if the family has a reward function: shapes do not tell tasks apart."""
    if family.reward is None:
        return
    rows = np.argwhere(np.arange(episodes.reward.shape[1]) < episodes.length[:, None])
    i, t = rows[:: -(-len(rows) // SAMPLE)].T
    got = episodes.reward[i, t]
    errors = []
    for parameter in family.parameters:
        repeated = np.broadcast_to(parameter, (len(got), len(parameter)))
        expected = family.reward(repeated, episodes.obs[i, t], episodes.action[i, t], episodes.obs[i, t + 1])
        errors.append(float(np.median(np.abs(np.asarray(expected) - got))))
    scale, nearest = max(1.0, float(np.median(np.abs(got)))), int(np.argmin(errors))
    if errors[task] > ROUNDING * scale and errors[nearest] < errors[task] / 10:
        raise DataError(
            f"{folder}: its rewards are those of task {nearest} of {env}; number the folders in the order of its tasks"
        )
    if errors[task] > TOLERANCE * scale:
        problem = f"its rewards are not those of task {task} of {env} (typical error {errors[task]:.2g})"
        raise DataError(f"{folder}: {problem}; name the environment of the data, or register it")


def _find_gaps(files: Mapping[int, Mapping[int, list[Path]]], labels: Collection[int] | None) -> list[str]:
    most = max(len(paths) for task in files.values() for paths in task.values())
    expected = sorted({label for task in files.values() for label in task} | set(labels or ()))
    return [
        f"goal_idx{task} has {len(by_label.get(label, ()))} of {most} episodes of label {label}"
        for task, by_label in files.items()
        for label in expected
        if len(by_label.get(label, ())) < most
    ]


def _match_entries(folder: Path, top: Path, pattern: str) -> Iterator[tuple[Path, re.Match[str]]]:
    """Yield the entries of a folder whose names match; none may be a link out of the tree."""
    for path in list_entries(folder, "name the folder that holds goal_idx0"):
        match = re.fullmatch(pattern, path.name)
        if match:
            yield require_inside(path, top), match
