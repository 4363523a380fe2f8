"""A small copy of runs from which the same report can be drawn again: records and curves, no weights and no data."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import attrs
from safetensors import SafetensorError

from selectrl.errors import InputError
from selectrl.files import (
    is_empty_folder,
    is_there,
    list_names,
    open_regular,
    read_bytes,
    write_atomically,
)
from selectrl.locks import build_folder
from selectrl.report.load import places
from selectrl.runs.execution import ExecutionRecord
from selectrl.runs.layout import DIAGNOSTICS, EVALUATIONS, EXECUTION, EXPERIMENT, METRICS, arrays_file
from selectrl.tensor_files import open_tensors, write_tensors

FILES = (EXPERIMENT, EXECUTION, METRICS, DIAGNOSTICS, arrays_file(Path(DIAGNOSTICS)).name)
KINDS = (".json", ".safetensors")
"""Files of a run directory that a report reads, and the kinds of files of its evaluations."""


def plan(runs: Sequence[Path], out: Path) -> dict[Path, Path]:
    """Return the files to copy, and check that they can be.

    Args:
        runs: run directories, or folders above them.
        out: folder to copy to; it must be new or empty.

    Returns:
        Source files by the path below ``out`` that they go to.

    Raises:
        InputError: a path holds no run, something in it cannot be read, two files would go to one place, or ``out``
            holds something already.
    """
    if is_there(out) and not is_empty_folder(out):
        raise InputError(f"{out} is not an empty folder; name a new one to export to, or remove it first")
    run_places, unreadable = places(runs)
    if unreadable:
        raise InputError(f"{unreadable[0].reason}; an export is of all runs or of none")
    copies: dict[Path, Path] = {}
    for place in run_places:
        for file in [*_files(place.folder), *([place.fairness] if place.fairness else [])]:
            with open_regular(file):  # so that nothing is written where something cannot be read
                name = place.named(file)
            if copies.setdefault(name, file) != file:
                raise InputError(f"{copies[name]} and {file} would both be copied to {out / name}; export them apart")
    return copies


def _files(folder: Path) -> list[Path]:
    """Return the files of a run directory that a report reads."""
    below = folder / EVALUATIONS
    beside = [below / name for name in sorted(list_names(below)) if name.endswith(KINDS)]
    return [*(folder / name for name in FILES if is_there(folder / name)), *beside]


def copy(planned: Mapping[Path, Path], out: Path) -> None:
    """Copy all planned files, or none.

    Raises:
        InputError: a file cannot be read, or ``out`` cannot be written to.
    """
    with build_folder(out, over_empty=True) as work:
        for name, file in planned.items():
            _copier(name)(file, work / name)


def _copier(name: Path) -> Callable[[Path, Path], object]:
    if name.suffix == ".safetensors" and name.parent.name == EVALUATIONS:
        return _last_beliefs
    return _unplaced if name.name == EXECUTION else _unchanged


def _unchanged(file: Path, target: Path) -> None:
    content = read_bytes(file)
    write_atomically(target, lambda temporary: temporary.write_bytes(content))


def _unplaced(file: Path, target: Path) -> None:
    """Copy how a run was carried out with the last names of the command's absolute paths, which are one machine's."""
    try:
        record = ExecutionRecord.read_file(file)
        words = [word.rpartition("=") for word in shlex.split(record.command)]
    except (InputError, ValueError):
        _unchanged(file, target)  # damaged; a report says so of the copy, too
        return
    named = ["".join((*start, Path(value).name if value.startswith("/") else value)) for *start, value in words]
    attrs.evolve(record, command=shlex.join(named)).write_file(target, seal=False)


def _last_beliefs(file: Path, target: Path) -> None:
    """Copy traces with the last belief of each world alone, which suffices for a map; beliefs are most of the bytes."""
    try:
        with open_tensors(file) as handle:
            arrays = {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118
        last = arrays | {"latents": arrays["latents"][:, :, -1:]}
    except (SafetensorError, KeyError, IndexError, ValueError):
        _unchanged(file, target)  # not traces; a report says so of the copy, too
        return
    write_tensors(target, last)
