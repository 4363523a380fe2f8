"""Batches of training rows, each draw a pure function of (seed, phase, name, step)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import attrs
import numpy as np
import torch
from torch import Tensor

from selectrl.arrays import FloatArray, IntArray
from selectrl.data.rows import RowStore
from selectrl.errors import CompositionError, InputError, suggest
from selectrl.protocols import ROW_FIELDS, Draw, Noise, Phase
from selectrl.streams import stream
from selectrl.structs import Batch, Latent, Rows


def uniform_ranks(rng: np.random.Generator, counts: IntArray, size: int) -> IntArray:
    """Draw ranks i.i.d. uniformly with replacement below each task's count.

    Args:
        rng: the draw's stream.
        counts: valid rows (or episodes) of each task, (task,).
        size: ranks per task.

    Returns:
        (task, size) int64.
    """
    return (rng.random((len(counts), size)) * counts[:, None]).astype(np.int64)


def uniform_rows(rng: np.random.Generator, store: RowStore, local: IntArray, size: int, fields: Sequence[str]) -> Rows:
    """Draw independent rows of each task, (task, size, …)."""
    ranks = uniform_ranks(rng, store.counts[local], size)
    return store.gather(store.put(local), store.put(ranks), fields)


def whole_episodes(
    rng: np.random.Generator, store: RowStore, local: IntArray, size: int, fields: Sequence[str]
) -> Rows:
    """Draw whole episodes of each task, in sequence, (task, size * time, …)."""
    episodes = uniform_ranks(rng, store.episode_counts[local], size)
    owners = np.repeat(local[:, None], size, axis=1)  # a view that cannot be written to would make torch warn
    return store.whole(store.put(owners), store.put(episodes), fields)


def relabelled_episodes(
    rng: np.random.Generator, store: RowStore, local: IntArray, size: int, fields: Sequence[str]
) -> Rows:
    """Draw whole episodes of other tasks with the rewards of each task, (task, size * time, …)."""
    others = len(store.counts) - 1
    owners = (local[:, None] + 1 + (rng.random((len(local), size)) * max(others, 1)).astype(np.int64)) % (others + 1)
    episodes = (rng.random(owners.shape) * store.episode_counts[owners]).astype(np.int64)
    rows = store.whole(store.put(owners), store.put(episodes), ROW_FIELDS)
    return store.relabel(store.put(local), rows)


Kind = Callable[[np.random.Generator, RowStore, IntArray, int, Sequence[str]], Rows]

#: A function by kind of draw: (stream, store, local tasks (task,), size, fields) -> rows (task, batch, …).
DRAW_KINDS: dict[str, Kind] = {
    "rl": uniform_rows,
    "context": uniform_rows,
    "episodes": whole_episodes,
    "relabelled": relabelled_episodes,
}

#: Rows per task of a draw of each kind, given its size.
WIDTHS: dict[str, Callable[[int, RowStore], int]] = {
    "rl": lambda size, store: size,
    "context": lambda size, store: size,
    "episodes": lambda size, store: size * store.time,
    "relabelled": lambda size, store: size * store.time,
}

#: A function by law of noise: (stream, shape) -> float32.
LAWS: dict[str, Callable[[np.random.Generator, tuple[int, ...]], FloatArray]] = {
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
    """Draws the batches of one run, phase by phase: ``sampler.phase(phase).batch(step)``."""

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
        self._sizes, self.seed, self._hold = dict(sizes), seed, dict(hold or {})
        tasks = len(store.counts)
        if meta_batch < 1 or (not replacement and meta_batch > tasks):
            remedy = "choose a smaller one, or draw tasks with replacement"
            raise InputError(f"meta_batch: expected from 1 to the {tasks} training tasks, got {meta_batch}; {remedy}")
        for kind, size in self._sizes.items():
            if kind not in DRAW_KINDS:
                raise CompositionError(f"sizes name the unknown kind of draw {kind!r}; {suggest(kind, DRAW_KINDS)}")
            if size < 1:
                raise InputError(f"sizes: expected at least 1 row per task for {kind!r}, got {size}")

    def phase(self, phase: Phase) -> PhaseSampler:
        """Return the sampler of one phase, with the draws and noise that its encoding and objectives declare.

        Raises:
            CompositionError: unknown or contradictory draws or noise.
        """
        objectives = phase.objectives
        draws = merge_draws([*phase.draws, *(draw for objective in objectives for draw in objective.draws)])
        noise = merge_noise([*phase.noise, *(noise for objective in objectives for noise in objective.noise)])
        sized = [attrs.evolve(draw, size=self._size(draw)) for draw in draws.values()]
        axes = {"task": self._meta_batch} | {draw.name: WIDTHS[draw.kind](draw.size, self._store) for draw in sized}
        return PhaseSampler(
            store=self._store,
            seed=self.seed,
            name=phase.name,
            steps=phase.steps,
            meta_batch=self._meta_batch,
            replacement=self._replacement,
            hold=self._hold.get(phase.name, 1),
            draws=tuple(sized),
            noise=tuple((source.name, source.law, shape_of(source, axes)) for source in noise.values()),
        )

    def _size(self, draw: Draw) -> int:
        """Return the size of a draw: its own, or its kind's."""
        if draw.size:
            return draw.size
        if draw.kind not in self._sizes:
            raise CompositionError(
                f"draw {draw.name!r} is of the kind {draw.kind!r}, which has no size; {suggest(draw.kind, self._sizes)}"
            )
        return self._sizes[draw.kind]


