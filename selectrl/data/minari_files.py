"""Datasets as Minari's: one HDF5 dataset per task, all in one namespace, and back without the loss of a bit.

Minari has no place for what tells tasks apart and for the checkpoint that an episode comes from. They lie where it
keeps additions: under ``selectrl`` in a dataset's metadata, and as ``label`` in an episode's. HDF5 alone is used:
Minari's Arrow storage takes a time quadratic in the number of episodes to write, and cuts long ones on reading.
"""

from __future__ import annotations

import os
import re
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias, TypeGuard

import numpy as np
from gymnasium import spaces

from selectrl.data import json_fields as js
from selectrl.data.episodes import Episode, Episodes, layout_problem, stack
from selectrl.data.json_fields import Fields
from selectrl.data.manifest import Manifest, TaskEntry, read_spec, write_manifest
from selectrl.data.store import OfflineDataset, write_task
from selectrl.errors import DataError, InputError
from selectrl.fields import is_name
from selectrl.files import read_json, whole, write_json
from selectrl.structs import Spec

Progress: TypeAlias = Callable[[int, int], None]

SCHEMA = 1
KEY = "selectrl"
ROOT = "MINARI_DATASETS_PATH"
NAMESPACE = r"[A-Za-z0-9_][A-Za-z0-9_-]{1,99}(/[A-Za-z0-9_][A-Za-z0-9_-]{1,99}){0,5}"  # Minari's own rule is laxer
INSTALL = "pip install 'selectrl[minari]'"


def root_folder(root: Path | None) -> Path:
    """Return where Minari's datasets lie: the folder given, else ``MINARI_DATASETS_PATH``, else Minari's default."""
    found = root or Path(os.environ.get(ROOT) or Path.home() / ".minari" / "datasets")
    return found.absolute()  # Minari cannot measure what it wrote below a relative one


def export_minari(
    dataset: OfflineDataset,
    namespace: str,
    *,
    root: Path | None = None,
    progress: Progress = lambda done, total: None,
) -> list[str]:
    """Write every task of a dataset as a dataset of Minari's, all of them or none.

    Args:
        dataset: what to write.
        namespace: which they share, for example ``selectrl/point-robot``.
        root: see :func:`root_folder`.
        progress: called with the number of tasks written and of all.

    Returns:
        Minari's ids, one per task.

    Raises:
        InputError: Minari is not installed, or the namespace is malformed, there already, or cannot be written to.
    """
    minari = _minari()
    manifest, ids = dataset.manifest, []
    with whole(_place(namespace, root)) as work:
        base = work / "root"
        for entry in manifest.tasks:
            ids.append(f"{namespace}/task{entry.task:03d}-v0")
            with _minari_writes_to(base):
                _write(minari, dataset, entry, ids[-1])
            progress(len(ids), len(manifest.tasks))
        for path in list((base / namespace).iterdir()):
            path.rename(work / path.name)
        shutil.rmtree(base)
    _name_parents(namespace, root_folder(root))
    return ids


def import_minari(
    namespace: str,
    data: Path,
    *,
    name: str | None = None,
    root: Path | None = None,
    progress: Progress = lambda done, total: None,
) -> Path:
    """Turn the datasets of a namespace that :func:`export_minari` wrote back into a dataset, whole or not at all.

    Args:
        namespace: the one that they share.
        data: folder of the datasets; this one becomes ``data/<env>/<name>``, which must not be there yet.
        name: of the dataset; None takes the namespace's, with ``-`` between its levels.
        root: see :func:`root_folder`.
        progress: called with the number of tasks read and of all.

    Returns:
        The dataset's folder.

    Raises:
        DataError: the datasets are missing, damaged, of several environments, or do not say what task they are of.
        InputError: Minari is not installed, the namespace is malformed, or the folder is there or cannot be written to.
    """
    _minari()
    place = _place(namespace, root)
    found = [_read_record(path) for path in sorted(place.glob("*/data/metadata.json"))]
    if not found:
        raise DataError(f"no Minari dataset at {place}; check namespace and {ROOT}, or name the folder with --root")
    shared, where = found[0].shared, found[0].folder
    for one in found:
        different = next((name for name, value in one.shared.items() if value != shared[name]), None)
        if different:
            raise DataError(f"{one.folder} and {where} differ in {different}; a dataset is of one environment alone")
    absent = sorted({task for ids in shared["split"].values() for task in ids} - {one.task for one in found})
    if absent:
        raise DataError(f"{place} lacks task {absent[0]}; restore it or export the dataset again")
    out = data / str(shared["env"]) / (name or namespace.replace("/", "-"))
    spec: Spec = shared["spec"]
    entries: list[TaskEntry] = []
    with whole(out) as work:
        for one in sorted(found, key=lambda one: one.task):
            if entries and entries[-1].task == one.task:
                raise DataError(f"{one.folder} is of task {one.task}, as another is; remove one of the two")
            episodes = stack(list(_read_episodes(one, spec)), one.time)
            entries.append(write_task(work, one.task, one.parameter, episodes))
            progress(len(entries), len(found))
        write_manifest(work, tasks=entries, **shared)
    return out


