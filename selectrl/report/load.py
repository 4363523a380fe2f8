"""From run directories to records; unusable files are left out and named, never guessed."""

from __future__ import annotations

import stat
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import attrs

from selectrl.errors import InputError, UnreadableError, VersionWarning, printable
from selectrl.experiment.provenance import TRAIN_AGAIN, parts_changed_since
from selectrl.files import is_there, list_names, read_error
from selectrl.report import read
from selectrl.report.records import EQUAL_BUDGET, Evaluation, LoadedRun, Omission
from selectrl.runs.arrays import Traces
from selectrl.runs.evaluation import RunFacts
from selectrl.runs.execution import ExecutionRecord
from selectrl.runs.experiment import ExperimentRecord
from selectrl.runs.fairness import FairnessRecord, fairness_file
from selectrl.runs.folders import run_folders
from selectrl.runs.identity import is_own
from selectrl.runs.layout import DIAGNOSTICS, EVALUATIONS, EXECUTION, EXPERIMENT, METRICS, arrays_file
from selectrl.runs.reading import Bindings

T = TypeVar("T")


@attrs.frozen
class Place:
    """A run directory.

    Attributes:
        folder: where it lies.
        root: the folder that was given, at or above it.
    """

    folder: Path
    root: Path

    @property
    def name(self) -> Path:
        """The directory below the given folder, with its parent at least: the same wherever the runs are copied to."""
        below = self.folder.relative_to(self.root)
        return below if len(below.parts) > 1 else Path(*self.folder.resolve().parts[-2:])

    def named(self, file: Path) -> Path:
        """Return a file of the run, or one in a folder above it, below the given folder."""
        folder, place = self.folder.resolve(), file.parent.resolve() / file.name  # either may be relative
        if place.is_relative_to(folder):
            return self.name / place.relative_to(folder)
        up = len(folder.relative_to(place.parent).parts)
        return Path(*self.name.parts[: len(self.name.parts) - up]) / file.name

    @property
    def fairness(self) -> Path | None:
        """The comparison's record of fairness, next to a run or to the folder of its seeds."""
        return fairness_file(self.folder)

    def omission(self, path: Path, reason: str) -> Omission:
        """Say why a file of the run is left out, by names below the given folder, which a copy of the runs has too."""
        for place, name in ((path, self.named(path)), (self.folder, self.name)):
            reason = reason.replace(str(place), str(name))
        return Omission(self.named(path), reason)


def load(paths: Sequence[Path]) -> tuple[list[LoadedRun], list[Omission]]:
    """Read every run at or below the given paths.

    Args:
        paths: run directories, or folders above them.

    Returns:
        The usable runs ordered by environment, method and seed, and the omissions.

    Raises:
        InputError: a path does not exist, or no run directory lies at or below it.
    """
    runs: dict[tuple[str, str, int], LoadedRun] = {}  # by environment, folder and seed
    run_places, omissions = places(paths)
    for place in run_places:
        partly: list[Omission] = []
        try:
            run = _run(place, partly)
        except InputError as error:
            partly = [Omission(place.folder, str(error))]
        else:
            first = runs.setdefault((run.env, run.folder, run.seed), run)
            if first is not run:
                reason = f"seed {run.seed} of {run.folder} is already read from {first.path}; rename one of the folders"
                partly.append(Omission(place.folder, reason))
        omissions += [place.omission(item.path, item.reason) for item in partly]
    omissions = list(dict.fromkeys(omissions))
    rows = [row for run in runs.values() for row in _compared(run)]
    return sorted(_called(rows), key=lambda run: (run.env, run.method, run.seed)), omissions


def places(paths: Sequence[Path]) -> tuple[list[Place], list[Omission]]:
    """Return the run directories at or below the given paths, each once, and the folders that cannot be listed.

    Raises:
        InputError: a path does not exist, or no run directory lies at or below it.
    """
    by_folder: dict[Path, Place] = {}
    omissions: list[Omission] = []
    for path in paths:
        if not _is_folder(path):
            raise InputError(f"{path} is not a folder; give run directories or a folder above them")
        refused: dict[Path, UnreadableError] = {}
        folders = run_folders(path, refused.setdefault)
        if refused and not folders:
            (first, *_) = refused.values()
            raise first
        if not folders:
            raise InputError(f"no run lies at or below {path} (none of its folders holds {EXPERIMENT})")
        for folder in folders:
            by_folder.setdefault(folder.resolve(), Place(folder, path))
        omissions += [Place(folder, path).omission(folder, str(error)) for folder, error in refused.items()]
    return list(by_folder.values()), omissions


def _is_folder(path: Path) -> bool:
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise read_error(path, error) from error


def _called(runs: Iterable[LoadedRun]) -> list[LoadedRun]:
    """Call each method by its experiment's name, or by its folder where two folders of one environment share a name."""
    folders: dict[tuple[str, str], set[str]] = {}
    for run in runs:
        folders.setdefault((run.env, run.method), set()).add(run.folder)
    return [run if len(folders[run.env, run.method]) == 1 else attrs.evolve(run, method=run.folder) for run in runs]


