"""The record of a trained encoder on stored context. Free of torch and NumPy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import attrs

from selectrl.runs.evaluation import TestedState
from selectrl.runs.layout import DIAGNOSTICS
from selectrl.runs.reading import LEFT_OUT, SCHEMA, FileRecord


@attrs.frozen(kw_only=True)
class DonorPair(FileRecord):
    """States and actions of one task with rewards of another.

    Attributes:
        task: the task of the rewards.
        donor: the task of states and actions.
        follow: how far the belief follows the donor; None where the two tasks give one belief.
    """

    task: int
    donor: int
    follow: float | None


@attrs.frozen(kw_only=True)
class DonorSwap(FileRecord):
    """All pairs of test tasks.

    Attributes:
        pairs: each pair.
        follow: mean over the pairs; None without pairs.
    """

    pairs: tuple[DonorPair, ...]
    follow: float | None


@attrs.frozen(kw_only=True)
class DiagnosticsRecord(FileRecord):
    """Diagnostics of a run; latents and task parameters are in the arrays beside it.

    Attributes:
        schema: version of the format.
        train_step: rl steps of the checkpoint.
        checkpoint: the checkpoint; absent from records of earlier versions.
        donor_swap: None where the tasks do not differ in a reward function.
        dataset: fingerprint of the data; absent from records of earlier versions, as the next three.
        versions: of this package and of libraries.
        plugins: versions of the packages that parts come from.
        sources: fingerprints of the source code of outside parts, by part.
    """

    schema: int = SCHEMA
    train_step: int
    checkpoint: TestedState | None = attrs.field(default=None, metadata=LEFT_OUT)
    donor_swap: DonorSwap | None
    dataset: str | None = attrs.field(default=None, metadata=LEFT_OUT)
    versions: Mapping[str, str] | None = attrs.field(default=None, metadata=LEFT_OUT)
    plugins: Mapping[str, str] | None = attrs.field(default=None, metadata=LEFT_OUT)
    sources: Mapping[str, str] | None = attrs.field(default=None, metadata=LEFT_OUT)

    @classmethod
    def read_if_sound(cls, folder: Path) -> Self | None:
        """Read the record of a run directory, None where it must be made again; see :meth:`read_file_if_sound`."""
        return cls.read_file_if_sound(folder / DIAGNOSTICS)

    @classmethod
    def read_if_there(cls, folder: Path) -> Self | None:
        """Read the record of a run directory, None where there is none; errors as :meth:`read_file`."""
        return cls.read_file_if_there(folder / DIAGNOSTICS)

    def write(self, folder: Path) -> None:
        """Write the record to a run directory."""
        self.write_file(folder / DIAGNOSTICS)

    @property
    def identity(self) -> dict[str, Any]:
        """Data and source code, see :mod:`selectrl.runs.identity`."""
        return {"dataset": self.dataset, "sources": self.sources}
