"""Which code made a run: versions of this package and of plugins, and source code of outside parts. Free of torch."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from selectrl import plugins
from selectrl.data.manifest import library_versions
from selectrl.errors import InputError, VersionWarning
from selectrl.experiment.config import Experiment, config_classes, walk_parts
from selectrl.registry import tag
from selectrl.runs.execution import ExecutionRecord

AGAIN = "`selectrl train --force` trains it again and keeps the old run beside it"


def trained_parts(experiment: Experiment) -> tuple[Any, ...]:
    """Return the parts that trained weights depend on."""
    return experiment.encoder, experiment.critic, experiment.actor, experiment.env


def source_fingerprints(*configs: Any) -> dict[str, str]:
    """Return the fingerprint of the source code of each outside part among the configs, by the part's name."""
    by_part = {str(tag(config)): plugins.fingerprint(type(config)) for config in walk_parts(*configs)}
    return {part: found for part, found in sorted(by_part.items()) if found is not None}


def describe_code(*configs: Any) -> dict[str, Any]:
    """Return what is recorded of the code behind some configs: ``versions``, ``plugins`` and ``sources``."""
    return {
        "versions": library_versions(),
        "plugins": plugins.plugin_versions(),
        "sources": source_fingerprints(*configs),
    }


def changed_part(execution: ExecutionRecord | None, experiment: Experiment) -> str | None:
    """Return the first outside part whose source code is no longer the one that a run was trained with, or None.

    What the run's record does not tell is no change.
    """
    recorded = (execution and execution.sources) or {}
    today = source_fingerprints(*trained_parts(experiment))
    return next((part for part, found in today.items() if plugins.is_changed(recorded.get(part), found)), None)


def parts_changed_since(execution: ExecutionRecord | None) -> tuple[str, ...]:
    """Return the outside parts whose source code is no longer the recorded one, as far as they are installed here."""
    recorded = (execution and execution.sources) or {}
    classes = config_classes() if recorded else {}
    today = {part: plugins.fingerprint(classes[part]) for part in recorded if part in classes}
    return tuple(part for part, found in sorted(today.items()) if found and plugins.is_changed(recorded[part], found))


def other_versions(execution: ExecutionRecord | None) -> str | None:
    """Say which versions of this package and of plugins a run was trained with that are not today's, or None."""
    if execution is None:
        return None
    recorded = {**(execution.plugins or {}), "selectrl": execution.versions.get("selectrl")}
    today = {**plugins.plugin_versions(), "selectrl": library_versions()["selectrl"]}
    changed = [
        f"{name} {version} (installed: {today[name]})"
        for name, version in sorted(recorded.items())
        if version is not None and today.get(name, version) != version
    ]
    return " and ".join(changed) or None


def check_code(folder: Path, execution: ExecutionRecord | None, experiment: Experiment) -> None:
    """Check a run against today's code: other versions are named, other source code of a part is refused.

    Args:
        folder: the run directory.
        execution: how it was trained, None where that is not recorded.
        experiment: what is wanted.

    Raises:
        InputError: the source code of an outside part has changed since the run began.

    Warns:
        VersionWarning: the run was made with another version of this package or of a plugin.
    """
    refuse_changed_part(folder, execution, experiment, "give the new one another --name")
    warn_of_versions(folder, execution)


def refuse_changed_part(
    folder: Path, execution: ExecutionRecord | None, experiment: Experiment, otherwise: str
) -> None:
    """Refuse a run whose weights were trained with other source code of an outside part.

    Args:
        folder: the run directory.
        execution: how it was trained, None where that is not recorded.
        experiment: the run's experiment.
        otherwise: what to do instead of training again, the end of the sentence.

    Raises:
        InputError: the source code of an outside part has changed since the run began.
    """
    part = changed_part(execution, experiment)
    if part is not None:
        sentence = f"the source code of {part} has changed since {folder} was trained"
        raise InputError(f"{sentence}; {AGAIN}, or {otherwise}")


def warn_of_versions(folder: Path, execution: ExecutionRecord | None) -> None:
    """Warn if a run was made with another version of this package or of a plugin than the installed one."""
    other = other_versions(execution)
    if other is not None:
        sentence = f"{folder} was trained with {other}; its numbers are kept, {AGAIN}"
        warnings.warn(sentence, VersionWarning, stacklevel=3)
