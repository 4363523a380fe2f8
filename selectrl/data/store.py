"""The dataset of one task family: a memory-mapped safetensors file per task, and a manifest that guards them."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from safetensors import SafetensorError

from selectrl.arrays import Array
from selectrl.data.episodes import DTYPES, Episodes, field_shapes, layout_problem, value_problems
from selectrl.data.folders import target_exists
from selectrl.data.json_fields import Json
from selectrl.data.manifest import NAME, LabelReturn, Manifest, TaskEntry, read_manifest, write_manifest
from selectrl.errors import DataError, InputError, UnreadableError
from selectrl.files import open_regular, read_json, write_json
from selectrl.structs import Spec
from selectrl.tensor_files import open_tensors, tensor_shapes, write_tensors

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Episodes", "OfflineDataset", "TaskEntry", "write_manifest", "write_task"]

PRESETS = ("laptop", "small", "gpu", "paper")
"""The shipped behaviour presets, after which a collection calls its dataset unless it is given a name."""

STAMP = ".verified.json"
_CODES = {"float32": "F32", "bool": "BOOL", "int64": "I64"}


def write_task(folder: Path, task: int, parameter: Sequence[float], episodes: Episodes[Array]) -> TaskEntry:
    """Write one task's episodes, atomically, and return their entry in the manifest.

    Args:
        folder: the dataset's folder, created if missing.
        task: id of the task.
        parameter: the numbers that distinguish the task from the others.
        episodes: NumPy arrays, see :class:`Episodes`.

    Raises:
        DataError: a shape, dtype or value is wrong; the sentence names field, episode and step.
        InputError: the folder cannot be written to.
    """
    problem = layout_problem(episodes) or next(value_problems(episodes), None)
    if problem:
        raise DataError(f"task {task}: {problem}; nothing was written")
    file = f"task_{task:03d}.safetensors"
    content = write_tensors(Path(folder) / file, episodes._asdict())
    returns = np.asarray(episodes.reward, dtype=np.float64).sum(1)
    label = np.asarray(episodes.label)
    return TaskEntry(
        task=task,
        file=file,
        parameter=tuple(float(v) for v in parameter),
        bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        episodes=episodes.action.shape[0],
        time=episodes.action.shape[1],
        rows=int(np.asarray(episodes.length, dtype=np.int64).sum()),
        returns=tuple(
            LabelReturn(
                label=int(step),
                episodes=int((label == step).sum()),
                mean_return=float(returns[label == step].mean()),
            )
            for step in np.unique(label)
        ),
    )


class OfflineDataset:
    """A checked dataset; open one with :meth:`open`.

    Attributes:
        folder: its path.
        manifest: its description.
    """

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder, self.manifest = folder, manifest
        self._entries = {entry.task: entry for entry in manifest.tasks}
        self._read_tasks: set[int] = set()

    @classmethod
    def open(cls, folder: Path, *, env: str | None = None, spec: Spec | None = None) -> OfflineDataset:
        """Open a dataset and check it.

        Sizes and headers of all files are checked every time; checksums and values of a file only when its size or time
        differ from the stamp of the last verification. No task counts as read afterwards.

        Args:
            folder: the dataset's folder.
            env: expected name of the task family; None accepts any.
            spec: expected shapes; None accepts any.

        Raises:
            UnreadableError: a file exists, but cannot be read.
            DataError: the dataset is missing, incomplete, damaged, of another environment, or holds impossible values.
        """
        folder = Path(folder)
        command = _collection_of(folder, env)
        if not (target_exists(folder) and folder.is_dir()):
            above = folder.parent
            others = sorted(path.parent.name for path in above.glob(f"*/{NAME}")) if target_exists(above) else []
            hint = f"; available: {', '.join(others)}; bind data.name, or choose its profile" if others else ""
            raise DataError(f"no dataset at {folder}, expected a folder with {NAME}{hint}; collect it with {command}")
        if not target_exists(folder / NAME):
            raise DataError(f"the dataset at {folder} is incomplete: it has no {NAME}; collect it again with {command}")
        manifest = read_manifest(folder / NAME)
        command = _collection_of(folder, env or manifest.env)
        if env is not None and manifest.env != env:
            got = f"the dataset at {folder} is of {manifest.env!r}, expected {env!r}"
            raise DataError(f"{got}; name another folder, or collect it with {command}")
        if spec is not None and manifest.spec != spec:
            got = f"the dataset at {folder} has {manifest.spec}, expected {spec} of the environment"
            raise DataError(f"{got}; collect it again with {command}")
        dataset = cls(folder, manifest)
        problems = dataset._check(everything=False)
        if problems:
            more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
            again = f"restore the file, or delete the folder and collect it again with {command}"
            raise DataError(f"the dataset at {folder} is damaged: {problems[0]}{more}; {again}")
        return dataset

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the checksums of all tasks, which a run records."""
        return self.manifest.fingerprint

    @property
    def read_tasks(self) -> frozenset[int]:
        """Tasks whose data were read through :meth:`task`."""
        return frozenset(self._read_tasks)

    def task(self, task: int) -> Episodes[Tensor]:
        """Return the episodes of one task as tensors, memory-mapped where possible, which must not be changed.

        Raises:
            UnreadableError: the task's file exists, but can no longer be read.
            DataError: the dataset lacks the task, or its file is missing or damaged.
        """
        if task not in self._entries:
            tasks = f"{min(self._entries)} to {max(self._entries)}, {len(self._entries)} in all"
            raise DataError(f"the dataset at {self.folder} holds no task {task}; choose from its tasks: {tasks}")
        try:
            path = self.folder / self._entries[task].file
            with open_tensors(path, "pt") as handle:
                episodes = Episodes(*(handle.get_tensor(name) for name in Episodes._fields))
        except UnreadableError:
            raise
        except (InputError, SafetensorError) as error:
            raise DataError(f"task {task} of the dataset at {self.folder} cannot be read: {error}") from error
        self._read_tasks.add(task)
        return episodes

    def verify(self) -> list[str]:
        """Check size, header, checksum and values of every file, without regard to the stamp.

        Returns:
            One sentence per problem; an empty list means that the dataset is sound.

        Raises:
            UnreadableError: a file exists, but cannot be read.
        """
        return self._check(everything=True)

    def summary(self) -> dict[str, Json]:
        """Return the facts on the dataset that ``selectrl data`` shows, as JSON."""
        manifest = self.manifest
        label_returns: dict[int, list[float]] = {}
        for entry in manifest.tasks:
            for behaviour in entry.returns:
                label_returns.setdefault(behaviour.label, []).append(behaviour.mean_return)
        return {
            "folder": str(self.folder),
            "env": manifest.env,
            "env_id": manifest.env_id,
            "spec": dict(manifest.spec._asdict()),
            "split": {name: list(ids) for name, ids in manifest.split.items()},
            "tasks": len(manifest.tasks),
            "episodes": sum(entry.episodes for entry in manifest.tasks),
            "rows": sum(entry.rows for entry in manifest.tasks),
            "bytes": sum(entry.bytes for entry in manifest.tasks),
            "keep_warmup": manifest.keep_warmup,
            "mean_return_by_label": {str(k): float(np.mean(v)) for k, v in sorted(label_returns.items())},
            "return_by_task": {
                str(entry.task): {str(behaviour.label): behaviour.mean_return for behaviour in entry.returns}
                for entry in manifest.tasks
            },
            "fingerprint": self.fingerprint,
            "versions": dict(manifest.versions),
            "behaviour": dict(manifest.behaviour),
            "source": manifest.source,
        }

    def _check(self, *, everything: bool) -> list[str]:
        """Return the problems of all files, and stamp the files without problems."""
        old = _read_stamp(self.folder / STAMP)
        new: dict[str, dict[str, int | str]] = {}
        problems: list[str] = []
        for entry in self.manifest.tasks:
            path = self.folder / entry.file
            try:
                with open_regular(path) as handle:
                    stat = os.fstat(handle.fileno())
                stamp: dict[str, int | str] = {
                    "size": stat.st_size,
                    "mtime_ns": stat.st_mtime_ns,
                    "sha256": entry.sha256,
                }
                problem = _header_problem(path, entry, self.manifest.spec, stat.st_size)
                file_problems = [problem] if problem else []
                if not file_problems and (everything or old.get(entry.file) != stamp):
                    file_problems = _content_problems(path, entry)
            except UnreadableError:
                raise
            except InputError as error:
                file_problems = [str(error)]
            if not file_problems:
                new[entry.file] = stamp
            problems += [f"task {entry.task}: {sentence}" for sentence in file_problems]
        if new != old:
            with contextlib.suppress(InputError):  # a folder that cannot be written to is verified at each opening
                write_json(self.folder / STAMP, new)
        return problems


