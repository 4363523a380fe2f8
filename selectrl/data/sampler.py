"""Batches of training rows, each draw a pure function of (seed, phase, name, step)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from selectrl.data.rows import RowStore
from selectrl.errors import CompositionError, InputError, suggest
from selectrl.protocols import ROW_FIELDS, Draw, Noise
from selectrl.streams import stream
from selectrl.structs import Batch, Latent, Rows


def uniform_ranks(rng: np.random.Generator, counts: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Draw ranks i.i.d. uniformly with replacement below each task's count.

    Args:
        rng: the draw's stream.
        counts: valid rows (or episodes) of each task, (task,).
        size: ranks per task.

    Returns:
        (task, size) int64.
    """
    return (rng.random((len(counts), size)) * counts[:, None]).astype(np.int64)


def uniform_rows(
    rng: np.random.Generator, store: RowStore, local: NDArray[np.int64], size: int, fields: Sequence[str]
) -> Rows:
    """Draw independent rows of each task, (task, size, …)."""
    ranks = uniform_ranks(rng, store.counts[local], size)
    return store.gather(store.put(local), store.put(ranks), fields)


def whole_episodes(
    rng: np.random.Generator, store: RowStore, local: NDArray[np.int64], size: int, fields: Sequence[str]
) -> Rows:
    """Draw whole episodes of each task, in sequence, (task, size * time, …)."""
    episodes = uniform_ranks(rng, store.episode_counts[local], size)
    owners = np.repeat(local[:, None], size, axis=1)  # a view that cannot be written to would make torch warn
    return store.whole(store.put(owners), store.put(episodes), fields)


def relabelled_episodes(
    rng: np.random.Generator, store: RowStore, local: NDArray[np.int64], size: int, fields: Sequence[str]
) -> Rows:
    """Draw whole episodes of other tasks with the rewards of each task, (task, size * time, …)."""
    others = len(store.counts) - 1
    owners = (local[:, None] + 1 + (rng.random((len(local), size)) * max(others, 1)).astype(np.int64)) % (others + 1)
    episodes = (rng.random(owners.shape) * store.episode_counts[owners]).astype(np.int64)
    rows = store.whole(store.put(owners), store.put(episodes), ROW_FIELDS)
    return store.relabel(store.put(local), rows)


Kind = Callable[[np.random.Generator, RowStore, NDArray[np.int64], int, Sequence[str]], Rows]

#: A function by kind of draw: (stream, store, local tasks (task,), size, fields) -> rows (task, batch, …).
DRAW_KINDS: dict[str, Kind] = {
    "rl": uniform_rows,
    "context": uniform_rows,
    "episodes": whole_episodes,
    "relabelled": relabelled_episodes,
}

#: A function by law of noise: (stream, shape) -> float32.
LAWS: dict[str, Callable[[np.random.Generator, tuple[int, ...]], NDArray[np.float32]]] = {
    "normal": lambda rng, shape: rng.standard_normal(shape, dtype=np.float32),
    "uniform": lambda rng, shape: rng.random(shape, dtype=np.float32),
}


def merge_draws(draws: Sequence[Draw]) -> dict[str, Draw]:
    """Return one draw per name, with the union of the fields that the draws of that name ask for.

    Raises:
        CompositionError: two draws of one name differ in kind or size, a kind or field is unknown, or a draw is named
            ``task``.
    """
    merged: dict[str, Draw] = {}
    for draw in draws:
        earlier = merged.get(draw.name)
        if draw.kind not in DRAW_KINDS:
            raise CompositionError(
                f"draw {draw.name!r} has the unknown kind {draw.kind!r}; {suggest(draw.kind, DRAW_KINDS)}"
            )
        if not set(draw.fields) <= set(ROW_FIELDS):
            wrong = min(set(draw.fields) - set(ROW_FIELDS))
            raise CompositionError(
                f"draw {draw.name!r} asks for the unknown field {wrong!r}; {suggest(wrong, ROW_FIELDS)}"
            )
        if draw.name == "task":
            raise CompositionError("a draw is named 'task', which is the name of the task axis; choose another name")
        if earlier is not None and (earlier.kind, earlier.size) != (draw.kind, draw.size):
            got = f"{earlier.kind!r} of size {earlier.size} and {draw.kind!r} of size {draw.size}"
            raise CompositionError(f"two parts ask for the draw {draw.name!r} differently, {got}; rename one of them")
        fields = set(draw.fields) | set(earlier.fields if earlier else ())
        merged[draw.name] = Draw(draw.name, draw.kind, tuple(f for f in ROW_FIELDS if f in fields), draw.size)
    return merged


def merge_noise(noise: Sequence[Noise]) -> dict[str, Noise]:
    """Return one noise per name.

    Raises:
        CompositionError: two of one name differ in law or shape, or a law is unknown.
    """
    merged: dict[str, Noise] = {}
    for spec in noise:
        if spec.law not in LAWS:
            raise CompositionError(f"noise {spec.name!r} has the unknown law {spec.law!r}; {suggest(spec.law, LAWS)}")
        if merged.setdefault(spec.name, spec) != spec:
            got = f"{merged[spec.name].law} {merged[spec.name].shape} and {spec.law} {spec.shape}"
            raise CompositionError(f"two parts ask for the noise {spec.name!r} differently, {got}; rename one of them")
    return merged


