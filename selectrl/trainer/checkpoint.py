"""Checkpoints: one safetensors file that is the whole state of a run, written so that a kill cannot hurt it."""

from __future__ import annotations

import json
from hashlib import blake2b
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from selectrl.errors import RunError
from selectrl.files import write_atomically
from selectrl.json_text import parse

COUNTS = ("step", "metrics", "total")  # what resuming needs to know
KEPT = 2  # the newest and the one before it, in case the newest is damaged


def save(folder: Path, step: int, state: dict[str, Tensor], about: dict[str, Any]) -> Path:
    """Write a checkpoint and drop all but the last two.

    Args:
        folder: the run's folder.
        step: overall step, which names the file.
        state: tensors by name.
        about: what else resuming needs, as JSON; the counts ``step``, ``metrics`` (bytes of the log) and ``total`` must
            be there.

    Returns:
        The file.

    Raises:
        InputError: the folder cannot be written to.
        RunError: a value is not finite; nothing is written, so that the last checkpoint stays a sound one.
    """
    bad = next((name for name, value in state.items() if not value.isfinite().all()), None)
    if bad is not None:
        raise RunError(
            f"{bad} holds NaN or infinity after step {step}, expected finite values; the last checkpoint is sound, "
            "lower the learning rate or look at the data before it"
        )
    path = folder / f"checkpoint-{step:09d}.safetensors"
    tensors = {name: value.detach().contiguous() for name, value in state.items()}
    text = json.dumps(about)
    metadata = {"about": text, "digest": digest(tensors, text)}
    write_atomically(path, lambda temporary: save_file(tensors, temporary, metadata))
    for old in sorted(folder.glob("checkpoint-*.safetensors"))[:-KEPT]:
        old.unlink(missing_ok=True)
    return path


def digest(state: dict[str, Tensor], about: str) -> str:
    """Return a checksum of names, shapes and values, which tells a damaged file from a sound one."""
    found = blake2b(about.encode(), digest_size=16)
    for name in sorted(state):
        found.update(f"{name} {tuple(state[name].shape)} {state[name].dtype}".encode())
        found.update(state[name].numpy().tobytes())
    return found.hexdigest()


def load(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """Read a checkpoint; None if it is damaged, or holds a value that is not finite."""
    try:
        with safe_open(path, framework="pt") as handle:
            metadata = handle.metadata() or {}
            state = {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118  not a dict
        if metadata["digest"] != digest(state, metadata["about"]):
            return None
        about = parse(metadata["about"])
    except (OSError, SafetensorError, KeyError, ValueError, TypeError):
        return None
    complete = isinstance(about, dict) and all(type(about.get(name)) is int and about[name] >= 0 for name in COUNTS)
    return (state, about) if complete and all(value.isfinite().all() for value in state.values()) else None


def newest(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """Read the newest sound checkpoint of a run, or None if there is none."""
    for path in sorted(folder.glob("checkpoint-*.safetensors"), reverse=True):
        found = load(path)
        if found is not None:
            return found
    return None
