"""Checkpoints: the complete state of a run in a safetensors file, safe against kills and power cuts.

Draws are functions of the step, so the only tensors are parameters, targets and optimisers. A record next to them names
the step, the experiment and the versions.

A checkpoint is sound, damaged or unreadable. Instead of a damaged one the earlier one is used. An unreadable one stops
the command, because it may be sound.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import SafetensorError
from safetensors.torch import load as tensors_of
from torch import Tensor

from selectrl.errors import DamageWarning, InputError, RunError
from selectrl.files import flush_names, list_names, read_bytes, write_error
from selectrl.json_text import parse_json
from selectrl.runs.metrics import Metrics
from selectrl.tensor_files import write_tensors

KEPT = 2  # the newest and the one before it, in case the newest is damaged
ASIDE = ".aside"  # ends the name of a checkpoint after the step that a run continued from


class Checkpoint(NamedTuple):
    """The state of a run after a step.

    Attributes:
        state: parameters, persistent buffers and optimiser states by name.
        step: steps done, all phases together.
        total: steps of all phases.
        metrics: bytes of the run's metrics at that step.
        phase: name of the phase that the step is of.
        record: origin of the state: key and JSON of the experiment, seed, versions.
    """

    state: Mapping[str, Tensor]
    step: int
    total: int
    metrics: int
    phase: str = ""
    record: dict[str, Any] = {}  # noqa: RUF012  read alone

    @property
    def about(self) -> dict[str, Any]:
        """All fields except the tensors."""
        return {name: value for name, value in self._asdict().items() if name != "state"}


def save(folder: Path, checkpoint: Checkpoint) -> Path:
    """Write a checkpoint and delete those that are no longer needed: all before the last one, and those set aside.

    Args:
        folder: the run's folder.
        checkpoint: the state to write; its step names the file.

    Returns:
        The file.

    Raises:
        InputError: the folder cannot be written to.
    """
    path = folder / f"checkpoint-{checkpoint.step:09d}.safetensors"
    tensors = {name: value.detach().contiguous() for name, value in checkpoint.state.items()}
    text = json.dumps(checkpoint.about)
    metadata = {"about": text, "digest": digest(tensors, text)}
    write_tensors(path, {name: value.numpy() for name, value in tensors.items()}, metadata)
    before = [old for step, old in list_checkpoints(folder) if step < checkpoint.step]
    passed = [old for step, old in list_checkpoints(folder, ASIDE) if step <= checkpoint.step]
    for old in [*before[KEPT - 1 :], *passed]:
        old.unlink(missing_ok=True)
    return path


def list_checkpoints(folder: Path, ending: str = "") -> list[tuple[int, Path]]:
    """List the checkpoints in a folder with their steps, the newest first.

    Args:
        folder: the run's folder, which need not exist.
        ending: ``ASIDE`` lists those that are set aside instead.

    Raises:
        UnreadableError: the folder cannot be listed.
    """
    pattern = re.compile(rf"checkpoint-(\d+)\.safetensors{re.escape(ending)}")
    matches = [match for name in list_names(folder) if (match := pattern.fullmatch(name))]
    return sorted(((int(match[1]), folder / match[0]) for match in matches), reverse=True)


def set_later_aside(folder: Path, step: int) -> None:
    """Rename the checkpoints after the step that a run continues from, so that they are ignored.

    They are damaged, or their metrics are lost. :func:`save` deletes them when the run has reached their step again.

    Raises:
        InputError: the folder cannot be written to.
    """
    later = [path for at, path in list_checkpoints(folder) if at > step]
    try:
        for path in later:
            path.rename(path.with_name(path.name + ASIDE))
        if later:
            flush_names(folder)
    except OSError as error:
        raise write_error(folder, error) from error


def digest(state: Mapping[str, Tensor], about: str) -> str:
    """Return a checksum of names, shapes and values, to detect damaged files."""
    checksum = blake2b(about.encode(), digest_size=16)
    for name in sorted(state):
        checksum.update(f"{name} {tuple(state[name].shape)} {state[name].dtype}".encode())
        checksum.update(state[name].numpy().tobytes())
    return checksum.hexdigest()


def load(path: Path) -> Checkpoint | None:
    """Read a checkpoint; None if it is damaged, not finite, or not written by :func:`save`.

    The file is read and not mapped into memory, which some network file systems refuse.

    Raises:
        UnreadableError: the operating system refuses to read it.
    """
    content = read_bytes(path)
    try:
        state = tensors_of(content)
        header = content[8 : 8 + int.from_bytes(content[:8], "little")]
        metadata = parse_json(header.decode())["__metadata__"]
        if metadata["digest"] != digest(state, metadata["about"]):
            return None
        loaded = Checkpoint(state=state, **parse_json(metadata["about"]))
    except (SafetensorError, KeyError, ValueError, TypeError):
        return None
    counts = (loaded.step, loaded.total, loaded.metrics)
    has_counts = all(type(count) is int and count >= 0 for count in counts) and isinstance(loaded.phase, str)
    is_sound = (
        has_counts and isinstance(loaded.record, dict) and all(value.isfinite().all() for value in state.values())
    )
    return loaded if is_sound else None


def read_sound(folder: Path) -> Iterator[Checkpoint]:
    """Read a run's sound checkpoints, the newest first.

    Raises:
        UnreadableError: a checkpoint cannot be read.

    Warns:
        DamageWarning: a checkpoint is damaged.
    """
    for _, path in list_checkpoints(folder):
        loaded = load(path)
        if loaded is not None:
            yield loaded
        else:
            sentence = f"{path} is damaged and ignored; the run uses the checkpoint before it, or starts again"
            warnings.warn(sentence, DamageWarning, 2)


def read_newest(folder: Path) -> Checkpoint | None:
    """Read the newest sound checkpoint of a run, or None if there is none."""
    return next(read_sound(folder), None)


def read_resumable(folder: Path) -> Iterator[Checkpoint]:
    """Read the sound checkpoints that a run can continue from, the newest first: those with complete metrics.

    Raises:
        InputError: there are sound checkpoints, but none with complete metrics.
        UnreadableError: a checkpoint or the metrics cannot be read.

    Warns:
        DamageWarning: the metrics of a newer checkpoint are lost, for example after a power cut.
    """
    metrics, lost, has_usable = Metrics.of(folder), None, False
    size = metrics.size()
    for candidate in read_sound(folder):
        if candidate.metrics > size:
            lost = lost or candidate
            continue
        if lost and not has_usable:
            sentence = (
                f"{metrics.path} is shorter than the checkpoint of step {lost.step} records; the run continues from "
                f"step {candidate.step}, and {lost.step - candidate.step} steps are trained again"
            )
            warnings.warn(sentence, DamageWarning, 2)
        has_usable = True
        yield candidate
    if lost and not has_usable:
        raise InputError(
            f"{metrics.path} is shorter than the run's checkpoint at step {lost.step} records; restore it, or delete "
            "the folder's checkpoints to start again"
        )


def read_shared(folders: Sequence[Path]) -> list[Checkpoint]:
    """Read the newest resumable checkpoint of the same step in each folder; nothing if all start from the beginning.

    Runs that are saved one after the other have different steps if they are killed in between.

    Raises:
        RunError: the runs share no step, not even their beginning; see :func:`share_step`.
        InputError: as :func:`read_resumable`.
    """
    if len(folders) == 1:
        return list(islice(read_resumable(folders[0]), 1))
    by_step_of = [list_resumable(folder) for folder in folders]
    newest_shared = max(set.intersection(*map(set, by_step_of)), default=None)
    if newest_shared is None:
        names = ", ".join(map(str, folders))
        raise RunError(f"there is no step with a sound checkpoint in each of {names}; continue each of them alone")
    return [checkpoint for by_step in by_step_of if (checkpoint := by_step[newest_shared])]


def list_resumable(folder: Path) -> dict[int, Checkpoint | None]:
    """Return the checkpoints that a run can continue from by step, and step 0 if it was saved at most once.

    A finished run is never started again.
    """
    by_step: dict[int, Checkpoint | None] = {checkpoint.step: checkpoint for checkpoint in read_resumable(folder)}
    saved_once = len(list_checkpoints(folder)) < KEPT and all(
        saved.step < saved.total for saved in by_step.values() if saved
    )
    return {0: None, **by_step} if saved_once or not by_step else by_step


def share_step(folders: Sequence[Path]) -> bool:
    """Return whether runs can continue from the same step, or start, in parallel."""
    return bool(set.intersection(*(set(list_resumable(folder)) for folder in folders)))


def read_step(folder: Path) -> int:
    """Return the overall step of a run's newest sound checkpoint, 0 without one."""
    newest = read_newest(folder)
    return newest.step if newest else 0
