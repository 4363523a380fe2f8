"""Context from the stored data of tasks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from selectrl.data.rows import RowStore
from selectrl.data.sampler import uniform_ranks
from selectrl.evaluate.config import TestConfig
from selectrl.protocols import ROW_FIELDS, ContextEncoder, State
from selectrl.streams import stream
from selectrl.structs import Rows


@torch.no_grad()
def read_stored(
    encoder: ContextEncoder[State],
    state: State,
    stored: RowStore,
    worlds: Sequence[tuple[int, int]],
    block: int,
    *,
    kind: str,
    seed: int,
) -> State:
    """Take in one block of stored data per world: one ``episodes`` episode, or as many independent ``rows``.

    Args:
        encoder: the filter.
        state: the filter's state.
        stored: data of the worlds' tasks.
        worlds: (task, repeat) of each world.
        block: which block.
        kind: ``episodes`` or ``rows``.
        seed: seed of the meta-test.
    """
    return take_in(encoder, state, draw_stored(stored, worlds, block, kind=kind, seed=seed))


def draw_stored(stored: RowStore, worlds: Sequence[tuple[int, int]], block: int, *, kind: str, seed: int) -> Rows:
    """Draw one block of stored data per world, (world, time, …); see :func:`read_stored`."""
    local = stored.place[torch.tensor([task for task, _ in worlds])].numpy()
    counts, size = (stored.episode_counts, 1) if kind == "episodes" else (stored.counts, stored.time)
    streams = [stream(seed, "test", "offline", *world, block) for world in worlds]
    drawn = [uniform_ranks(rng, counts[i : i + 1], size)[0] for rng, i in zip(streams, local, strict=True)]
    ranks, owners = torch.from_numpy(np.stack(drawn)), torch.from_numpy(local)
    if kind == "episodes":
        return stored.whole(owners[:, None], ranks, ROW_FIELDS)
    return stored.gather(owners, ranks, ROW_FIELDS)


@torch.no_grad()
def take_in(encoder: ContextEncoder[State], state: State, rows: Rows) -> State:
    """Let the encoder filter rows (world, time, …), where they are rows, one after the other."""
    for t in range(rows.row.shape[1]):
        at = Rows(*(field[:, t] for field in rows))
        state = encoder.step(state, at, at.row >= 0)
    return state


@torch.no_grad()
def centroid(encoder: ContextEncoder[State], stored: RowStore, config: TestConfig) -> Tensor:
    """Return the mean belief of the stored tasks after a whole budget of their own data, (latent,)."""
    worlds = [(task, 0) for task in stored.tasks.tolist()]
    state = encoder.init(len(worlds))
    for block in range(max(config.budget // stored.spec.horizon, 1)):
        state = read_stored(encoder, state, stored, worlds, block, kind="episodes", seed=config.seed)
    return encoder.read(state).z.mean(dim=0)
