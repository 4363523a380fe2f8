"""Episodes as a dataset may hold them, drawn at random; their padding has no negative zeros."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from selectrl.data.store import Episodes
from selectrl.structs import Spec


@st.composite
def many_episodes(draw: st.DrawFn) -> tuple[Episodes, Spec]:
    count, time, obs, action = (draw(st.integers(1, n)) for n in (4, 6, 3, 3))
    length = np.array(draw(st.lists(st.integers(1, time), min_size=count, max_size=count)), dtype=np.int64)
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    live = np.arange(time) < length[:, None]
    states = np.arange(time + 1) <= length[:, None]
    terminal = (np.arange(time) == length[:, None] - 1) & (rng.random((count, 1)) < 0.5)
    value = Episodes(
        (rng.standard_normal((count, time + 1, obs)) * states[..., None] + 0.0).astype("f4"),
        (rng.uniform(-1, 1, (count, time, action)) * live[..., None] + 0.0).astype("f4"),
        (rng.standard_normal((count, time)) * live + 0.0).astype("f4"),
        terminal,
        length,
        rng.integers(0, 3, count),
    )
    return value, Spec(obs=obs, action=action, horizon=time, dynamics_vary=True)
