"""How a check says what is wrong."""

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


def demand(good: bool, part: str, got: str, expected: str, remedy: str) -> None:
    """Raise unless good.

    Raises:
        ConformanceError: the sentence is made of all four.
    """
    if not good:
        raise ConformanceError(f"{part}: {got}; expected {expected}; {remedy}")


@contextmanager
def guard(part: str, doing: str, remedy: str) -> Iterator[None]:
    """Turn whatever the block raises into a conformance error that says what was being done.

    Raises:
        ConformanceError: the block raised.
    """
    try:
        yield
    except ConformanceError:
        raise
    except Exception as error:
        reason = next(iter(str(error).strip().splitlines()), "without a message")
        raise ConformanceError(f"{part}: {doing} raised {type(error).__name__}: {reason}; {remedy}") from error


@contextmanager
def forbid_global_randomness(part: str, doing: str) -> Iterator[None]:
    """Refuse a block that draws from a global generator, and leave the generators as they were.

    Raises:
        ConformanceError: it drew; the sentence names the generator.
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
    drawn = [name for name, state in before.items() if state != after[name]]
    remedy = "declare a Noise and read it from the batch, or use the generator that is handed in"
    demand(not drawn, part, f"{doing} drew from {', '.join(drawn)}'s global generator", "no hidden randomness", remedy)


def are_equal(one: Any, other: Any) -> bool:
    """Say whether two nests of tensors are equal bit by bit."""
    ours, theirs = tree_leaves(one), tree_leaves(other)
    return len(ours) == len(theirs) and all(
        torch.equal(a, b) if isinstance(a, Tensor) and isinstance(b, Tensor) else a == b
        for a, b in zip(ours, theirs, strict=True)
    )


def are_close(one: Any, other: Any, tolerance: float = 1e-5) -> bool:
    """Say whether two nests of tensors agree, absolutely and relatively."""
    ours, theirs = tree_leaves(one), tree_leaves(other)
    return len(ours) == len(theirs) and all(
        a.shape == b.shape and torch.allclose(a, b, rtol=tolerance, atol=tolerance)
        for a, b in zip(ours, theirs, strict=True)
    )


def changed_names(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> set[str]:
    """Return the names whose values differ."""
    return {name for name, value in before.items() if not torch.equal(value, after[name])}


def check_tensor(value: Any, shape: tuple[int, ...], part: str, what: str, axes: str) -> None:
    """Demand a finite float32 tensor of a shape.

    Args:
        value: what was returned.
        shape: what was expected.
        part: whose it is.
        what: what it is called.
        axes: names of the axes, for the sentence.

    Raises:
        ConformanceError: it is something else.
    """
    got = f"{tuple(value.shape)} {value.dtype}" if isinstance(value, Tensor) else type(value).__name__
    good = isinstance(value, Tensor) and tuple(value.shape) == shape and value.dtype == torch.float32
    remedy = "ranks are fixed, see selectrl.structs; no trailing axis of one, no other dtype"
    demand(good, part, f"{what} is {got}", f"float32 of shape {shape}, {axes}", remedy)
    demand(bool(value.isfinite().all()), part, f"{what} holds NaN or infinity", "finite values", "look at its formula")