class _Record:
    """What one dataset's metadata say of it.

    Attributes:
        folder: of its data.
        task: id of the task.
        parameter: what tells the task from the others.
        time: steps of the time axis.
        shared: the arguments of :func:`write_manifest` that all tasks have in common.
    """

    def __init__(self, folder: Path, fields: Fields) -> None:
        self.folder = folder
        schema = fields.take("schema", "an int", js.is_int)
        if schema != SCHEMA:
            raise fields.error("schema", f"{SCHEMA}, which this version of selectrl reads", schema)
        self.task = fields.take("task", "an int from 0 to 999,999", js.is_task)
        self.parameter = fields.take("parameter", "a list of finite floats", js.is_floats)
        self.time = fields.take("time", "an int >= 1", js.is_size)
        self.shared: dict[str, Any] = {
            "env": fields.take("env", "a name", _is_env),
            "env_id": fields.take("env_id", "a Gymnasium id", js.is_text),
            "env_config": fields.take("env_config", "an object", js.is_object),
            "spec": read_spec(fields.inner("spec")),
            "split": fields.take("split", "lists of task ids by name", js.is_split),
            "behaviour": fields.take("behaviour", "an object", js.is_object),
            "source": fields.take("source", "a text", js.is_text),
            "made_with": fields.take("versions", "strings by name", js.is_strings),
        }
        fields.end()
        if self.time > self.shared["spec"].horizon:
            raise fields.error("time", f"at most the horizon {self.shared['spec'].horizon}", self.time)


def _record(manifest: Manifest, entry: TaskEntry) -> dict[str, Any]:
    """Return what a dataset's metadata say of it."""
    return {
        "schema": SCHEMA,
        "task": entry.task,
        "parameter": list(entry.parameter),
        "time": entry.time,
        "env": manifest.env,
        "env_id": manifest.env_id,
        "env_config": manifest.env_config,
        "spec": manifest.spec._asdict(),
        "split": {name: list(ids) for name, ids in manifest.split.items()},
        "behaviour": manifest.behaviour,
        "source": manifest.source,
        "versions": manifest.versions,
    }


def _is_env(value: object) -> TypeGuard[str]:
    """A name that may stand in a path."""
    return is_name(value)


def _minari() -> Any:
    """Import Minari with its HDF5 storage."""
    try:
        import h5py  # noqa: F401
        import minari
    except ImportError as error:
        raise InputError(f"{error.name or 'minari'} is not installed; {INSTALL}") from error
    return minari


def _place(namespace: str, root: Path | None) -> Path:
    """Return the folder of a namespace."""
    if not re.fullmatch(NAMESPACE, namespace):
        raise InputError(f"--namespace {namespace!r}: expected letters, digits, '_' and '-', levels parted by '/'")
    return root_folder(root) / namespace


@contextmanager
def _minari_writes_to(root: Path) -> Iterator[None]:
    """Let Minari write below a folder, without its advice on metadata that are not known here."""
    before = os.environ.get(ROOT)
    os.environ[ROOT] = str(root)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=UserWarning)
            yield
    finally:
        os.environ.pop(ROOT) if before is None else os.environ.update({ROOT: before})


