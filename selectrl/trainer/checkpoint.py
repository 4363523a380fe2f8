"""Checkpoints: one safetensors file that is the whole state of a run, written so that a kill cannot hurt it.

Draws are functions of the step, so parameters, targets and optimisers are all the tensors there are; beside them lies
the record of what they belong to: the step, the experiment and the versions of what made them.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import SafetensorError, safe_open
from torch import Tensor

from selectrl.errors import DamageWarning, RunError
from selectrl.files import write_tensors
from selectrl.json_text import parse

KEPT = 2  # the newest and the one before it, in case the newest is damaged


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
    """Write a checkpoint and drop all but the last two.

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
    for old in sorted(folder.glob("checkpoint-*.safetensors"))[:-KEPT]:
        old.unlink(missing_ok=True)
    return path


def digest(state: Mapping[str, Tensor], about: str) -> str:
    """Return a checksum of names, shapes and values, which tells a damaged file from a sound one."""
    found = blake2b(about.encode(), digest_size=16)
    for name in sorted(state):
        found.update(f"{name} {tuple(state[name].shape)} {state[name].dtype}".encode())
        found.update(state[name].numpy().tobytes())
    return found.hexdigest()


def load(path: Path) -> Checkpoint | None:
    """Read a checkpoint; None if it is damaged, not finite, or not written by :func:`save`."""
    try:
        with safe_open(path, framework="pt") as handle:
            metadata = handle.metadata() or {}
            state = {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118  not a dict
        if metadata["digest"] != digest(state, metadata["about"]):
            return None
        found = Checkpoint(state=state, **parse(metadata["about"]))
    except (OSError, SafetensorError, KeyError, ValueError, TypeError):
        return None
    counts = (found.step, found.total, found.metrics)
    sound = all(type(count) is int and count >= 0 for count in counts) and isinstance(found.phase, str)
    whole = sound and isinstance(found.record, dict) and all(value.isfinite().all() for value in state.values())
    return found if whole else None


def sound(folder: Path) -> Iterator[Checkpoint]:
    """Read a run's sound checkpoints, the newest first.

    Warns:
        DamageWarning: one on the way is damaged.
    """
    for path in sorted(folder.glob("checkpoint-*.safetensors"), reverse=True):
        found = load(path)
        if found is not None:
            yield found
        else:
            sentence = f"{path} is damaged and left out; the one before it counts, or the run begins again"
            warnings.warn(sentence, DamageWarning, 2)


def newest(folder: Path) -> Checkpoint | None:
    """Read the newest sound checkpoint of a run, or None if there is none."""
    return next(sound(folder), None)


def shared(folders: Sequence[Path]) -> list[Checkpoint]:
    """Read the newest sound checkpoint of one and the same step in each folder; nothing if they begin together.

    Runs that are saved one after the other stand at different steps if they are killed in between.

    Raises:
        RunError: they have no step in common, their beginning included; see :func:`together`.
    """
    if len(folders) == 1:
        return list(islice(sound(folders[0]), 1))
    known = [standing(folder) for folder in folders]
    newest_shared = max(set.intersection(*map(set, known)), default=None)
    if newest_shared is None:
        names = ", ".join(map(str, folders))
        raise RunError(f"no step of which each of {names} has a sound checkpoint; go on with each of them alone")
    return [found for of in known if (found := of[newest_shared])]


def standing(folder: Path) -> dict[int, Checkpoint | None]:
    """Return where a run can go on from: its sound checkpoints by step, and 0 if it was saved once at most.

    A finished run is never begun again.
    """
    known: dict[int, Checkpoint | None] = {one.step: one for one in sound(folder)}
    early = len(known) < KEPT and all(one.step < one.total for one in known.values() if one)
    return {0: None, **known} if early else known


def together(folders: Sequence[Path]) -> bool:
    """Whether runs can go on from one step, or begin, side by side."""
    return bool(set.intersection(*(set(standing(folder)) for folder in folders)))


def reached(folder: Path) -> int:
    """Return the overall step of a run's newest sound checkpoint, 0 without one."""
    found = newest(folder)
    return found.step if found else 0
