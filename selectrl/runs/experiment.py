"""The record of a run's identity: its experiment and its seed. Free of torch."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import attrs

from selectrl.errors import InputError, RecordError
from selectrl.files import is_there
from selectrl.runs.layout import EXPERIMENT
from selectrl.runs.reading import SCHEMA, Bindings, FileRecord


@attrs.frozen(kw_only=True)
class ExperimentRecord(FileRecord):
    """The identity of a run, from which alone it can be built again.

    Attributes:
        schema: version of the format.
        name: name of the experiment.
        seed: the seed.
        key: key of the experiment, which identifies everything that trained weights depend on.
        experiment: the nested bindings; a report reads them without the packages that the parts come from.
    """

    schema: int = SCHEMA
    name: str
    seed: int
    key: str
    experiment: Bindings

    @property
    def env(self) -> str:
        """The registered name of the environment."""
        return self._part("env")

    @property
    def collector(self) -> str:
        """The registered name of the collector."""
        return self._part("collector")

    @property
    def steps(self) -> int:
        """Training steps of the rl phase."""
        return int(self.experiment["train"]["steps"])

    def check(self) -> None:
        """Check the bindings that every reader needs."""
        for name in ("env", "collector"):
            if not self._part(name).replace("_", "").isalnum():  # it names files
                raise RecordError(
                    f"experiment: {name}: expected the name of a part, got {self.experiment.get(name)!r:.80}"
                )
        train = self.experiment.get("train")
        steps = train.get("steps") if isinstance(train, dict) else None
        if not isinstance(steps, int) or isinstance(steps, bool) or steps < 0:
            raise RecordError(f"experiment: train: expected steps as a whole number from 0, got {steps!r:.80}")

    def _part(self, name: str) -> str:
        config = self.experiment.get(name)
        part = config.get("part") if isinstance(config, dict) else None
        return part.rpartition(".")[2] if isinstance(part, str) else ""

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read the record of a run directory.

        Raises:
            UnreadableError: the record cannot be read.
            InputError: the folder contains no run, or its record is damaged.
        """
        file = folder / EXPERIMENT
        if not is_there(file):
            raise InputError(
                f"{folder} contains no run (no {EXPERIMENT}); give a run directory like runs/ENV/NAME/seed0"
            )
        return cls.read_file(file)

    def write(self, folder: Path) -> None:
        """Write the record to a run directory."""
        self.write_file(folder / EXPERIMENT)
