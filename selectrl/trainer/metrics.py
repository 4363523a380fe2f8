"""What a training tells of itself: numbers fetched from tensors and appended to a file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor

from selectrl.errors import InputError
from selectrl.files import unwritable

Record: TypeAlias = dict[str, Any]


def fetched(values: Mapping[str, Tensor], members: int) -> list[dict[str, float]]:
    """Return logged terms as numbers, for each member; tensors of a device come to the host in one transfer."""
    table = torch.stack([value.float() for value in values.values()]).reshape(-1, members).T.tolist()
    return [dict(zip(values, row, strict=True)) for row in table]


class Metrics:
    """Appends records to a JSON-lines file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, record: Record) -> Record:
        """Append a record and return it.

        Raises:
            InputError: the file cannot be written to, or the disk is full.
        """
        try:
            with self.path.open("a", encoding="utf-8") as handle:
                handle.write(json.dumps(record, allow_nan=False) + "\n")
        except OSError as error:
            raise unwritable(self.path, error) from error
        return record

    def size(self) -> int:
        """Return the file's size in bytes."""
        return self.path.stat().st_size if self.path.exists() else 0

    def cut(self, size: int, step: int) -> None:
        """Drop what was written after the checkpoint of a step, when the file had so many bytes.

        Raises:
            InputError: it has fewer now.
        """
        if self.size() < size:
            raise InputError(
                f"{self.path} holds less than the run's checkpoint at step {step} says; restore it, or delete the "
                "folder's checkpoints to begin again"
            )
        with self.path.open("ab") as handle:
            handle.truncate(size)
