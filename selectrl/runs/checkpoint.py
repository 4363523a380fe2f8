"""Checkpoints: one safetensors file that is the whole state of a run, which no kill and no power cut hurts.

Draws are functions of the step, so parameters, targets and optimisers are all the tensors there are; beside them lies
the record of what they belong to: the step, the experiment and the versions of what made them.

A checkpoint is sound, damaged or unreadable. A damaged one gives way to the one before it. An unreadable one stops the
command, for it may be sound.
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
ASIDE = ".aside"  # ends the name of a checkpoint that a run has gone back behind


class Checkpoint(NamedTuple):
    """The state of a run after a step.

    Attributes:
        state: parameters, persistent buffers and optimiser states by name.
        step: steps done, all phases together.
        total: steps of all phases.
        metrics: bytes of the run's metrics at that step.
        phase: name of the phase that the step is of.
        record: what the state belongs to: key and JSON of the experiment, seed, versions.
    """

    state: Mapping[str, Tensor]
    step: int
    total: int
    metrics: int
    phase: str = ""
    record: dict[str, Any] = {}  # noqa: RUF012  read alone

    @property
    def about(self) -> dict[str, Any]:
        """Everything but the tensors."""
        return {name: value for name, value in self._asdict().items() if name != "state"}


def save(folder: Path, made: Checkpoint) -> Path:
    """Write a checkpoint and drop those that it makes needless: all before the last one, and those set aside.

    Args:
        folder: the run's folder.
        made: what is written; its step names the file.

    Returns:
        The file.

    Raises:
        InputError: the folder cannot be written to.
    """
    path = folder / f"checkpoint-{made.step:09d}.safetensors"
    tensors = {name: value.detach().contiguous() for name, value in made.state.items()}
    text = json.dumps(made.about)
    metadata = {"about": text, "digest": digest(tensors, text)}
    write_tensors(path, {name: value.numpy() for name, value in tensors.items()}, metadata)
    before = [old for step, old in files(folder) if step < made.step]
    passed = [old for step, old in files(folder, ASIDE) if step <= made.step]
    for old in [*before[KEPT - 1 :], *passed]:
        old.unlink(missing_ok=True)
    return path


def files(folder: Path, ending: str = "") -> list[tuple[int, Path]]:
    """List the checkpoints in a folder with their steps, the newest first.

    Args:
        folder: the run's folder, which need not exist.
        ending: ``ASIDE`` lists those that are set aside instead.

    Raises:
        UnreadableError: the folder cannot be listed.
    """
    pattern = re.compile(rf"checkpoint-(\d+)\.safetensors{re.escape(ending)}")
    found = [match for name in list_names(folder) if (match := pattern.fullmatch(name))]
    return sorted(((int(match[1]), folder / match[0]) for match in found), reverse=True)


def set_aside(folder: Path, step: int) -> None:
    """Rename the checkpoints of later steps than the one that a run continues from, so that they no longer count.

    They are damaged, or the metrics that belong to them are gone. :func:`save` deletes them when the run has reached
    their step again.

    Raises:
        InputError: the folder cannot be written to.
    """
    later = [path for at, path in files(folder) if at > step]
    try:
        for path in later:
            path.rename(path.with_name(path.name + ASIDE))
        if later:
            flush_names(folder)
    except OSError as error:
        raise write_error(folder, error) from error


def digest(state: Mapping[str, Tensor], about: str) -> str:
    """Return a checksum of names, shapes and values, which tells a damaged file from a sound one."""
    found = blake2b(about.encode(), digest_size=16)
    for name in sorted(state):
        found.update(f"{name} {tuple(state[name].shape)} {state[name].dtype}".encode())
        found.update(state[name].numpy().tobytes())
    return found.hexdigest()


def load(path: Path) -> Checkpoint | None:
    """Read a checkpoint; None if it is damaged, not finite, or not written by :func:`save`.

    The file is read and not mapped into memory, which some network file systems refuse.

    Raises:
        UnreadableError: the operating system does not let it be read.
    """
    content = read_bytes(path)
    try:
        state = tensors_of(content)
        header = content[8 : 8 + int.from_bytes(content[:8], "little")]
        metadata = parse_json(header.decode())["__metadata__"]
        if metadata["digest"] != digest(state, metadata["about"]):
            return None
        found = Checkpoint(state=state, **parse_json(metadata["about"]))
    except (SafetensorError, KeyError, ValueError, TypeError):
        return None
    counts = (found.step, found.total, found.metrics)
    sound = all(type(count) is int and count >= 0 for count in counts) and isinstance(found.phase, str)
    whole = sound and isinstance(found.record, dict) and all(value.isfinite().all() for value in state.values())
    return found if whole else None


def sound(folder: Path) -> Iterator[Checkpoint]:
    """Read a run's sound checkpoints, the newest first.

    Raises:
        UnreadableError: one on the way cannot be read.

    Warns:
        DamageWarning: one on the way is damaged.
    """
    for _, path in files(folder):
        found = load(path)
        if found is not None:
            yield found
        else:
            sentence = f"{path} is damaged and left out; the one before it counts, or the run begins again"
            warnings.warn(sentence, DamageWarning, 2)


def newest(folder: Path) -> Checkpoint | None:
    """Read the newest sound checkpoint of a run, or None if there is none."""
    return next(sound(folder), None)


def resumable(folder: Path) -> Iterator[Checkpoint]:
    """Read the sound checkpoints that a run can continue from, the newest first: those whose metrics are still there.

    Raises:
        InputError: there are sound checkpoints, but the metrics of none.
        UnreadableError: a checkpoint or the metrics cannot be read.

    Warns:
        DamageWarning: the metrics of a newer one are lost, as by a power cut.
    """
    metrics, lost, usable = Metrics.of(folder), None, False
    size = metrics.size()
    for found in sound(folder):
        if found.metrics > size:
            lost = lost or found
            continue
        if lost and not usable:
            sentence = (
                f"{metrics.path} holds less than the checkpoint of step {lost.step} says; the run continues from step "
                f"{found.step}, and {lost.step - found.step} steps are trained again"
            )
            warnings.warn(sentence, DamageWarning, 2)
        usable = True
        yield found
    if lost and not usable:
        raise InputError(
            f"{metrics.path} holds less than the run's checkpoint at step {lost.step} says; restore it, or delete the "
            "folder's checkpoints to begin again"
        )


def shared(folders: Sequence[Path]) -> list[Checkpoint]:
    """Read the newest resumable checkpoint of one and the same step in each folder; nothing if they begin together.

    Runs that are saved one after the other stand at different steps if they are killed in between.

    Raises:
        RunError: they have no step in common, their beginning included; see :func:`together`.
        InputError: as :func:`resumable`.
    """
    if len(folders) == 1:
        return list(islice(resumable(folders[0]), 1))
    known = [standing(folder) for folder in folders]
    newest_shared = max(set.intersection(*map(set, known)), default=None)
    if newest_shared is None:
        names = ", ".join(map(str, folders))
        raise RunError(f"no step of which each of {names} has a sound checkpoint; go on with each of them alone")
    return [found for of in known if (found := of[newest_shared])]


def standing(folder: Path) -> dict[int, Checkpoint | None]:
    """Return where a run can go on from: its resumable checkpoints by step, and 0 if it was saved once at most.

    A finished run is never begun again.
    """
    known: dict[int, Checkpoint | None] = {one.step: one for one in resumable(folder)}
    saved_once = len(files(folder)) < KEPT and all(one.step < one.total for one in known.values() if one)
    return {0: None, **known} if saved_once or not known else known


def together(folders: Sequence[Path]) -> bool:
    """Whether runs can go on from one step, or begin, side by side."""
    return bool(set.intersection(*(set(standing(folder)) for folder in folders)))


def reached(folder: Path) -> int:
    """Return the overall step of a run's newest sound checkpoint, 0 without one."""
    found = newest(folder)
    return found.step if found else 0
