"""The directory of a run (Experiment, seed): its records, and the checks before a training continues in it."""

from __future__ import annotations

import resource
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np

from selectrl.data.store import OfflineDataset
from selectrl.envs.split import split_tasks
from selectrl.errors import DataError, InputError
from selectrl.experiment.config import Experiment, to_record
from selectrl.experiment.execution import Execution
from selectrl.experiment.provenance import check_code, describe_code, other_versions, trained_parts
from selectrl.experiment.stored import read_experiment
from selectrl.fields import LARGEST
from selectrl.files import is_there, list_names, write_atomically
from selectrl.protocols import Phase, TaskFamily
from selectrl.registry import FAMILIES
from selectrl.runs.execution import DatasetRecord, ExecutionRecord
from selectrl.runs.experiment import ExperimentRecord
from selectrl.runs.layout import EXPERIMENT, GIN

CONTINUED = "continued with other versions"


def peak_rss_mib() -> float:
    """Return the peak memory of this process so far, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)  # macOS counts bytes, Linux KiB


class RunFolder:
    """One run directory.

    Args:
        folder: its path.
        experiment: the experiment of the run.
        seed: its seed.
        execution: its execution.

    Raises:
        InputError: the seed is not an integer from 0 to 2**63 - 1, the range of a record.
    """

    def __init__(self, folder: Path, experiment: Experiment, seed: int, execution: Execution) -> None:
        if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed <= LARGEST:
            raise InputError(f"expected a seed from 0 to {LARGEST}, got {seed!r}; choose another seed")
        self.folder, self.experiment, self.seed, self.execution = folder, experiment, seed, execution
        self.family: TaskFamily = FAMILIES.build(experiment.env)
        self.train_tasks, self.test_tasks = split_tasks(self.family, experiment.data.split)
        self._dataset: OfflineDataset | None = None

    @classmethod
    def open(cls, folder: Path, execution: Execution) -> Self:
        """Open an existing run directory.

        Raises:
            InputError: it contains no run.
        """
        experiment, record = read_experiment(folder)
        return cls(folder, experiment, record.seed, execution)

    @property
    def wall_seconds(self) -> float:
        """The recorded training time so far."""
        recorded = ExecutionRecord.read_if_there(self.folder)
        return recorded.wall_seconds if recorded else 0.0

    @property
    def dataset(self) -> OfflineDataset:
        """The run's dataset, opened and checked once."""
        if self._dataset is None:
            name = self.experiment.env_name
            folder = self.data_folder
            self._dataset = OfflineDataset.open(folder, env=name, spec=self.family.spec)
            stored = [entry.parameter for entry in self._dataset.manifest.tasks]
            if not np.array_equal(np.array(stored), np.asarray(self.family.parameters, np.float64)):
                raise DataError(
                    f"the dataset at {folder} holds {len(stored)} tasks that differ from the environment's "
                    f"{len(self.family.parameters)}; collect data of these tasks under another --name"
                )
        return self._dataset

    @property
    def data_folder(self) -> Path:
        """Folder of the run's dataset."""
        return self.execution.data / self.experiment.env_name / self.experiment.data.name

    def check_start(self) -> Experiment | None:
        """Return the experiment that the directory was started with, None if it is new.

        Raises:
            UnreadableError: the directory or a record cannot be read.
            InputError: it contains something else, a record is damaged, or the run was started on other data or with
                other source code of a part.
        """
        fingerprint = self.dataset.fingerprint
        if not is_there(self.folder / EXPERIMENT):
            if is_there(self.folder) and not self.folder.is_dir():
                raise InputError(f"{self.folder} is a file where a run's folder should be; choose another folder")
            if any(not name.startswith(".") for name in list_names(self.folder)):
                raise InputError(f"{self.folder} is not empty and contains no run; choose another folder")
            return None
        first, old = read_experiment(self.folder)
        if (old.key, old.seed) != (self.experiment.key, self.seed):
            raise InputError(
                f"{self.folder} contains another experiment ({old.name}, key {old.key}, seed {old.seed}), not "
                f"{self.experiment.key} with seed {self.seed}; choose another folder or name"
            )
        execution = ExecutionRecord.read_if_there(self.folder)
        if execution and execution.dataset.fingerprint != fingerprint:
            raise InputError(
                f"{self.folder} was started on other data (fingerprint {execution.dataset.fingerprint[:12]}, now "
                f"{fingerprint[:12]}); restore the dataset or choose another folder"
            )
        check_code(self.folder, execution, self.experiment)
        return first

    @property
    def record(self) -> ExperimentRecord:
        """The experiment and the seed, from which alone the run can be built again."""
        experiment = self.experiment
        return ExperimentRecord(
            name=experiment.name, seed=self.seed, key=experiment.key, experiment=to_record(experiment)
        )

    def claim(self) -> None:
        """Write the run's record, unless it exists; it comes first, because it makes the folder a run directory."""
        if not is_there(self.folder / EXPERIMENT):
            self.record.write(self.folder)
        gin = self.folder / GIN
        if self.execution.gin and not is_there(gin):
            write_atomically(gin, lambda file: file.write_text(self.execution.gin))

    def record_execution(self, phases: Sequence[Phase], population: int, wall_seconds: float = 0.0) -> None:
        """Write the execution record of the run, and add to its training time.

        The code is that of the run's start; later versions that continued it are named in the notes.
        """
        before, drift = ExecutionRecord.read_if_there(self.folder), self.dataset.manifest.drift()
        code = describe_code(*trained_parts(self.experiment))
        if before:
            code = {"versions": before.versions, "plugins": before.plugins, "sources": before.sources}
        notes = [f"the data were made with {drift}"] if drift else []
        notes += [note for note in before.notes if note.startswith(CONTINUED)] if before else []
        other = other_versions(before)
        notes += [f"{CONTINUED}: begun with {other}"] if other else []
        record = ExecutionRecord(
            **code,
            threads=self.execution.threads,
            device=self.execution.device,
            engine=self.execution.engine,
            population=population,
            dataset=DatasetRecord(
                name=self.experiment.data.name,
                fingerprint=self.dataset.fingerprint,
                keep_warmup=self.dataset.manifest.keep_warmup,
            ),
            notes=tuple(dict.fromkeys(notes)),
            phases={phase.name: phase.steps for phase in phases},
            command=shlex.join(["selectrl", *sys.argv[1:]]),
            wall_seconds=round((before.wall_seconds if before else 0.0) + wall_seconds, 2),
            peak_rss_mib=round(peak_rss_mib(), 1),
        )
        record.write(self.folder)
