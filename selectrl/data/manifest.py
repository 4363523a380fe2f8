"""The manifest of a dataset: its content, its origin and the checksums that guard it. Free of torch.

A manifest is read strictly: no field is missing or unknown, each has its exact type, nothing is converted.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path

import attrs

from selectrl.data import json_fields as js
from selectrl.data.json_fields import Fields, Json
from selectrl.errors import DataError, InputError, UnreadableError
from selectrl.files import read_json, write_json
from selectrl.json_text import add_seal
from selectrl.structs import Spec
from selectrl.version import __version__

SCHEMA = 1
NAME = "manifest.json"
LIBRARIES = ("gymnasium", "mujoco", "numpy", "safetensors", "torch")
SIMULATORS = ("gymnasium", "mujoco")
UNKNOWN = "unknown"
COLLECTED = "collected"
SPLITS = ("train", "test")


@attrs.frozen(kw_only=True)
class LabelReturn:
    """The mean return of one behaviour checkpoint in one task.

    Attributes:
        label: the checkpoint's step; 0 is the random warm-up.
        episodes: number of episodes.
        mean_return: mean undiscounted return.
    """

    label: int
    episodes: int
    mean_return: float


@attrs.frozen(kw_only=True)
class TaskEntry:
    """The file of one task.

    Attributes:
        task: id of the task.
        file: name of the file in the dataset's folder.
        parameter: the numbers that distinguish the task from the others.
        bytes: size of the file.
        sha256: of the file, in hexadecimal.
        episodes: number of episodes.
        time: steps of the time axis, at least the longest episode's.
        rows: transitions, padding not counted.
        returns: behaviour returns by label, ascending.
    """

    task: int
    file: str
    parameter: tuple[float, ...]
    bytes: int
    sha256: str
    episodes: int
    time: int
    rows: int
    returns: tuple[LabelReturn, ...]


@attrs.frozen(kw_only=True)
class Manifest:
    """The description of a dataset.

    Attributes:
        schema: version of the layout.
        env: registered name of the task family.
        env_id: the versioned Gymnasium id.
        env_config: the family's config as JSON.
        spec: the family's shapes.
        split: task ids by split name (``train``, ``test``); no task is in two.
        behaviour: the config that collected the data, as JSON.
        source: origin of the data; ``collected`` by this package, or the format and place of an import.
        keep_warmup: largest number of random warm-up episodes (label 0) in a task; 0 means none.
        versions: of Python, this package and the libraries that produced the data; ``unknown`` where imported data do
            not record them.
        tasks: one entry per task, ascending.
    """

    schema: int
    env: str
    env_id: str
    env_config: Mapping[str, Json]
    spec: Spec
    split: Mapping[str, tuple[int, ...]]
    behaviour: Mapping[str, Json]
    source: str
    keep_warmup: int
    versions: Mapping[str, str]
    tasks: tuple[TaskEntry, ...]

    @property
    def fingerprint(self) -> str:
        """SHA-256 over ids and checksums of all tasks: two datasets are equal when their fingerprints are."""
        lines = "".join(f"{entry.task} {entry.sha256}\n" for entry in self.tasks)
        return hashlib.sha256(lines.encode()).hexdigest()

    def drift(self) -> str | None:
        """Return the differences between the simulator of the data and the installed simulator, or ``None``.

        Trajectories of one task differ between versions, so data of one version and tests in another do not match
        exactly. A library that is not installed or that the data do not name does not count as a difference.
        """
        installed = library_versions()
        differences = [
            f"{name} {self.versions[name]} (installed: {installed[name]})"
            for name in SIMULATORS
            if name in installed and self.versions.get(name, installed[name]) != installed[name]
        ]
        return " and ".join(differences) if differences else None


def write_manifest(
    folder: Path,
    *,
    env: str,
    env_id: str,
    env_config: Mapping[str, object],
    spec: Spec,
    tasks: Sequence[TaskEntry],
    behaviour: Mapping[str, object],
    split: Mapping[str, Sequence[int]],
    source: str = COLLECTED,
    versions: Mapping[str, str] | None = None,
) -> None:
    """Write the manifest, atomically and last: a dataset without a manifest is incomplete.

    The arguments are the fields of :class:`Manifest`; ``versions`` are by default those of this process.

    Raises:
        DataError: a value is not plain JSON, or the entries do not fit together.
        InputError: the folder cannot be written to.
    """
    path = Path(folder) / NAME
    value = {
        "schema": SCHEMA,
        "env": env,
        "env_id": env_id,
        "env_config": env_config,
        "spec": spec._asdict(),
        "split": {name: list(ids) for name, ids in split.items()},
        "behaviour": behaviour,
        "source": source,
        "keep_warmup": _count_warmup(tasks),
        "versions": dict(library_versions() if versions is None else versions),
        "tasks": [attrs.asdict(entry) for entry in sorted(tasks, key=lambda entry: entry.task)],
    }
    try:
        value = json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise DataError(
            f"{path}: a value is not plain JSON ({error}); pass numbers, strings, lists and dicts"
        ) from error
    parse_manifest(value, path)
    write_json(path, add_seal(value))


def read_manifest(path: Path) -> Manifest:
    """Read and check a manifest.

    Raises:
        UnreadableError: it exists, but cannot be read.
        DataError: it is missing, not JSON, of an unknown schema, or a field is missing, unknown or wrong.
    """
    try:
        value = read_json(path)
    except UnreadableError:
        raise
    except InputError as error:
        raise DataError(f"the dataset's manifest cannot be read: {error}") from error
    return parse_manifest(value, path)


def library_versions() -> dict[str, str]:
    """Return the versions of Python, this package and every installed library that affects the data."""
    versions = {"python": platform.python_version(), "selectrl": __version__}
    for library in LIBRARIES:
        try:
            versions[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            continue
    return versions


def parse_manifest(value: object, path: Path) -> Manifest:
    """Check a manifest's JSON and return it as a record; errors name ``path``.

    Raises:
        DataError: see :func:`read_manifest`.
    """
    top = Fields(value, str(path))
    schema = top.take("schema", "an int", js.is_int)
    if schema != SCHEMA:
        raise top.error("schema", f"the schema version {SCHEMA} that this version of selectrl reads", schema)
    manifest = Manifest(
        schema=schema,
        env=top.take("env", "a name", js.is_text),
        env_id=top.take("env_id", "a Gymnasium id", js.is_text),
        env_config=top.take("env_config", "an object", js.is_object),
        spec=read_spec(top.inner("spec")),
        split={name: tuple(ids) for name, ids in top.take("split", "lists of task ids by name", js.is_split).items()},
        behaviour=top.take("behaviour", "an object", js.is_object),
        source=top.take("source", "a text", js.is_text, default=COLLECTED),
        keep_warmup=top.take("keep_warmup", "an int >= 0", js.is_count),
        versions=top.take("versions", "strings by name", js.is_strings),
        tasks=tuple(_read_entry(fields) for fields in top.each("tasks")),
    )
    top.end()
    _check_consistency(manifest, top)
    return manifest


def _check_consistency(manifest: Manifest, top: Fields) -> None:
    """Check the fields against each other."""
    tasks, files = [e.task for e in manifest.tasks], [e.file for e in manifest.tasks]
    if not tasks or tasks != sorted(set(tasks)) or len(set(files)) < len(files):
        raise top.error("tasks", "one entry or more, each task once in ascending order with its own file", tasks)
    if len({len(e.parameter) for e in manifest.tasks}) > 1:
        raise top.error("tasks", "parameters of one length", [len(e.parameter) for e in manifest.tasks])
    if max(e.time for e in manifest.tasks) > manifest.spec.horizon:
        raise top.error(
            "tasks", f"no time axis above the horizon {manifest.spec.horizon}", [e.time for e in manifest.tasks]
        )
    if manifest.source == COLLECTED:  # imported data may have been logged unevenly
        labels = {behaviour.label for entry in manifest.tasks for behaviour in entry.returns}
        for entry in manifest.tasks:
            if missing := labels - {behaviour.label for behaviour in entry.returns}:
                got = f"no episodes of checkpoint {min(missing)} in task {entry.task}"
                raise top.error("tasks", "every checkpoint in every task of collected data", got)
    listed = [task for ids in manifest.split.values() for task in ids]
    if set(manifest.split) != set(SPLITS) or len(set(listed)) < len(listed) or not set(listed) <= set(tasks):
        expected = f"ids of stored tasks, each at most once, under {' and '.join(SPLITS)}"
        raise top.error("split", expected, dict(manifest.split))
    if manifest.keep_warmup != _count_warmup(manifest.tasks):
        raise top.error(
            "keep_warmup", f"{_count_warmup(manifest.tasks)}, the label-0 episodes of the tasks", manifest.keep_warmup
        )


def _count_warmup(tasks: Sequence[TaskEntry]) -> int:
    return max((r.episodes for entry in tasks for r in entry.returns if r.label == 0), default=0)


def read_spec(fields: Fields) -> Spec:
    """Return the shapes of the task family from their JSON object.

    Raises:
        DataError: a field is missing, unknown or wrong.
    """
    spec = Spec(
        obs=fields.take("obs", "an int >= 1", js.is_size),
        action=fields.take("action", "an int >= 1", js.is_size),
        horizon=fields.take("horizon", "an int >= 1", js.is_size),
        dynamics_vary=fields.take("dynamics_vary", "true or false", js.is_bool),
    )
    fields.end()
    return spec


def _read_entry(fields: Fields) -> TaskEntry:
    entry = TaskEntry(
        task=fields.take("task", "an int from 0 to 999,999", js.is_task),
        file=fields.take("file", "a plain file name ending in .safetensors", js.is_file),
        parameter=tuple(fields.take("parameter", "a list of finite floats", js.is_floats)),
        bytes=fields.take("bytes", "an int >= 1", js.is_size),
        sha256=fields.take("sha256", "64 hexadecimal digits", js.is_hash),
        episodes=fields.take("episodes", "an int >= 1", js.is_size),
        time=fields.take("time", "an int >= 1", js.is_size),
        rows=fields.take("rows", "an int >= 1", js.is_size),
        returns=tuple(_read_label(inner) for inner in fields.each("returns")),
    )
    fields.end()
    if sum(r.episodes for r in entry.returns) != entry.episodes:
        raise fields.error("returns", f"labels of {entry.episodes} episodes", [r.episodes for r in entry.returns])
    if not entry.episodes <= entry.rows <= entry.episodes * entry.time:
        raise fields.error("rows", f"from {entry.episodes} to {entry.episodes * entry.time}", entry.rows)
    return entry


def _read_label(fields: Fields) -> LabelReturn:
    label = LabelReturn(
        label=fields.take("label", "an int >= 0", js.is_count),
        episodes=fields.take("episodes", "an int >= 1", js.is_size),
        mean_return=fields.take("mean_return", "a finite float", js.is_float),
    )
    fields.end()
    return label
