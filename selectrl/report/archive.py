"""A small copy of runs from which the same report can be drawn again: records and curves, no weights and no data."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from selectrl.errors import InputError
from selectrl.files import write_atomically
from selectrl.report.load import places

READ = (
    "experiment.json",
    "execution.json",
    "metrics.jsonl",
    "diagnostics.json",
    "diagnostics.safetensors",
    "evaluations/*.json",
    "evaluations/*.safetensors",
)
"""What a report reads of a run directory."""


def export_runs(runs: Sequence[Path], out: Path) -> Path:
    """Copy what a report reads of the runs, so that a report on the copy is the report on the runs.

    Args:
        runs: run directories, or folders above them.
        out: folder to copy to; it must be new or empty.

    Returns:
        ``out``.

    Raises:
        InputError: a path holds no run, two runs would be copied to one place, or ``out`` holds something already.
    """
    if out.is_dir() and any(out.iterdir()):
        raise InputError(f"{out} is not empty; name a new folder to export to, or remove it first")
    copies: dict[Path, Path] = {}
    for place in places(runs):
        found = [file for pattern in READ for file in sorted(place.folder.glob(pattern))]
        for file in [*found, *([place.fairness] if place.fairness else [])]:
            name = place.named(file)
            if copies.setdefault(name, file) != file:
                raise InputError(f"{copies[name]} and {file} would both be copied to {out / name}; export them apart")
    for name, file in copies.items():
        write_atomically(out / name, partial(shutil.copyfile, file))
    return out
