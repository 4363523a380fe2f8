"""Comparisons of tensors, and the messages of failed checks."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from selectrl.errors import ConformanceError


def demand(is_met: bool, part: str, got: str, expected: str, remedy: str) -> None:
    """Raise unless a condition is met.

    Raises:
        ConformanceError: the message consists of the other arguments.
    """
    if not is_met:
        raise ConformanceError(f"{part}: {got}; expected {expected}; {remedy}")


@contextmanager
def guard(part: str, action: str, remedy: str) -> Iterator[None]:
    """Turn an exception of the block into a conformance error that names the action of the block.

    Raises:
        ConformanceError: the block raised.
    """
    try:
        yield
    except ConformanceError:
        raise
    except Exception as error:
        reason = next(iter(str(error).strip().splitlines()), "without a message")
        raise ConformanceError(f"{part}: {action} raised {type(error).__name__}: {reason}; {remedy}") from error


@contextmanager
def forbid_global_randomness(part: str, action: str) -> Iterator[None]:
    """Refuse a block that draws from a global generator, and restore the generators.

    Raises:
        ConformanceError: the block drew a number; the message names the generator.
    """

    def states() -> dict[str, Any]:
        legacy: Any = np.random.get_state()
        return {
            "torch": torch.get_rng_state().numpy().tobytes(),
            "NumPy": (legacy[1].tobytes(), *legacy[2:]),
            "Python": random.getstate(),
        }

    before, torch_state, numpy_state = states(), torch.get_rng_state(), np.random.get_state()
    try:
        yield
        after = states()
    finally:
        torch.set_rng_state(torch_state)
        np.random.set_state(numpy_state)
        random.setstate(before["Python"])
    used = [name for name, state in before.items() if state != after[name]]
    remedy = "declare a Noise and read it from the batch, or use the generator argument"
    demand(not used, part, f"{action} drew from {', '.join(used)}'s global generator", "no hidden randomness", remedy)


def are_equal(first: Any, second: Any) -> bool:
    """Return whether two nested structures of tensors are bit-equal."""
    first_leaves, second_leaves = tree_leaves(first), tree_leaves(second)
    return len(first_leaves) == len(second_leaves) and all(
        torch.equal(a, b) if isinstance(a, Tensor) and isinstance(b, Tensor) else a == b
        for a, b in zip(first_leaves, second_leaves, strict=True)
    )


def are_close(first: Any, second: Any, tolerance: float = 1e-5) -> bool:
    """Return whether two nested structures of tensors agree within an absolute and relative tolerance."""
    first_leaves, second_leaves = tree_leaves(first), tree_leaves(second)
    return len(first_leaves) == len(second_leaves) and all(
        a.shape == b.shape and torch.allclose(a, b, rtol=tolerance, atol=tolerance)
        for a, b in zip(first_leaves, second_leaves, strict=True)
    )


def changed_names(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> set[str]:
    """Return the names whose values differ."""
    return {name for name, value in before.items() if not torch.equal(value, after[name])}


def check_tensor(value: Any, shape: tuple[int, ...], part: str, label: str, axes: str) -> None:
    """Demand a finite float32 tensor of a shape.

    Args:
        value: the value to check.
        shape: the expected shape.
        part: name of the part that returned it.
        label: name of the value in the message.
        axes: names of the axes, for the message.

    Raises:
        ConformanceError: the value is not such a tensor.
    """
    got = f"{tuple(value.shape)} {value.dtype}" if isinstance(value, Tensor) else type(value).__name__
    is_expected = isinstance(value, Tensor) and tuple(value.shape) == shape and value.dtype == torch.float32
    remedy = "ranks are fixed, see selectrl.structs; remove trailing axes of size 1, return float32"
    demand(is_expected, part, f"{label} is {got}", f"float32 of shape {shape}, {axes}", remedy)
    demand(bool(value.isfinite().all()), part, f"{label} holds NaN or infinity", "finite values", "check its formula")
