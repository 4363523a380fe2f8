"""The episodes of one task, and the conditions that they must meet before they are stored or used."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Generic, NamedTuple, TypeVar

import numpy as np

from selectrl.arrays import Array, BoolArray

A = TypeVar("A")


class Episodes(NamedTuple, Generic[A]):
    """All episodes of one task; NumPy arrays when writing, memory-mapped tensors when reading.

    Everything after an episode's length is padding and zero.

    Attributes:
        obs: each state stored once, (episode, time + 1, obs) float32; the state after step t is ``obs[:, t + 1]``.
        action: (episode, time, action) float32 in [-1, 1].
        reward: (episode, time) float32.
        terminal: (episode, time) bool, true terminations only, never a time-out.
        length: steps of each episode, (episode,) int64 from 1 to time.
        label: step of the behaviour checkpoint that acted, (episode,) int64; 0 is the random warm-up.
    """

    obs: A
    action: A
    reward: A
    terminal: A
    length: A
    label: A


class LoggedEpisode(NamedTuple):
    """An episode as other formats hold it, without padding.

    Attributes:
        obs: (time + 1, obs) float32.
        action: (time, action) float32; as logged, until an import brings it into [-1, 1].
        reward: (time,) float32.
        terminal: whether it ended by a true termination and not by a time-out.
        label: step of the behaviour checkpoint that acted.
    """

    obs: Array
    action: Array
    reward: Array
    terminal: bool
    label: int


DTYPES = Episodes("float32", "float32", "float32", "bool", "int64", "int64")


def field_shapes(episodes: int, time: int, obs: int, action: int) -> Episodes[tuple[int, ...]]:
    """Return the shape of every field, given the sizes of the axes."""
    steps = (episodes, time)
    return Episodes((episodes, time + 1, obs), (*steps, action), steps, steps, (episodes,), (episodes,))


def stack(logged: Sequence[LoggedEpisode], time: int) -> Episodes[Array]:
    """Return episodes of at most ``time`` steps as one record, with zeros after the end of each episode."""
    obs, action = logged[0].obs.shape[1], logged[0].action.shape[1]
    sizes = field_shapes(len(logged), time, obs, action)
    stacked: Episodes[Array] = Episodes(*(np.zeros(shape, dtype) for shape, dtype in zip(sizes, DTYPES, strict=True)))
    for i, episode in enumerate(logged):
        steps = len(episode.reward)
        stacked.obs[i, : steps + 1], stacked.action[i, :steps], stacked.reward[i, :steps] = episode[:3]
        stacked.terminal[i, steps - 1] = episode.terminal
        stacked.length[i], stacked.label[i] = steps, episode.label
    return stacked


def layout_problem(episodes: Episodes[Array]) -> str | None:
    """Return a sentence on the first wrong dtype or shape, or ``None``."""
    for name, array, dtype in zip(Episodes._fields, episodes, DTYPES, strict=True):
        if not isinstance(array, np.ndarray):
            return f"{name}: expected a NumPy array of {dtype}, got {type(array).__name__}"
        if array.dtype != np.dtype(dtype):
            return f"{name}: expected dtype {dtype}, got {array.dtype}"
    if episodes.obs.ndim != 3 or episodes.action.ndim != 3 or 0 in episodes.action.shape or 0 in episodes.obs.shape:
        got = f"{episodes.obs.shape} and {episodes.action.shape}"
        expected_axes = "(episode, time + 1, obs) and (episode, time, action) without empty axes"
        return f"obs, action: expected {expected_axes}, got {got}"
    count, time, action = episodes.action.shape
    expected = field_shapes(count, time, episodes.obs.shape[2], action)
    for name, array, shape in zip(Episodes._fields, episodes, expected, strict=True):
        if array.shape != shape:
            return f"{name}: expected shape {shape} to agree with action {episodes.action.shape}, got {array.shape}"
    return None


def value_problems(episodes: Episodes[Array]) -> Iterator[str]:
    """Yield a sentence, with episode and step, for each field of well-shaped episodes that holds impossible values."""
    time = episodes.action.shape[1]
    for name in ("obs", "action", "reward"):
        array = getattr(episodes, name)
        yield from _first(f"{name} is {{}}, expected a finite number", array, ~np.isfinite(array))
    action = np.asarray(episodes.action, dtype=np.float32)
    yield from _first("action is {}, expected a value from -1 to 1", action, np.abs(action) > 1)
    length = np.asarray(episodes.length, dtype=np.int64)
    label = np.asarray(episodes.label, dtype=np.int64)
    bad_length = (length < 1) | (length > time)
    yield from _first(f"length is {{}}, expected 1 to {time}", length, bad_length)
    yield from _first("label is {}, expected a checkpoint step >= 0", label, label < 0)
    if bad_length.any():
        return
    step = np.arange(time)
    last = length[:, None] - 1
    early = np.asarray(episodes.terminal, dtype=np.bool_) & (step < last)
    yield from _first("terminal is {} before the episode's last step", episodes.terminal, early)
    for name in ("obs", "action", "reward", "terminal"):
        array = getattr(episodes, name)
        past = (np.arange(array.shape[1]) > last + (name == "obs")).reshape(array.shape[:2] + (1,) * (array.ndim - 2))
        yield from _first(f"{name} is {{}} after the episode's end, expected zero padding", array, past & (array != 0))


def _first(sentence: str, array: Array, bad: BoolArray) -> Iterator[str]:
    """Yield the sentence about the first bad entry, if there is episode."""
    if not bad.any():
        return
    position = np.unravel_index(int(bad.argmax()), bad.shape)
    axes = ", ".join(f"{axis} {index}" for axis, index in zip(("episode", "step", "component"), position, strict=False))
    count = int(np.count_nonzero(bad))
    more = f" ({count - 1} more like it)" if count > 1 else ""
    yield f"{axes}: {sentence.format(array[position])}{more}"
