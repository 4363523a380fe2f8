"""Random streams as pure functions of their name: no generator state is ever stored.

Every draw of this library comes from a Philox generator whose key is the *purpose* of the draw. Hence a run resumes
exactly, a seed draws the same numbers alone and in a population, and methods have common random numbers.
"""

from __future__ import annotations

from hashlib import blake2b

import numpy as np


def key(*names: str | int) -> int:
    """Return the 128-bit key of a name path, for example ``key(seed, "rl", "context", step)``."""
    return int.from_bytes(blake2b("\x1f".join(map(str, names)).encode(), digest_size=16).digest(), "little")


def stream(*names: str | int) -> np.random.Generator:
    """Return a new generator at the start of the stream with this name path."""
    return np.random.Generator(np.random.Philox(key=key(*names)))
