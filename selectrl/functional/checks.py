"""Shape checks that turn silent broadcasting into an error."""

from __future__ import annotations

from torch import Tensor


def require_same_shape(**tensors: Tensor) -> None:
    """Refuse tensors of different shapes; ``(n,)`` against ``(n, 1)`` is the classic silent bug.

    Raises:
        ValueError: shapes differ; the message names each tensor and its shape.
    """
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if len(set(shapes.values())) > 1:
        raise ValueError("expected one shape, got " + ", ".join(f"{name} {shape}" for name, shape in shapes.items()))


def require_rank(expected: int, **tensors: Tensor) -> None:
    """Refuse a tensor that does not have the expected number of axes.

    Raises:
        ValueError: a tensor has another rank; the message names it and its shape.
    """
    for name, tensor in tensors.items():
        if tensor.dim() != expected:
            raise ValueError(f"expected {name} with {expected} axes, got shape {tuple(tensor.shape)}")
