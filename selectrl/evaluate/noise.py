"""Common random numbers of a meta-test: pure functions of (task, repeat, purpose)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from selectrl.streams import key, stream


class CommonNoise:
    """Noise per world, the same for every method, collector and composition of worlds.

    Args:
        seed: seed of the meta-test.
        worlds: (task, repeat) of each world.
    """

    def __init__(self, seed: int, worlds: Sequence[tuple[int, int]]) -> None:
        self.seed, self.worlds = seed, worlds

    def normal(self, purpose: str, *shape: int) -> Tensor:
        """Return N(0, 1), (world, *shape)."""
        return self._draw(purpose, lambda rng: rng.standard_normal(shape, dtype=np.float32))

    def uniform(self, purpose: str, *shape: int) -> Tensor:
        """Return U(0, 1), (world, *shape)."""
        return self._draw(purpose, lambda rng: rng.random(shape, dtype=np.float32))

    def seeds(self, purpose: str, episode: int) -> list[int]:
        """Return a seed per world for the start of an episode."""
        return [key(self.seed, "test", purpose, *world, episode) % 2**31 for world in self.worlds]

    def _draw(self, purpose: str, draw: object) -> Tensor:
        drawn = [draw(stream(self.seed, "test", purpose, *world)) for world in self.worlds]  # type: ignore[operator]
        return torch.from_numpy(np.stack(drawn))