@attrs.frozen(kw_only=True, eq=False)
class PhaseSampler:
    """Draws the batches of one phase; adding a draw or a noise changes no other.

    Attributes:
        store: the training tasks' rows.
        seed: the run's seed.
        name: name of the phase.
        steps: length of the phase.
        meta_batch: tasks per batch.
        replacement: whether a batch may hold a task twice.
        hold: steps for which a meta-batch keeps its tasks.
        draws: one per name, each with its size.
        noise: name, law and shape of each noise.
    """

    store: RowStore
    seed: int
    name: str
    steps: int
    meta_batch: int
    replacement: bool
    hold: int
    draws: tuple[Draw, ...]
    noise: tuple[tuple[str, str, tuple[int, ...]], ...]

    def batch(self, step: int) -> Batch:
        """Return the batch of a step, from 0 to steps - 1, with global task ids and a latent of width 0.

        Raises:
            InputError: the step lies outside the phase.
        """
        if not 0 <= step < self.steps:
            raise InputError(f"step: expected from 0 to {self.steps - 1} in the phase {self.name!r}, got {step}")
        store, tasks = self.store, self._tasks(step)
        local = store.put(tasks)
        empty = torch.zeros(self.meta_batch, 1, 0, device=store.device)
        return Batch(
            tasks=store.tasks[local],
            draws={draw.name: self._rows(draw, step, tasks) for draw in self.draws},
            noise={name: self._noise(name, law, shape, step) for name, law, shape in self.noise},
            progress=store.put(np.array(step / self.steps, np.float32)),
            latent=Latent(empty, empty, {}),
        )

    def _tasks(self, step: int) -> IntArray:
        """Return local indices of the meta-batch's tasks, (task,)."""
        first = step - step % self.hold  # the step at which these tasks were drawn
        rng, tasks = stream(self.seed, self.name, "task", first), len(self.store.counts)
        if self.replacement:
            return rng.integers(tasks, size=self.meta_batch)
        return rng.permutation(tasks)[: self.meta_batch]

    def _rows(self, draw: Draw, step: int, tasks: IntArray) -> Rows:
        rng = stream(self.seed, self.name, draw.name, step)
        return DRAW_KINDS[draw.kind](rng, self.store, tasks, draw.size, draw.fields)

    def _noise(self, name: str, law: str, shape: tuple[int, ...], step: int) -> Tensor:
        return self.store.put(LAWS[law](stream(self.seed, self.name, "noise", name, step), shape))


def shape_of(noise: Noise, axes: Mapping[str, int]) -> tuple[int, ...]:
    """Return the shape of a noise, given the sizes of the axes that it may name.

    Raises:
        CompositionError: it names a draw that the phase does not have.
    """
    for size in noise.shape:
        if isinstance(size, str) and size not in axes:
            got = f"noise {noise.name!r} is as wide as the draw {size!r}, which no loss of this step asks for"
            raise CompositionError(f"{got}; {suggest(size, axes)}")
    return tuple(axes[size] if isinstance(size, str) else size for size in noise.shape)
