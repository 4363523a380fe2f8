"""Exchange with Minari: one HDF5 dataset per task, all in one namespace, and back without the loss of a bit.

Minari has no fields for the task's parameter and for the checkpoint that an episode comes from. They are stored among
its additions: under ``selectrl`` in a dataset's metadata, and as ``label`` in an episode's. The storage is always HDF5:
Minari's Arrow storage takes a time quadratic in the number of episodes to write, and cuts long episodes on reading.

Minari writes the files, but does not read them: it would create the environment that the metadata name, and follow all
links in the HDF5 file.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, TypeGuard

import numpy as np
from gymnasium import spaces

from selectrl.arrays import DoubleArray
from selectrl.data import json_fields as js
from selectrl.data.actions import REFUSE, ActionRule, Actions
from selectrl.data.episodes import Episodes, LoggedEpisode, stack
from selectrl.data.folders import list_entries, require_inside, target_exists
from selectrl.data.hdf5_files import RESTORE, get_attribute, get_dataset, get_group, open_hdf5
from selectrl.data.json_fields import Fields
from selectrl.data.manifest import Manifest, TaskEntry, read_spec, write_manifest
from selectrl.data.minari_envs import Recovery
from selectrl.data.store import OfflineDataset, write_task
from selectrl.errors import DataError, InputError, UnreadableError
from selectrl.fields import LARGEST, is_name
from selectrl.files import read_json, write_json
from selectrl.locks import build_folder
from selectrl.structs import Spec

Progress: TypeAlias = Callable[[int, int], None]

SCHEMA = 1
KEY = "selectrl"
ROOT = "MINARI_DATASETS_PATH"
LEVEL = r"[A-Za-z0-9_][A-Za-z0-9_-]{1,99}"  # of a namespace; Minari itself allows more
MOST_LEVELS = 6
INSTALL = "pip install 'selectrl[minari]'"


class MinariExport(NamedTuple):
    """The datasets that an export wrote.

    Attributes:
        ids: Minari's ids, one per task.
        unrecoverable: the reason for which Minari cannot recover their environment; empty if it can.
    """

    ids: list[str]
    unrecoverable: str


def root_folder(root: Path | None) -> Path:
    """Return the folder of Minari's datasets: the argument, else ``MINARI_DATASETS_PATH``, else Minari's default."""
    folder = root or Path(os.environ.get(ROOT) or Path.home() / ".minari" / "datasets")
    return folder.absolute()  # Minari cannot measure its files below a relative path


def export_minari(
    dataset: OfflineDataset,
    namespace: str,
    *,
    root: Path | None = None,
    progress: Progress = lambda done, total: None,
) -> MinariExport:
    """Write every task of a dataset as a dataset of Minari's, all of them or none.

    Args:
        dataset: the data.
        namespace: the common namespace, for example ``selectrl/point-robot``.
        root: see :func:`root_folder`.
        progress: called with the number of tasks written and the number of all tasks.

    Returns:
        Minari's ids of the datasets.

    Raises:
        InputError: Minari is not installed, or the namespace is malformed, exists already, or cannot be written to.
    """
    minari = _import_packages("h5py", "minari")
    manifest, ids = dataset.manifest, []
    recovery = Recovery(manifest)
    with build_folder(_namespace_folder(namespace, root)) as work:
        base = work / "root"
        for entry in manifest.tasks:
            ids.append(f"{namespace}/task{entry.task:03d}-v0")
            with _redirect_minari(base):
                _write_dataset(minari, dataset, entry, ids[-1], recovery)
            progress(len(ids), len(manifest.tasks))
        for path in list((base / namespace).iterdir()):
            path.rename(work / path.name)
        shutil.rmtree(base)
    _name_parents(namespace, root_folder(root))
    return MinariExport(ids, recovery.problem)


def import_minari(
    namespace: str,
    data: Path,
    *,
    name: str | None = None,
    root: Path | None = None,
    actions: ActionRule = REFUSE,
    progress: Progress = lambda done, total: None,
) -> Path:
    """Turn the datasets of a namespace that :func:`export_minari` wrote back into a dataset, completely or not at all.

    Args:
        namespace: the common namespace.
        data: folder of all datasets; the result is ``data/<env>/<name>``, which must not exist yet.
        name: of the dataset; None takes the namespace's, with ``-`` between its levels.
        root: see :func:`root_folder`.
        actions: treatment of logged actions outside [-1, 1].
        progress: called with the number of tasks read and the number of all tasks.

    Returns:
        The dataset's folder.

    Raises:
        UnreadableError: a file exists, but cannot be read.
        DataError: the datasets are missing, damaged, of several environments, name other files, do not record their
            task, or hold actions that the rule refuses.
        InputError: h5py is not installed, the namespace is malformed, or the folder exists or cannot be written to.
    """
    _import_packages("h5py")
    top = root_folder(root)
    place = require_inside(_namespace_folder(namespace, root), top)
    remedy = f"check namespace and {ROOT}, or name the folder with --root"
    folders = [path for path in list_entries(place, remedy) if not path.name.startswith(".")]  # as Minari lists them
    paths = [path / "data" / "metadata.json" for path in folders]
    records = [_read_record(require_inside(path, top)) for path in paths if target_exists(path)]
    if not records:
        raise DataError(f"no Minari dataset at {place}; {remedy}")
    shared, where = records[0].shared, records[0].folder
    for record in records:
        difference = next((name for name, value in record.shared.items() if value != shared[name]), None)
        if difference:
            raise DataError(f"{record.folder} and {where} differ in {difference}; a dataset belongs to one environment")
    missing = sorted({task for ids in shared["split"].values() for task in ids} - {record.task for record in records})
    if missing:
        raise DataError(f"{place} lacks task {missing[0]}; restore it or export the dataset again")
    out = data / str(shared["env"]) / (name or namespace.replace("/", "-"))
    spec: Spec = shared["spec"]
    fitter = Actions(actions, spec.action, records[0].box)
    tasks: list[TaskEntry] = []
    with build_folder(out) as work:
        for record in sorted(records, key=lambda record: record.task):
            if tasks and tasks[-1].task == record.task:
                got = f"{record.folder} and another dataset are both of task {record.task}"
                raise DataError(f"{got}, expected each task once; remove one of the two")
            if not np.array_equal(record.box, records[0].box):
                raise DataError(f"{record.folder} and {where} differ in their actions' box; import each on its own")
            episodes = stack(list(_read_episodes(record, spec, fitter, top)), record.time)
            tasks.append(write_task(work, record.task, record.parameter, episodes))
            progress(len(tasks), len(records))
        shared["behaviour"] |= fitter.finish()
        write_manifest(work, tasks=tasks, **shared)
    return out


class _Record:
    """The metadata of one dataset.

    Attributes:
        folder: folder of its data.
        task: id of the task.
        parameter: the numbers that distinguish the task from the others.
        time: steps of the time axis.
        episodes: number of episodes by Minari's count.
        box: bounds of an action as logged, (action, 2).
        shared: the arguments of :func:`write_manifest` that all tasks have in common.
    """

    def __init__(self, folder: Path, metadata: Fields, fields: Fields) -> None:
        self.folder = folder
        self.episodes = metadata.take("total_episodes", "an int >= 0", js.is_count)
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
            "versions": fields.take("versions", "strings by name", js.is_strings),
        }
        fields.end()
        if self.time > self.shared["spec"].horizon:
            raise fields.error("time", f"at most the horizon {self.shared['spec'].horizon}", self.time)
        self.box = _read_box(metadata, self.shared["spec"].action)


def _metadata_of(manifest: Manifest, entry: TaskEntry) -> dict[str, Any]:
    """Return the record of a task in a dataset's metadata."""
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
    """A name that may be part of a path."""
    return is_name(value)


