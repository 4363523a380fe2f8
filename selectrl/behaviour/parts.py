"""The episodes that a collection has kept: one file per step with checkpoints, joined at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from safetensors import SafetensorError

from selectrl.arrays import Array
from selectrl.data.store import Episodes
from selectrl.errors import RunError
from selectrl.tensor_files import open_tensors, write_tensors

REMEDY = "delete the folder's .collecting and collect again"


def write_part(folder: Path, step: int, tasks: Sequence[int], episodes: Episodes[Array]) -> None:
    """Write the episodes of one step, with their leading task axis."""
    tensors = {"task": np.asarray(tasks, np.int64), **episodes._asdict()}
    write_tensors(folder / f"part_{step:09d}.safetensors", tensors)


def read_parts(folder: Path, task: int) -> list[Episodes[Array]]:
    """Return one task's episodes, part by part in the order of their steps.

    Raises:
        RunError: a part is damaged.
        UnreadableError: a part exists, but cannot be read.
    """
    parts = []
    for path in sorted(folder.glob("part_*.safetensors")):
        try:
            with open_tensors(path) as handle:
                for index in np.flatnonzero(handle.get_tensor("task") == task):
                    parts.append(Episodes(*(handle.get_slice(name)[int(index)] for name in Episodes._fields)))
        except SafetensorError as error:
            raise RunError(f"{path} cannot be read ({error}); {REMEDY}") from error
    return parts


def join_parts(task: int, parts: Sequence[Episodes[Array]], expected: dict[int, int]) -> Episodes[Array]:
    """Return all episodes of a task as one record.

    Args:
        task: id of the task, for the error.
        parts: episodes without a task axis.
        expected: number of episodes by label.

    Raises:
        RunError: a label has too few or too many episodes, or is not expected.
    """
    got = Counter(int(label) for part in parts for label in part.label)
    for label in sorted(expected.keys() | got.keys()):
        if got[label] != expected.get(label, 0):
            counts = f"{got[label]} episodes of checkpoint {label}, expected {expected.get(label, 0)}"
            raise RunError(f"task {task} has {counts}; {REMEDY}")
    return Episodes(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))