def _run(place: Place, omissions: list[Omission]) -> LoadedRun:
    """Read one run directory and note the parts that are left out; an ``InputError`` says why none can be used."""
    folder = place.folder
    record = ExperimentRecord.read(folder)
    log = _or(read.NO_LOG, partial(read.log, steps=record.steps), folder / METRICS, omissions)
    if log.skipped:
        omissions.append(Omission(folder / METRICS, f"{log.skipped}; the run itself is kept"))
    execution = _or(None, ExecutionRecord.read_file, folder / EXECUTION, omissions)
    tasks = _or(None, lambda _: read.test_tasks(record.experiment), folder / EXPERIMENT, omissions)
    spoilt: list[Omission] = []
    facts = RunFacts(env=record.env, seed=record.seed, key=record.key, steps=record.steps, tasks=tasks)
    evaluations = _evaluations(folder, facts, execution, spoilt)
    omissions += spoilt
    own = _own(record.experiment, evaluations)
    if not own:
        if spoilt:
            raise InputError(spoilt[0].reason)
        progress = f"; training reached step {log.reached:,} of {record.steps:,}" if log.reached else ""
        raise InputError(f"unfinished: not evaluated with its own collector and test, {record.collector}{progress}")
    fairness = place.fairness
    return LoadedRun(
        path=place.name,
        env=record.env,
        folder=printable(folder.resolve().parent.name),
        method=record.name,
        seed=record.seed,
        experiment=record.experiment,
        execution=execution,
        changed=_or((), lambda _: _changed(folder, execution), folder / EXECUTION, omissions),
        evaluations=evaluations,
        own=own,
        tested=log.tested,
        values=log.values,
        speed=log.speed,
        diagnostics=_or(None, lambda _: read.diagnostics(folder), folder / DIAGNOSTICS, omissions),
        fairness=_or(None, FairnessRecord.read_file, fairness, omissions) if fairness else None,
    )


def _changed(folder: Path, execution: ExecutionRecord | None) -> tuple[str, ...]:
    """Return the outside parts of a run whose source code has changed since, and warn of them."""
    parts = parts_changed_since(execution)
    if parts:
        sentence = f"the source code of {', '.join(parts)} has changed since {folder} was trained; its numbers are kept"
        warnings.warn(f"{sentence}, {TRAIN_AGAIN}", VersionWarning, stacklevel=2)
    return parts


def _evaluations(
    folder: Path, run: RunFacts, trained: ExecutionRecord | None, omissions: list[Omission]
) -> dict[str, Evaluation]:
    """Read every evaluation of a run, by label."""
    by_label: dict[str, Evaluation] = {}
    try:
        names = sorted(list_names(folder / EVALUATIONS))
    except InputError as error:
        omissions.append(Omission(folder / EVALUATIONS, str(error)))
        return by_label
    for file in (folder / EVALUATIONS / name for name in names if name.endswith(".json")):
        try:
            evaluation = read.evaluation(file, run, trained)
        except InputError as error:
            omissions.append(Omission(file, str(error)))
            continue
        arrays, shape = arrays_file(file), evaluation.returns.shape
        traces = _or(None, partial(Traces.read, shape=shape), arrays, omissions) if is_there(arrays) else None
        by_label[evaluation.label] = attrs.evolve(evaluation, traces=traces)
    return by_label


def _own(experiment: Bindings, evaluations: Mapping[str, Evaluation]) -> dict[str, str]:
    """Return by protocol the label of the evaluation that is the experiment's own, independent of its label.

    Under the experiment's protocol it has the experiment's collector and test, and the run's data. Under another
    protocol it has the experiment's collector, and of its test as much as any.
    """
    name = str(experiment["collector"]["part"]).rpartition(".")[2]
    test: Bindings = experiment.get("test") or {}
    of_run = str(test.get("protocol") or EQUAL_BUDGET)

    def closeness(evaluation: Evaluation) -> int:
        record = {"collector": evaluation.collector, **evaluation.settings, "repeats": evaluation.repeats}
        under = {**test, "protocol": evaluation.protocol}
        variants: tuple[Bindings, ...] = (under, {**under, "budget": None, "repeats": None}, {})
        alike = [is_own(record, {**experiment, "test": wanted}) and evaluation.of_the_run for wanted in variants]
        return sum(alike) if alike[0] or evaluation.protocol != of_run else 0

    own: dict[str, str] = {}
    for evaluation in sorted(evaluations.values(), key=lambda test: (-closeness(test), test.label != name, test.label)):
        if closeness(evaluation):
            own.setdefault(evaluation.protocol, evaluation.label)
    return own


def _compared(run: LoadedRun) -> list[LoadedRun]:
    """Return a run once for each row that a comparison made of it, under the row's name and with its own meta-test.

    The first row keeps the evaluations that no row claims; a run that no comparison tells of is returned as it is.
    """
    rows = run.fairness.rows if run.fairness else {}
    split: list[LoadedRun] = []
    for name, row in rows.items():
        if row.policy != run.folder:
            continue
        tested = {"collector": row.collector, "test": row.test}
        experiment = {**run.experiment, **tested}
        own = _own(experiment, run.evaluations)
        if own:
            trained = all(run.experiment.get(part) == value for part, value in tested.items())
            tests = run.tested if trained else {}  # those in training were of the experiment that was begun
            split.append(attrs.evolve(run, method=name, experiment=experiment, own=own, tested=tests))
    claimed = {label for row in split for label in row.own.values()}
    return [
        attrs.evolve(
            row,
            evaluations={
                label: evaluation
                for label, evaluation in run.evaluations.items()
                if label in row.own.values() or evaluation.offline or (row is split[0] and label not in claimed)
            },
        )
        for row in split
    ] or [run]


def _or(default: T, reading: Callable[[Path], T], file: Path, omissions: list[Omission]) -> T:
    """Return the result of reading; if the file cannot be used, note it and return the default."""
    try:
        return reading(file)
    except InputError as error:
        omissions.append(Omission(file, f"{error}; the run itself is kept"))
        return default
