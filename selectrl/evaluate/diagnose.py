"""Diagnostics of an encoder on stored context: the places of tasks in latent space, and the donor swap.

An encoder should tell tasks apart by rewards and transitions, not by the behaviour in their data. The donor swap
measures that: the encoder reads states and actions of another task with the rewards of the true task for them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from selectrl.arrays import FloatArray
from selectrl.data.rows import RowStore
from selectrl.evaluate.config import TestConfig
from selectrl.evaluate.stored import draw_stored, take_in
from selectrl.protocols import ContextEncoder, State

DRAWS = 3  # contexts per task


@torch.no_grad()
def offline_latents(encoder: ContextEncoder[State], stored: RowStore, config: TestConfig, draws: int) -> FloatArray:
    """Return the mean of the belief after a budget of stored episodes, float32 (task, draw, latent).

    Args:
        encoder: the filter.
        stored: data of the tasks.
        config: budget and seed; draw n is the offline collector's context of repeat n.
        draws: contexts per task.
    """
    tasks = stored.tasks.tolist()
    z = _beliefs(encoder, stored, config, [(task, draw) for task in tasks for draw in range(draws)])
    latents: FloatArray = z.reshape(len(tasks), draws, -1).float().numpy()
    return latents


@torch.no_grad()
def donor_swap(encoder: ContextEncoder[State], stored: RowStore, config: TestConfig, draws: int) -> dict[str, Any]:
    r"""Say for each pair of tasks how far the belief follows the donor of states and actions.

    With :math:`z_{ij}` the belief from task j's states and actions and task i's rewards for them,

    .. math:: \text{follow}_{ij} = \frac{\sum_d \langle z_{ij} - z_{ii}, z_{jj} - z_{ii} \rangle}
        {\sum_d \lVert z_{jj} - z_{ii} \rVert^2}

    over draws d. 0: the true rewards decide; 1: the donor's states and actions do.

    Args:
        encoder: the filter.
        stored: data of the tasks; it must tell rewards (``reward_of``).
        config: budget and seed.
        draws: contexts per task.

    Returns:
        ``pairs`` with the ids ``task`` and ``donor`` and ``follow`` (null where the two contexts give one belief), and
        the mean ``follow``; an empty list and null of fewer than two tasks.
    """
    tasks = stored.tasks.tolist()
    pairs = [(task, donor) for task in tasks for donor in tasks if task != donor]
    own = torch.from_numpy(offline_latents(encoder, stored, config, draws)).double()
    swaps, places = [], {task: place for place, task in enumerate(tasks)}
    if pairs:
        worlds = [(donor, draw) for _, donor in pairs for draw in range(draws)]
        truth = torch.tensor([places[task] for task, _ in pairs for _ in range(draws)])
        swapped = _beliefs(encoder, stored, config, worlds, truth).double().reshape(len(pairs), draws, -1)
    for (task, donor), z in zip(pairs, swapped if pairs else (), strict=True):
        apart = own[places[donor]] - own[places[task]]
        size, along = float(apart.square().sum()), float(((z - own[places[task]]) * apart).sum())
        swaps.append({"task": task, "donor": donor, "follow": along / size if size > 0 else None})
    follows = [swap["follow"] for swap in swaps if swap["follow"] is not None]
    return {"pairs": swaps, "follow": float(np.mean(follows)) if follows else None}


def _beliefs(
    encoder: ContextEncoder[State],
    stored: RowStore,
    config: TestConfig,
    worlds: list[tuple[int, int]],
    truth: Tensor | None = None,
) -> Tensor:
    """Return beliefs (world, latent) from stored episodes, with the rewards of the local tasks (world,) if given."""
    state = encoder.init(len(worlds))
    for block in range(max(config.budget // stored.spec.horizon, 1)):
        rows = draw_stored(stored, worlds, block, kind="episodes", seed=config.seed)
        state = take_in(encoder, state, rows if truth is None else stored.relabel(truth, rows))
    return encoder.read(state).z
