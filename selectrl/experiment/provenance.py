"""The code of a run: versions of this package and of plugins, and source code of outside parts. Free of torch."""

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

TRAIN_AGAIN = "`selectrl train --force` trains it again and renames the old run"


def trained_parts(experiment: Experiment) -> tuple[Any, ...]:
    """Return the parts that trained weights depend on."""
    return experiment.encoder, experiment.critic, experiment.actor, experiment.env


def source_fingerprints(*configs: Any) -> dict[str, str]:
    """Return the fingerprint of the source code of each outside part among the configs, by the part's name."""
    by_part = {str(tag(config)): plugins.fingerprint(type(config)) for config in walk_parts(*configs)}
    return {part: source for part, source in sorted(by_part.items()) if source is not None}


def describe_code(*configs: Any) -> dict[str, Any]:
    """Return the recorded facts of the code of some configs: ``versions``, ``plugins`` and ``sources``."""
    return {
        "versions": library_versions(),
        "plugins": plugins.plugin_versions(),
        "sources": source_fingerprints(*configs),
    }


def changed_part(execution: ExecutionRecord | None, experiment: Experiment) -> str | None:
    """Return the first outside part whose source code has changed since a run was trained, or None.

    A part without a recorded source counts as unchanged.
    """
    recorded = (execution and execution.sources) or {}
    current = source_fingerprints(*trained_parts(experiment))
    return next((part for part, source in current.items() if plugins.is_changed(recorded.get(part), source)), None)


def parts_changed_since(execution: ExecutionRecord | None) -> tuple[str, ...]:
    """Return the installed outside parts whose source code differs from the recorded one."""
    recorded = (execution and execution.sources) or {}
    classes = config_classes() if recorded else {}
    current = {part: plugins.fingerprint(classes[part]) for part in recorded if part in classes}
    return tuple(
        part for part, source in sorted(current.items()) if source and plugins.is_changed(recorded[part], source)
    )


def other_versions(execution: ExecutionRecord | None) -> str | None:
    """Describe the versions of this package and of plugins that have changed since a training, or return None."""
    if execution is None:
        return None
    recorded = {**(execution.plugins or {}), "selectrl": execution.versions.get("selectrl")}
    current = {**plugins.plugin_versions(), "selectrl": library_versions()["selectrl"]}
    changed = [
        f"{name} {version} (installed: {current[name]})"
        for name, version in sorted(recorded.items())
        if version is not None and current.get(name, version) != version
    ]
    return " and ".join(changed) or None


def check_code(folder: Path, execution: ExecutionRecord | None, experiment: Experiment) -> None:
    """Check a run against the current code: warn of other versions, refuse other source code of a part.

    Args:
        folder: the run directory.
        execution: its execution record, None if there is none.
        experiment: the requested experiment.

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
        execution: its execution record, None if there is none.
        experiment: the run's experiment.
        otherwise: the alternative to training again, the end of the sentence.

    Raises:
        InputError: the source code of an outside part has changed since the run began.
    """
    part = changed_part(execution, experiment)
    if part is not None:
        sentence = f"the source code of {part} has changed since {folder} was trained"
        raise InputError(f"{sentence}; {TRAIN_AGAIN}, or {otherwise}")


def warn_of_versions(folder: Path, execution: ExecutionRecord | None) -> None:
    """Warn if a run was made with another version of this package or of a plugin than the installed one."""
    other = other_versions(execution)
    if other is not None:
        sentence = f"{folder} was trained with {other}; its numbers are kept, {TRAIN_AGAIN}"
        warnings.warn(sentence, VersionWarning, stacklevel=3)
