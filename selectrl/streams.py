"""Random streams as pure functions of their name: no generator state is ever stored.

Every draw of this library comes from a Philox generator keyed by what the draw is *for*. That buys exact resume, equal
draws for a seed alone or in a population, and common random numbers between methods.
"""

from __future__ import annotations

from hashlib import blake2b

import numpy as np


def key(*names: str | int) -> int:
    """Return the 128-bit key of a name path, for example ``key(seed, "rl", "context", step)``."""
    return int.from_bytes(blake2b("\x1f".join(map(str, names)).encode(), digest_size=16).digest(), "little")


def stream(*names: str | int) -> np.random.Generator:
    """Return a fresh generator at the start of the stream that the name path stands for."""
    return np.random.Generator(np.random.Philox(key=key(*names)))
