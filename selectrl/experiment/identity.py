"""Which meta-test an evaluation holds: collector, settings, data and source code, not its label. Free of torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from selectrl.errors import InputError
from selectrl.evaluate.config import TestConfig
from selectrl.experiment.config import to_record
from selectrl.files import read_json_or_none
from selectrl.plugins import is_changed
from selectrl.protocols import CollectorConfig

Record: TypeAlias = dict[str, Any]

SETTINGS = {"protocol": "protocol", "budget": "budget", "repeats": "repeats", "prior": "prior", "seed": "test_seed"}
"""Settings of a meta-test by their name in evaluations; a published schedule has its gate besides."""


def settings_of(test: Mapping[str, Any]) -> Record:
    """Return the settings that a meta-test depends on, as evaluations name them, from a test config's record."""
    names = SETTINGS | ({"gate": "gate"} if test.get("protocol") == "paper" else {})
    return {written: test.get(name) for name, written in names.items()}


def identity_of(
    collector: CollectorConfig, test: TestConfig, fingerprint: str | None, sources: Mapping[str, str]
) -> Record:
    """Return what makes a meta-test of a policy the one that it is.

    Args:
        collector: gathers the context.
        test: the settings.
        fingerprint: of the dataset, or None where the meta-test reads no data.
        sources: fingerprints of the source code of outside parts, by part.
    """
    test_settings = settings_of(to_record(test))
    return {"collector": to_record(collector), **test_settings, "dataset": fingerprint, "sources": dict(sources)}


def difference(record: Mapping[str, Any], wanted: Mapping[str, Any]) -> str | None:
    """Return the first name in which a written evaluation is another meta-test than the wanted one, or None.

    A value that either of them does not record is no difference.
    """
    for name, value in wanted.items():
        written = record.get(name)
        if name == "sources":
            parts = written if isinstance(written, dict) else {}
            changed = [part for part in value if is_changed(parts.get(part), value[part])]
            if changed:
                return f"source code of {changed[0]}"
        elif None not in (written, value) and written != value:
            return name
    return None


def is_own(record: Mapping[str, Any], experiment: Mapping[str, Any], fingerprint: str | None = None) -> bool:
    """Say whether an evaluation is the run's own meta-test: the experiment's collector, settings and data.

    Args:
        record: the evaluation, as it was written.
        experiment: the run's experiment, as it was written.
        fingerprint: of the dataset that the run was trained on, as far as it is recorded.
    """
    collector, test = experiment.get("collector"), experiment.get("test")
    wanted = settings_of(test if isinstance(test, Mapping) else {})
    same = collector is not None and record.get("collector") == collector
    return same and difference(record, {**wanted, "dataset": fingerprint}) is None


def read_written(path: Path) -> Record | None:
    """Read an evaluation or diagnostics; None where there is none, or one that a kill or a hand has damaged.

    Raises:
        UnreadableError: there is one that cannot be read, which therefore must not be replaced.
    """
    record = read_json_or_none(path)
    return record if isinstance(record, dict) and isinstance(record.get("train_step"), int) else None


def refuse_to_replace(path: Path, wanted: Mapping[str, Any], step: int, remedy: str) -> None:
    """Refuse to replace a record by one of another identity or of an earlier training step.

    Args:
        path: the file.
        wanted: identity of what would be written.
        step: the training step that it would be of.
        remedy: what to do instead, the end of the sentence.

    Raises:
        InputError: the file holds something else, something later, or cannot be read.
    """
    record = read_written(path)
    if record is None:
        return
    other = difference(record, wanted)
    if other is not None:
        values = f": {record[other]!s:.80}, not {wanted[other]!s:.80}" if other in wanted else ""
        raise InputError(f"{path} is of another meta-test ({other} differs{values}); {remedy}")
    at = record["train_step"]
    if at > step:
        raise InputError(f"{path} is of training step {at:,}, later than {step:,}, and is kept; {remedy}")
