"""What a training tells of itself: numbers fetched from tensors and appended to a file."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor

from selectrl.files import flush_names, unreadable, unwritable
from selectrl.holding import require_held

Record: TypeAlias = dict[str, Any]


def fetched(values: Mapping[str, Tensor], members: int) -> list[dict[str, float]]:
    """Return logged terms as numbers, for each member; tensors of a device come to the host in one transfer."""
    table = torch.stack([value.float() for value in values.values()]).reshape(-1, members).T.tolist()
    return [dict(zip(values, row, strict=True)) for row in table]


class Metrics:
    """Appends records to a JSON-lines file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def of(cls, folder: Path) -> Metrics:
        """Return the metrics of a run's folder."""
        return cls(folder / "metrics.jsonl")

    def write(self, record: Record) -> Record:
        """Append a record and return it.

        Raises:
            InputError: the file cannot be written to, the disk is full, or the run's folder was renamed or removed.
        """
        try:
            require_held(self.path)
            with self.path.open("a", encoding="utf-8") as handle:
                handle.write(json.dumps(record, allow_nan=False) + "\n")
        except OSError as error:
            raise unwritable(self.path, error) from error
        return record

    def size(self) -> int:
        """Return the file's size in bytes, 0 where there is none.

        Raises:
            UnreadableError: the operating system does not tell.
        """
        try:
            return self.path.stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            return 0
        except OSError as error:
            raise unreadable(self.path, error) from error

    def flush(self) -> int:
        """Flush what was written, and the file's name, to the disk, and return the size that no power cut undoes.

        Raises:
            InputError: the disk does not take it.
        """
        size = self.size()
        try:
            if size:
                with self.path.open("rb") as handle:
                    os.fsync(handle.fileno())
                flush_names(self.path.parent)
        except OSError as error:
            raise unwritable(self.path, error) from error
        return size

    def cut(self, size: int) -> None:
        """Drop what was written after the file had so many bytes.

        Raises:
            InputError: the file cannot be written to.
        """
        try:
            with self.path.open("ab") as handle:
                handle.truncate(size)
        except OSError as error:
            raise unwritable(self.path, error) from error