def _import_packages(*packages: str) -> Any:
    """Import optional packages and return the last."""
    try:
        return [importlib.import_module(package) for package in packages][-1]
    except ImportError as error:
        raise InputError(f"{error.name or packages[-1]} is not installed; {INSTALL}") from error


def _namespace_folder(namespace: str, root: Path | None) -> Path:
    """Return the folder of a namespace."""
    levels = namespace.split("/")
    wrong = next((level for level in levels if not re.fullmatch(LEVEL, level)), None)
    if wrong is not None:
        got = f"--namespace {js.shorten(namespace)}: its level {js.shorten(wrong)} is not a name"
        rule = "2 to 100 letters, digits, '_' and '-' in each level, '-' not first, and '/' between levels"
        raise InputError(f"{got}, expected {rule}")
    if len(levels) > MOST_LEVELS:
        raise InputError(f"--namespace {namespace!r}: expected at most {MOST_LEVELS} levels, got {len(levels)}")
    return root_folder(root) / namespace


@contextmanager
def _redirect_minari(root: Path) -> Iterator[None]:
    """Let Minari write below a folder, without its warnings on metadata that this package does not have."""
    previous = os.environ.get(ROOT)
    os.environ[ROOT] = str(root)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=UserWarning)
            yield
    finally:
        os.environ.pop(ROOT) if previous is None else os.environ.update({ROOT: previous})


