"""Checkpoints: one safetensors file that is the whole state of a run, written so that a kill cannot hurt it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from selectrl.files import write_atomically

KEPT = 2  # the newest and the one before it, in case the newest is damaged


def save(folder: Path, step: int, state: dict[str, Tensor], about: dict[str, Any]) -> Path:
    """Write a checkpoint and drop all but the last two.

    Args:
        folder: the run's folder.
        step: overall step, which names the file.
        state: tensors by name.
        about: what else resuming needs, as JSON.

    Returns:
        The file.

    Raises:
        InputError: the folder cannot be written to.
    """
    path = folder / f"checkpoint-{step:09d}.safetensors"
    tensors = {name: value.detach().contiguous() for name, value in state.items()}
    write_atomically(path, lambda temporary: save_file(tensors, temporary, {"about": json.dumps(about)}))
    for old in sorted(folder.glob("checkpoint-*.safetensors"))[:-KEPT]:
        old.unlink(missing_ok=True)
    return path


def load(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """Read a checkpoint; None if it is damaged."""
    try:
        with safe_open(path, framework="pt") as handle:
            about = json.loads((handle.metadata() or {})["about"])
            state = {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118  not a dict
    except (OSError, SafetensorError, KeyError, ValueError):
        return None
    finite = all(bool(torch.isfinite(value).all()) for value in state.values() if value.is_floating_point())
    return (state, about) if finite and isinstance(about, dict) else None


def newest(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """Read the newest sound checkpoint of a run, or None if there is none."""
    for path in sorted(folder.glob("checkpoint-*.safetensors"), reverse=True):
        found = load(path)
        if found is not None:
            return found
    return None