def _collection_of(folder: Path, env: str | None) -> str:
    """Return the command that collects the dataset of a folder."""
    name, above = folder.name, folder.parent
    words = ["selectrl", "collect", "--env", env or "ENV"]
    words += ["--preset", name] if name in PRESETS else ["--preset", PRESETS[0], "--name", name]
    if above.name == env and above.parent != Path("data"):
        words += ["--data", str(above.parent)]
    others = "" if name in PRESETS else f" (or another preset: {', '.join(PRESETS[1:])})"
    return f"`{shlex.join(words)}`{others}"


def _read_stamp(path: Path) -> dict[str, object]:
    """Return the stamp of the last verification, empty if it cannot be read."""
    try:
        value = read_json(path)
    except InputError:
        return {}
    return value if isinstance(value, dict) else {}


def _header_problem(path: Path, entry: TaskEntry, spec: Spec, size: int) -> str | None:
    """Return the difference of size or header from the manifest, or None, without reading any values."""
    if size != entry.bytes:
        return f"file {entry.file} has {size} bytes, expected {entry.bytes}"
    try:
        got = tensor_shapes(path)
    except SafetensorError as error:
        return f"file {entry.file} has no readable header ({error})"
    sizes = field_shapes(entry.episodes, entry.time, spec.obs, spec.action)
    for name, dtype, shape in zip(Episodes._fields, DTYPES, sizes, strict=True):
        expected = (_CODES[dtype], shape)
        if got.pop(name, None) != expected:
            return f"the header of file {entry.file} does not match the manifest: expected {name} of {expected}"
    return f"the header of file {entry.file} does not match the manifest: unknown tensor {min(got)!r}" if got else None


def _content_problems(path: Path, entry: TaskEntry) -> list[str]:
    """Return impossible values and a wrong checksum of a file with a valid header."""
    with open_tensors(path) as handle:
        episodes: Episodes[Array] = Episodes(*(handle.get_tensor(name) for name in Episodes._fields))
    problems = list(value_problems(episodes))
    rows = int(np.asarray(episodes.length, dtype=np.int64).sum())
    if rows != entry.rows:
        problems.append(f"file {entry.file} holds {rows} rows, but the manifest says {entry.rows}")
    with open_regular(path) as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != entry.sha256:
            problems.append(f"file {entry.file} was changed: its SHA-256 differs from the manifest's")
    return problems