def _write_dataset(minari: Any, dataset: OfflineDataset, entry: TaskEntry, name: str, recovery: Recovery) -> None:
    """Write one task as a dataset of Minari's."""
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
    obs = np.concatenate([buffer.observations for buffer in buffers])
    written = minari.create_dataset_from_buffers(
        name,
        buffers,
        env=recovery.spec(entry.task),
        observation_space=recovery.observation_space(obs),
        action_space=spaces.Box(-1, 1, (manifest.spec.action,), np.float32),
        data_format="hdf5",
        description=f"Task {entry.task} of {manifest.env} ({manifest.env_id}), {manifest.source}; "
        f"its parameter is {list(entry.parameter)}.",
        requirements=recovery.requirements(),
    )
    written.storage.update_episode_metadata({"label": int(label)} for label in episodes.label)
    written.storage.update_metadata({KEY: _metadata_of(manifest, entry)})


def _read_record(path: Path) -> _Record:
    """Read a dataset's metadata as plain values; no name in them is resolved."""
    try:
        content = read_json(path)
    except UnreadableError:
        raise
    except InputError as error:
        raise DataError(str(error)) from error
    metadata = Fields(content, str(path))
    if metadata.take("data_format", "a text", js.is_text) != "hdf5":
        raise DataError(f"{path}: only HDF5 storage is read; convert the dataset first")
    if KEY not in content:
        raise DataError(f"{path}: expected the entry {KEY!r} with the task; choose a dataset that selectrl exported")
    return _Record(path.parent, metadata, metadata.inner(KEY))


def _read_box(metadata: Fields, width: int) -> DoubleArray:
    """Return the bounds of an action, low and high, (action, 2), from Minari's text of the space."""
    text = metadata.take("action_space", "a text", js.is_text)
    try:
        space = json.loads(text)
        bounds = [space["low"], space["high"]] if space["type"] == "Box" else []
        if len(bounds) == 2 and all(len(bound) == width and all(type(v) is float for v in bound) for bound in bounds):
            return np.array(bounds, np.float64).T
    except (ValueError, TypeError, KeyError, RecursionError):
        pass
    raise metadata.error("action_space", f"Minari's text of a Box of {width} numbers", text)


def _read_episodes(record: _Record, spec: Spec, actions: Actions, top: Path) -> Iterator[LoggedEpisode]:
    """Yield a task's episodes, each checked."""
    with open_hdf5(require_inside(record.folder / "main_data.hdf5", top)) as file:
        if not 0 < record.episodes == len(file):
            raise DataError(
                f"{record.folder} holds {len(file)} episodes, its metadata say {record.episodes}, expected the same "
                f"number above 0; {RESTORE}"
            )
        for i in range(record.episodes):
            where = f"{record.folder}: episode {i}"
            episode = _read_episode(where, get_group(file, f"episode_{i}", str(record.folder)), record.time, spec)
            yield episode._replace(action=actions.fit(where, episode.action))


def _read_episode(where: str, group: Any, time: int, spec: Spec) -> LoggedEpisode:
    """Read one episode; shapes and types are checked before any value is read."""
    rewards = get_dataset(group, "rewards", where).shape or ()  # None and () if it holds nothing or one number
    steps = rewards[0] if rewards else 0
    if not 1 <= steps <= time:
        raise DataError(f"{where}: it has {steps} steps, expected 1 to {time}; {RESTORE}")
    expected: dict[str, tuple[tuple[int, ...], type]] = {
        "observations": ((steps + 1, spec.obs), np.float32),
        "actions": ((steps, spec.action), np.float32),
        "rewards": ((steps,), np.float32),
        "terminations": ((steps,), np.bool_),
        "truncations": ((steps,), np.bool_),
    }
    for name, (shape, kind) in expected.items():
        got = get_dataset(group, name, where)
        if got.shape != shape or got.dtype != kind:
            raise DataError(
                f"{where}: {name}: expected {np.dtype(kind)} {shape}, got {got.dtype} {got.shape}; {RESTORE}"
            )
    obs, action, reward, terminal, truncated = (group[name][:] for name in expected)
    label = np.asarray(get_attribute(group, "label", where))
    if label.shape or label.dtype.kind not in "iu" or not 0 <= label <= LARGEST:
        raise DataError(f"{where}: label is {js.shorten(label)}, expected a checkpoint step >= 0")
    if terminal[:-1].any() or truncated[:-1].any() or not (terminal[-1] or truncated[-1]):
        raise DataError(f"{where}: expected a termination or truncation at its last step only")
    return LoggedEpisode(obs, action, reward, bool(terminal[-1]), int(label))


def _name_parents(namespace: str, root: Path) -> None:
    """Mark the levels above a namespace as namespaces, as Minari does."""
    for parent in (root / namespace).parents:
        if parent == root:
            return
        marker = parent / "namespace_metadata.json"
        if not marker.exists():
            write_json(marker, {})