class Sampler:
    """Draws the batches of one run."""

    def __init__(
        self,
        store: RowStore,
        *,
        meta_batch: int,
        replacement: bool,
        sizes: Mapping[str, int],
        seed: int,
        hold: Mapping[str, int] | None = None,
    ) -> None:
        """Draw from ``store``.

        Args:
            store: the training tasks' rows.
            meta_batch: tasks per batch, drawn uniformly.
            replacement: whether a batch may hold a task twice.
            sizes: rows per task by draw kind.
            seed: the run's seed.
            hold: steps for which a meta-batch keeps its tasks, by phase; 1 in the others.

        Raises:
            InputError: the meta-batch is larger than the number of tasks without replacement, or a size is below 1.
            CompositionError: sizes name an unknown kind of draw.
        """
        self._store, self._meta_batch, self._replacement = store, meta_batch, replacement
        self._sizes, self._seed, self._hold = dict(sizes), seed, dict(hold or {})
        tasks = len(store.counts)
        if meta_batch < 1 or (not replacement and meta_batch > tasks):
            remedy = "choose a smaller one, or draw tasks with replacement"
            raise InputError(f"meta_batch: expected from 1 to the {tasks} training tasks, got {meta_batch}; {remedy}")
        for kind, size in self._sizes.items():
            if kind not in DRAW_KINDS:
                raise CompositionError(f"sizes name the unknown kind of draw {kind!r}; {suggest(kind, DRAW_KINDS)}")
            if size < 1:
                raise InputError(f"sizes: expected at least 1 row per task for {kind!r}, got {size}")

    def batch(self, phase: str, steps: int, draws: Sequence[Draw], noise: Sequence[Noise], step: int) -> Batch:
        """Return the batch of one step; adding a draw or a noise changes no other.

        Args:
            phase: name of the phase.
            steps: length of the phase.
            draws: rows that the step's losses read; those of one name are one draw.
            noise: noise that the step's losses read.
            step: from 0 to steps - 1.

        Returns:
            The batch, with global task ids and a latent of width 0.

        Raises:
            CompositionError: unknown or contradictory draws or noise.
            InputError: the step lies outside the phase.
        """
        if not 0 <= step < steps:
            raise InputError(f"step: expected from 0 to {steps - 1} in the phase {phase!r}, got {step}")
        store, merged = self._store, merge_draws(draws)
        tasks = self._draw_tasks(phase, step)
        local = store.put(tasks)
        rows = {draw.name: self._rows(draw, phase, step, tasks) for draw in merged.values()}
        axes = {"task": self._meta_batch} | {name: row.row.shape[1] for name, row in rows.items()}
        empty = torch.zeros(self._meta_batch, 1, 0, device=store.device)
        return Batch(
            tasks=store.tasks[local],
            draws=rows,
            noise={spec.name: self._noise(spec, phase, step, axes) for spec in merge_noise(noise).values()},
            progress=store.put(np.array(step / steps, np.float32)),
            latent=Latent(empty, empty, {}),
        )

    def _draw_tasks(self, phase: str, step: int) -> NDArray[np.int64]:
        """Return local indices of the meta-batch's tasks, (task,)."""
        first = step - step % self._hold.get(phase, 1)  # the step at which these tasks were drawn
        rng, tasks = stream(self._seed, phase, "task", first), len(self._store.counts)
        return (
            rng.integers(tasks, size=self._meta_batch)
            if self._replacement
            else rng.permutation(tasks)[: self._meta_batch]
        )

    def _rows(self, draw: Draw, phase: str, step: int, tasks: NDArray[np.int64]) -> Rows:
        rng = stream(self._seed, phase, draw.name, step)
        return DRAW_KINDS[draw.kind](rng, self._store, tasks, self._size(draw), draw.fields)

    def _noise(self, noise: Noise, phase: str, step: int, axes: Mapping[str, int]) -> Tensor:
        for size in noise.shape:
            if isinstance(size, str) and size not in axes:
                got = f"noise {noise.name!r} is as wide as the draw {size!r}, which no loss of this step asks for"
                raise CompositionError(f"{got}; {suggest(size, axes)}")
        shape = tuple(axes[size] if isinstance(size, str) else size for size in noise.shape)
        return self._store.put(LAWS[noise.law](stream(self._seed, phase, "noise", noise.name, step), shape))

    def _size(self, draw: Draw) -> int:
        """Return the size of a draw: its own, or its kind's."""
        if draw.size:
            return draw.size
        if draw.kind not in self._sizes:
            raise CompositionError(
                f"draw {draw.name!r} is of the kind {draw.kind!r}, which has no size; {suggest(draw.kind, self._sizes)}"
            )
        return self._sizes[draw.kind]
