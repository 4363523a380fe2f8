"""Worlds of one family in lockstep: the episode counters and checks that all families share."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.error import InvalidAction, ResetNeeded
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from selectrl.arrays import Array
from selectrl.errors import InputError, RunError
from selectrl.registry import FAMILIES

Seeds: TypeAlias = "int | Sequence[int | None] | None"


class Worlds(VectorEnv[Array, Array, Array], ABC):
    """A vector environment without automatic resets.

    An episode terminates or is truncated after ``horizon`` steps, which only this class counts. An ended world has to
    be reset before the next step, by itself or with others::

        obs, info = worlds.reset(seed=0)
        obs, reward, terminated, truncated, info = worlds.step(action)
        obs, info = worlds.reset(options={"reset_mask": terminated | truncated})

    A family defines how its worlds start, move and are observed, in three methods that treat all worlds together.

    Args:
        worlds: number of worlds.
        horizon: the time limit of an episode, in steps.
        obs_space: the space of a world's observation.
        action: width of an action; actions live in the box [-1, 1] and are clipped to it.
        render_mode: ``"rgb_array"`` or None.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012, the name and type are Gymnasium's
        "autoreset_mode": AutoresetMode.DISABLED,
        "render_modes": ["rgb_array"],
        "render_fps": 10,
    }

    def __init__(
        self, worlds: int, horizon: int, obs_space: spaces.Box, action: int, render_mode: str | None = None
    ) -> None:
        self.num_envs, self.horizon, self.render_mode = worlds, horizon, render_mode
        self.single_observation_space = obs_space
        self.single_action_space = spaces.Box(-1.0, 1.0, (action,), np.float32)
        self.observation_space = batch_space(obs_space, worlds)
        self.action_space = batch_space(self.single_action_space, worlds)
        self.elapsed = np.zeros(worlds, np.int64)  # steps since the world's reset
        self.ended = np.ones(worlds, np.bool_)  # a world that was never reset counts as ended

    def reset(self, *, seed: Seeds = None, options: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
        """Start new episodes in all worlds, or in the worlds of ``options["reset_mask"]``.

        Args:
            seed: None, a seed per world, or an int s for the seeds s, s + 1, …
            options: ``reset_mask``, if given, is a bool array (world,).

        Returns:
            The observations of all worlds (world, obs), and an empty info.

        Raises:
            ValueError: the seeds or the mask do not match the number of worlds.
        """
        seeds = [seed + world for world in range(self.num_envs)] if isinstance(seed, int) else seed
        if seeds is not None and len(seeds) != self.num_envs:
            raise ValueError(f"expected one seed per world ({self.num_envs}), got {len(seeds)}")
        super().reset(seed=seeds[0] if seeds else None)
        mask = np.asarray((options or {}).get("reset_mask", np.ones(self.num_envs, np.bool_)))
        if mask.shape != (self.num_envs,) or mask.dtype != np.bool_:
            raise ValueError(f"expected a bool reset_mask of shape ({self.num_envs},), got {mask.dtype} {mask.shape}")
        self._start(mask, seeds or [None] * self.num_envs)
        self.elapsed[mask], self.ended[mask] = 0, False
        return self._observe(), {}

    def step(self, actions: Array) -> tuple[Array, Array, Array, Array, dict[str, Any]]:
        """Move every world by one step.

        Args:
            actions: (world, action), clipped to [-1, 1].

        Returns:
            Observations (world, obs) float32, rewards (world,) float64, terminations and truncations (world,) bool, and
            an empty info.

        Raises:
            ResetNeeded: a world has ended and was not reset.
            InvalidAction: the actions have another shape, or contain NaN.
        """
        if self.ended.any():
            raise ResetNeeded(f"worlds {np.flatnonzero(self.ended).tolist()} have ended: reset them before stepping")
        actions = np.asarray(actions, np.float64)
        if actions.shape != self.action_space.shape or np.isnan(actions).any():
            raise InvalidAction(f"expected actions of shape {self.action_space.shape} without NaN, got {actions.shape}")
        reward, terminated = self._advance(actions.clip(-1.0, 1.0))
        self.elapsed += 1
        truncated = self.elapsed >= self.horizon
        self.ended = terminated | truncated
        return self._observe(), reward, terminated, truncated, {}

    def picture(self, world: int) -> Array:
        """Return a picture of a world's present state, (256, 256, 3) uint8.

        Raises:
            RunError: these worlds do not draw pictures, or OpenGL is not available.
        """
        raise RunError(f"{type(self).__name__} draws no pictures of world {world}; override picture")

    def render(self) -> tuple[Array, ...]:
        """Return one picture per world."""
        return tuple(self.picture(world) for world in range(self.num_envs))

    @abstractmethod
    def _start(self, mask: Array, seeds: Sequence[int | None]) -> None:
        """Put the worlds of the mask at the start of an episode.

        With a seed, the start of a world depends only on this seed, not on earlier episodes or other worlds. With None
        the world continues its own random numbers, which start from fresh entropy if it never had a seed.
        """

    @abstractmethod
    def _advance(self, actions: Array) -> tuple[Array, Array]:
        """Move all worlds; return rewards float64 and terminations bool without time limits, both (world,)."""

    @abstractmethod
    def _observe(self) -> Array:
        """Return a new array of observations, (world, obs) float32."""


class SingleWorld(gymnasium.Env[Array, Array]):
    """A single world as an ordinary Gymnasium environment; families subclass it for their id and their tables.

    It does not have its own time limit. ``gymnasium.make`` adds the registered limit or ``max_episode_steps``, and
    records it in ``env.spec``.

    Args:
        config: the class of the family's config.
        task: the task id.
        render_mode: ``"rgb_array"`` or None.
        settings: fields of the config except ``horizon``, which is refused.

    Raises:
        InputError: the task is out of range, or a horizon was given.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012, Gymnasium's name

    def __init__(
        self, config: Callable[..., Any], task: int = 0, render_mode: str | None = None, **settings: Any
    ) -> None:
        refuse_horizon(settings)
        family: Any = FAMILIES.build(config(**settings))
        self.worlds: Worlds = family.worlds([task], render_mode)
        self.worlds.horizon = sys.maxsize
        self.render_mode = render_mode
        self.metadata = {**self.metadata, "render_fps": self.worlds.metadata["render_fps"]}
        self.observation_space = self.worlds.single_observation_space
        self.action_space = self.worlds.single_action_space

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
        """Start a new episode."""
        super().reset(seed=seed)
        obs, info = self.worlds.reset(seed=seed)
        return obs[0], info

    def step(self, action: Array) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        """Move by one step."""
        obs, reward, terminated, truncated, info = self.worlds.step(np.asarray(action)[None])
        return obs[0], float(reward[0]), bool(terminated[0]), bool(truncated[0]), info

    def render(self) -> Any:
        """Return a picture, or None without a render mode."""
        pictures = self.worlds.render() if self.render_mode else None
        return pictures[0] if pictures else None

    def close(self) -> None:
        """Close the worlds, with the camera of their pictures."""
        self.worlds.close()


def validate_tasks(tasks: Sequence[int], count: int) -> list[int]:
    """Return the task ids as a list.

    Raises:
        InputError: a task id is out of range, or tasks is empty.
    """
    outside = [task for task in tasks if not 0 <= task < count]
    if len(tasks) == 0 or outside:
        raise InputError(f"expected task ids from 0 to {count - 1}, got {outside or 'none'}")
    return list(tasks)


def refuse_horizon(settings: Mapping[str, Any]) -> None:
    """Refuse a family's horizon, so that a Gymnasium environment has one time limit, which its spec records.

    Raises:
        InputError: the settings contain ``horizon``.
    """
    if "horizon" in settings:
        raise InputError(
            f"horizon: expected Gymnasium's name of the time limit, got horizon={settings['horizon']}; "
            f"give max_episode_steps={settings['horizon']} instead"
        )


def vector_entry_point(config: Callable[..., Any]) -> Callable[..., Any]:
    """Return the entry point of ``gymnasium.make_vec`` for the family of a config.

    It takes the number of worlds, ``task`` (an id for all worlds, or one per world), ``render_mode``,
    ``max_episode_steps`` (Gymnasium passes the registered limit) and the config's fields except ``horizon``. It raises
    :class:`InputError` unless there are as many tasks as worlds.
    """

    def make_worlds(
        num_envs: int = 1,
        task: int | Sequence[int] = 0,
        render_mode: str | None = None,
        max_episode_steps: int | None = None,
        **settings: Any,
    ) -> Any:
        tasks = [task] * num_envs if isinstance(task, int) else list(task)
        if len(tasks) != num_envs:
            raise InputError(f"expected one task or one per world ({num_envs}), got {len(tasks)}")
        refuse_horizon(settings)
        limit = {} if max_episode_steps is None else {"horizon": max_episode_steps}
        family: Any = FAMILIES.build(config(**limit, **settings))
        return family.worlds(tasks, render_mode)

    return make_worlds
