"""The identity of a meta-test: collector, settings, data and source code, not its label. Free of torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from selectrl.errors import InputError
from selectrl.plugins import is_changed
from selectrl.runs.diagnostics import DiagnosticsRecord
from selectrl.runs.evaluation import EvaluationRecord
from selectrl.runs.reading import Bindings, JsonObject

SETTINGS = {"protocol": "protocol", "budget": "budget", "repeats": "repeats", "prior": "prior", "seed": "test_seed"}
"""Settings of a meta-test by their name in evaluations; a published schedule also has its gate."""


def settings_of(test: Bindings) -> JsonObject:
    """Return the settings that a meta-test depends on, as evaluations name them, from a test config's record."""
    names = SETTINGS | ({"gate": "gate"} if test.get("protocol") == "paper" else {})
    return {written: test.get(name) for name, written in names.items()}


def identity_of(
    key: str, collector: Bindings, test: Bindings, fingerprint: str | None, sources: Mapping[str, str]
) -> JsonObject:
    """Return the identity of a meta-test of a policy.

    Args:
        key: key of the run's experiment.
        collector: record of the collector's config.
        test: record of the test's config.
        fingerprint: of the dataset, or None where the meta-test reads no data.
        sources: fingerprints of the source code of outside parts, by part.
    """
    own = {"key": key, "collector": collector, **settings_of(test)}
    return {**own, "dataset": fingerprint, "sources": dict(sources)}


def find_difference(identity: Bindings, wanted: Bindings) -> str | None:
    """Return the first name in which a written evaluation differs from the wanted meta-test, or None.

    A value that one of them does not record is not a difference.
    """
    for name, value in wanted.items():
        written = identity.get(name)
        if name == "sources":
            parts = written or {}
            changed = [part for part in value if is_changed(parts.get(part), value[part])]
            if changed:
                return f"source code of {changed[0]}"
        elif None not in (written, value) and written != value:
            return name
    return None


def is_own(identity: Bindings, experiment: Bindings, fingerprint: str | None = None) -> bool:
    """Return whether an evaluation is the run's own meta-test: the experiment's collector, settings and data.

    Args:
        identity: identity of the evaluation.
        experiment: the run's experiment, as it was written.
        fingerprint: fingerprint of the training data, if recorded.
    """
    collector, test = experiment.get("collector"), experiment.get("test")
    wanted = settings_of(test if isinstance(test, Mapping) else {})
    same = collector is not None and identity.get("collector") == collector
    return same and find_difference(identity, {**wanted, "dataset": fingerprint}) is None


def is_wanted(record: EvaluationRecord | DiagnosticsRecord | None, steps: int, wanted: Bindings) -> bool:
    """Return whether a record is the wanted one of the complete training."""
    return record is not None and record.train_step == steps and find_difference(record.identity, wanted) is None


def refuse_to_replace(
    path: Path, record: EvaluationRecord | DiagnosticsRecord | None, wanted: Bindings, step: int, remedy: str
) -> None:
    """Refuse to replace a record by one of another identity or of an earlier training step.

    Args:
        path: the record's file.
        record: its content; None may always be replaced.
        wanted: identity of the new record.
        step: training step of the new record.
        remedy: the alternative, the end of the sentence.

    Raises:
        InputError: the file contains another or a later record.
    """
    if record is None:
        return
    identity = record.identity
    other = find_difference(identity, wanted)
    if other is not None:
        values = f": {identity[other]!s:.80}, not {wanted[other]!s:.80}" if other in wanted else ""
        raise InputError(f"{path} is of another meta-test ({other} differs{values}); {remedy}")
    if record.train_step > step:
        at = record.train_step
        raise InputError(f"{path} is of training step {at:,}, later than {step:,}, and is kept; {remedy}")