def _write(minari: Any, dataset: OfflineDataset, entry: TaskEntry, name: str) -> None:
    """Write one task."""
    from minari.data_collector import EpisodeBuffer

    manifest = dataset.manifest
    episodes: Episodes[Any] = Episodes(*(tensor.numpy() for tensor in dataset.task(entry.task)))
    buffers = []
    for i, steps in enumerate(episodes.length):
        terminal = episodes.terminal[i, :steps]
        truncated = np.zeros(steps, np.bool_)
        truncated[-1] = not terminal[-1]
        buffers.append(
            EpisodeBuffer(
                id=i,
                observations=episodes.obs[i, : steps + 1],
                actions=episodes.action[i, :steps],
                rewards=episodes.reward[i, :steps],
                terminations=terminal,
                truncations=truncated,
                infos={},
            )
        )
    written = minari.create_dataset_from_buffers(
        name,
        buffers,
        observation_space=spaces.Box(-np.inf, np.inf, (manifest.spec.obs,), np.float32),
        action_space=spaces.Box(-1, 1, (manifest.spec.action,), np.float32),
        data_format="hdf5",
        description=f"Task {entry.task} of {manifest.env} ({manifest.env_id}), {manifest.source}; "
        f"told from the other tasks by {list(entry.parameter)}.",
    )
    written.storage.update_episode_metadata({"label": int(label)} for label in episodes.label)
    written.storage.update_metadata({KEY: _record(manifest, entry)})


def _read_record(path: Path) -> _Record:
    """Read a dataset's metadata; nothing in them is looked up or called."""
    try:
        content = read_json(path)
    except InputError as error:
        raise DataError(str(error)) from error
    metadata = Fields(content, str(path))
    if metadata.take("data_format", "a text", js.is_text) != "hdf5":
        raise DataError(f"{path}: only HDF5 storage is read; convert the dataset first")
    for name in ("observation_space", "action_space"):  # without one Minari would make the environment that is named
        metadata.take(name, "a text", js.is_text)
    if KEY not in content:
        raise DataError(f"{path}: no {KEY!r} entry says what task it is of; only what was exported from here is read")
    return _Record(path.parent, metadata.inner(KEY))


def _read_episodes(record: _Record, spec: Spec) -> Iterator[Episode]:
    """Read a task's episodes through Minari's storage, each checked."""
    from minari.dataset.minari_storage import MinariStorage

    try:
        storage = MinariStorage.read(record.folder)
        ids = range(storage.total_episodes)
        labels = [one.get("label") for one in storage.get_episode_metadata(ids)]
        episodes = zip(labels, storage.get_episodes(ids), strict=True)
        for i, (label, one) in enumerate(episodes):
            yield _episode(f"{record.folder}: episode {i}", label, one, record.time, spec)
        if not labels:
            raise DataError(f"{record.folder} holds no episode; export the dataset again")
    except DataError:
        raise
    except Exception as error:  # whatever Minari and HDF5 stumble over in damaged files
        raise DataError(f"{record.folder} cannot be read ({error}); restore it or export the dataset again") from error


def _episode(where: str, label: Any, found: dict[str, Any], time: int, spec: Spec) -> Episode:
    """Check one episode against the shapes of its family."""
    obs, action, reward = (np.asarray(found[name]) for name in ("observations", "actions", "rewards"))
    ends = np.asarray(found["terminations"]), np.asarray(found["truncations"])
    steps = len(reward)
    alone: Episodes[Any] = Episodes(
        obs[None], action[None], reward[None], ends[0][None], np.full(1, steps), np.zeros(1, np.int64)
    )
    problem = layout_problem(alone)
    if problem:
        raise DataError(f"{where}: {problem}")
    if (obs.shape[1], action.shape[1]) != (spec.obs, spec.action) or steps > time:
        got = f"{steps} steps of {obs.shape[1]} and {action.shape[1]} numbers"
        raise DataError(f"{where}: {got}, expected at most {time} of {spec.obs} and {spec.action}")
    if not isinstance(label, int | np.integer) or label < 0:
        raise DataError(f"{where}: label is {label!r}, expected a checkpoint step >= 0")
    if ends[0][:-1].any() or ends[1].shape != (steps,) or ends[1][:-1].any() or not (ends[0][-1] or ends[1][-1]):
        raise DataError(f"{where}: expected a termination or truncation at its last step alone")
    return Episode(obs, action, reward, bool(ends[0][-1]), int(label))


def _name_parents(namespace: str, root: Path) -> None:
    """Mark the levels above a namespace as namespaces, as Minari does."""
    for parent in (root / namespace).parents:
        if parent == root:
            return
        mark = parent / "namespace_metadata.json"
        if not mark.exists():
            write_json(mark, {})
