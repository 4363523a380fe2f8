"""The record of how a run was trained: code, data, machine and time. Free of torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Self

import attrs

from selectrl.errors import RecordError
from selectrl.runs.layout import EXECUTION
from selectrl.runs.reading import LEFT_OUT, FileRecord


@attrs.frozen(kw_only=True)
class DatasetRecord(FileRecord):
    """The data of a training.

    Attributes:
        name: name of the dataset.
        fingerprint: checksum of its content.
        keep_warmup: random warm-up episodes per task that it holds.
    """

    name: str
    fingerprint: str
    keep_warmup: int


@attrs.frozen(kw_only=True)
class ExecutionRecord(FileRecord):
    """The training of a run, which is not part of its identity.

    Attributes:
        versions: of this package and of libraries at the run's beginning.
        plugins: versions of the packages that parts come from; absent from records of earlier versions.
        sources: fingerprints of the source code of outside parts, by part; absent from records of earlier versions.
        threads: threads of torch.
        device: device of the training.
        engine: execution of steps.
        population: seeds that trained in parallel.
        dataset: the data.
        notes: notes for readers of its numbers.
        phases: training steps by phase.
        command: the last command.
        wall_seconds: time spent on training.
        peak_rss_mib: most memory that the process held.
    """

    versions: Mapping[str, str]
    plugins: Mapping[str, str] | None = attrs.field(default=None, metadata=LEFT_OUT)
    sources: Mapping[str, str] | None = attrs.field(default=None, metadata=LEFT_OUT)
    threads: int
    device: str
    engine: str
    population: int
    dataset: DatasetRecord
    notes: tuple[str, ...]
    phases: Mapping[str, int]
    command: str
    wall_seconds: float
    peak_rss_mib: float

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read the record of a run directory; errors as :meth:`read_file`."""
        return cls.read_file(folder / EXECUTION)

    @classmethod
    def read_if_there(cls, folder: Path) -> Self | None:
        """Read the record of a run directory, None where no training has begun in it; errors as :meth:`read_file`."""
        return cls.read_file_if_there(folder / EXECUTION)

    def write(self, folder: Path) -> None:
        """Write the record to a run directory; it has no seal, because an export shortens the command's paths."""
        self.write_file(folder / EXECUTION, seal=False)

    def check(self) -> None:
        """Check the threads, with which a run is continued."""
        if self.threads < 1:
            raise RecordError("threads: expected a whole number from 1, got 0")

    @property
    def pretraining(self) -> int:
        """Training steps of the phases before the rl phase."""
        return sum(steps for phase, steps in self.phases.items() if phase != "rl")
