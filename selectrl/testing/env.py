"""Conformance of task families."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import gymnasium
import numpy as np
from gymnasium.utils.env_checker import check_env as check_gymnasium

from selectrl.arrays import Array
from selectrl.protocols import FamilyConfig, TaskFamily
from selectrl.registry import FAMILIES
from selectrl.streams import stream
from selectrl.testing.losses import check_record
from selectrl.testing.scene import part_name
from selectrl.testing.verdicts import demand, guard

STEPS = 20
SEEDS = (11, 12, 13)


def check_env(config: FamilyConfig) -> None:
    """Check that a task family conforms to its protocol.

    - training and test tasks exist and are disjoint, and each task has its own finite parameters;
    - worlds give finite observations and rewards with the widths of ``spec``, are truncated after its horizon, and are
      reproducible from equal seeds and actions;
    - a world's episodes do not depend on other worlds, and a reset by mask changes only the masked worlds;
    - ``reward``, if any, equals the rewards of ``step``;
    - ``reference_returns`` of the test tasks, if any, have an optimum above random actions and a margin above 0, and
      ``arena``, if any, has a goal and a place for each task;
    - Gymnasium's own ``check_env`` passes on ``env_id``, if it is registered;
    - a registered config equals the config read from its JSON record.

    Args:
        config: the family's config.

    Raises:
        ConformanceError: the message names the fault, the expected value and the remedy.
    """
    part = part_name(config)
    check_record(config, part)
    with guard(part, "building it", "register its class, which takes the config"):
        family = FAMILIES.build(config)
    check_tasks(part, family)
    tasks = [*family.train_tasks[:2], family.test_tasks[0]]
    rollout = check_rollout(part, family, tasks)
    check_independence(part, family, tasks, rollout)
    check_mask(part, family, tasks)
    check_horizon(part, family, tasks[0])
    check_reward(part, family, tasks, rollout)
    check_report_data(part, family)
    if family.env_id in gymnasium.registry:
        with guard(part, f"Gymnasium's check_env of {family.env_id}", "see its message"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            check_gymnasium(gymnasium.make(family.env_id).unwrapped, skip_render_check=True)


def check_tasks(part: str, family: TaskFamily) -> None:
    """Check the split and the parameters."""
    both = set(family.train_tasks) & set(family.test_tasks)
    demand(not both, part, f"tasks {sorted(both)} are training and test tasks", "disjoint sets", "split them")
    is_valid = bool(family.train_tasks) and bool(family.test_tasks)
    demand(is_valid, part, "there are no training or no test tasks", "one or more of each", "split them")
    parameters = np.asarray(family.parameters)
    every = set(family.train_tasks) | set(family.test_tasks)
    is_valid = parameters.ndim == 2 and every <= set(range(len(parameters))) and bool(np.isfinite(parameters).all())
    expected = "finite values (task, parameter), one row per task"
    demand(
        is_valid,
        part,
        f"parameters of shape {parameters.shape} for {len(every)} tasks",
        expected,
        "one row per task id",
    )


def check_report_data(part: str, family: TaskFamily) -> None:
    """Check the family's data for a report: reference returns, and the plane of its pictures of paths."""
    with guard(part, "reading reference_returns and arena", "return None if there is nothing to return"):
        returns, arena = family.reference_returns(family.test_tasks), family.arena
    if returns is not None:
        is_valid = bool(np.isfinite(returns).all()) and returns.optimum > returns.random and returns.margin > 0
        demand(
            is_valid,
            part,
            f"reference_returns are {returns}",
            "finite numbers, the optimum above random, a margin above 0",
            "correct them",
        )
    if arena is not None:
        tasks = len(family.parameters)
        shapes = [np.shape(values) for values in (arena.goals, arena.places, arena.start, arena.inner, arena.outer)]
        expected = [(tasks, 2), (tasks,), (2,), (2, 2), (2, 2)]
        names = "arena's goals, places, start, inner and outer"
        demand(shapes == expected, part, f"{names} have shapes {shapes}", f"{expected}", "one goal and place per task")
        inside = max(arena.coordinates) < family.spec.obs
        demand(inside, part, f"arena.coordinates are {arena.coordinates}", "places in an observation", "correct them")


class Rollout:
    """A record of worlds under fixed actions: obs (step + 1, world, obs), action, reward, alive before each step."""

    def __init__(self, family: TaskFamily, tasks: Sequence[int], places: Sequence[int]) -> None:
        """Step the worlds at some places of the batch, with the seeds and actions of these places."""
        worlds = family.worlds(list(tasks))
        rng, steps = stream(0, "actions"), min(STEPS, family.spec.horizon)
        self.action = rng.uniform(-1, 1, (steps, len(SEEDS), family.spec.action)).astype(np.float32)[:, list(places)]
        first, _ = worlds.reset(seed=[SEEDS[place] for place in places])
        obs, reward, alive = [np.array(first)], [], [np.ones(len(tasks), np.bool_)]
        self.first = obs[0]
        for action in self.action:
            next_obs, rewards, terminated, truncated, _ = worlds.step(action)
            obs.append(np.array(next_obs))
            reward.append(np.array(rewards))
            ended = np.asarray(terminated) | np.asarray(truncated)
            alive.append(alive[-1] & ~ended)
            if ended.any():
                worlds.reset(seed=[SEEDS[place] for place in places], options={"reset_mask": ended})
        worlds.close()
        self.obs, self.reward, self.alive = np.stack(obs), np.stack(reward), np.stack(alive)

    def mask_ended(self) -> tuple[Array, Array]:
        """Return observations and rewards with zeros after a world's end."""
        alive = np.concatenate((self.alive[:1], self.alive[:-1]))[..., None]
        return np.where(alive, self.obs, 0), np.where(self.alive[:-1], self.reward, 0)


def check_rollout(part: str, family: TaskFamily, tasks: Sequence[int]) -> Rollout:
    """Check shapes, dtypes and reproducibility of worlds, and return their rollout."""
    with guard(part, "stepping its worlds", "worlds(tasks) returns a gymnasium.vector.VectorEnv"):
        rollout, again = (Rollout(family, tasks, range(len(tasks))) for _ in range(2))
    width = (len(tasks), family.spec.obs)
    got = f"observations are {rollout.first.shape} {rollout.first.dtype}"
    is_valid = rollout.first.shape == width and rollout.first.dtype == np.float32
    demand(is_valid, part, got, f"float32 of shape {width}, (world, spec.obs)", "make Spec and worlds agree")
    got = f"rewards are {rollout.reward.shape[1:]} {rollout.reward.dtype}"
    is_valid = rollout.reward.shape[1:] == (len(tasks),) and rollout.reward.dtype.kind == "f"
    demand(is_valid, part, got, f"floats of shape ({len(tasks)},), (world,)", "one reward per world")
    finite = bool(np.isfinite(rollout.obs).all() and np.isfinite(rollout.reward).all())
    demand(finite, part, "an observation or reward is NaN or infinite", "finite values", "check its dynamics")
    same = all(np.array_equal(a, b) for a, b in zip(rollout.mask_ended(), again.mask_ended(), strict=True))
    remedy = "draw starts only from the seeds"
    demand(same, part, "equal seeds and actions gave two different episodes", "seeds that reproduce", remedy)
    return rollout


def check_independence(part: str, family: TaskFamily, tasks: Sequence[int], rollout: Rollout) -> None:
    """Check that a world has the same episode by itself as with other worlds."""
    for place, task in enumerate(tasks):
        own = Rollout(family, [task], [place]).mask_ended()
        same = all(
            np.allclose(a[:, 0], b[:, place], rtol=1e-5, atol=1e-5)
            for a, b in zip(own, rollout.mask_ended(), strict=True)
        )
        got = f"an episode of task {task} depends on the other worlds"
        demand(same, part, got, "independent worlds, to 1e-5", "share no state between worlds")


def check_mask(part: str, family: TaskFamily, tasks: Sequence[int]) -> None:
    """Check that a reset by mask restarts the masked worlds and does not change the others."""
    worlds = family.worlds(list(tasks))
    seeds = list(SEEDS[: len(tasks)])
    start = np.array(worlds.reset(seed=seeds)[0])
    before = np.array(worlds.step(np.full((len(tasks), family.spec.action), 0.5, np.float32))[0])
    mask = np.array([place == 1 for place in range(len(tasks))])
    with guard(part, "reset with options={'reset_mask': …}", "reset only the worlds of the mask"):
        after = np.array(worlds.reset(seed=seeds, options={"reset_mask": mask})[0])
    worlds.close()
    kept = np.array_equal(after[~mask], before[~mask])
    demand(kept, part, "a reset by mask moved a world outside the mask", "no change", "reset only the masked worlds")
    is_restarted = np.allclose(after[mask], start[mask], rtol=1e-5, atol=1e-5)
    demand(
        is_restarted,
        part,
        "a reset by mask did not restart the masked world",
        "its seed's start",
        "use the world's seed",
    )


def check_horizon(part: str, family: TaskFamily, task: int) -> None:
    """Check that a world that does not terminate is truncated after exactly ``spec.horizon`` steps."""
    worlds = family.worlds([task])
    worlds.reset(seed=[SEEDS[0]])
    still = np.zeros((1, family.spec.action), np.float32)
    for step in range(1, family.spec.horizon + 1):
        _, _, terminated, truncated, _ = worlds.step(still)
        if terminated[0]:
            break
        is_valid = bool(truncated[0]) == (step == family.spec.horizon)
        got = f"a world is {'' if truncated[0] else 'not '}truncated after {step} steps"
        demand(
            is_valid,
            part,
            got,
            f"truncation after spec.horizon = {family.spec.horizon} steps",
            "use the same horizon in spec and worlds",
        )
    worlds.close()


def check_reward(part: str, family: TaskFamily, tasks: Sequence[int], rollout: Rollout) -> None:
    """Check that the reward function equals the rewards of ``step``."""
    if family.reward is None:
        return
    parameters = np.asarray(family.parameters)[list(tasks)]
    with guard(part, "reward(parameters, obs, action, next_obs)", "use only operators"):
        computed = np.stack(
            [
                family.reward(parameters, *step)
                for step in zip(rollout.obs[:-1], rollout.action, rollout.obs[1:], strict=True)
            ]
        )
    live = rollout.alive[:-1]
    difference = float(np.abs(np.where(live, computed - rollout.reward, 0)).max())
    remedy = "compute the reward of step by this function, or set reward to None"
    demand(
        difference < 1e-4,
        part,
        f"reward() differs from the rewards of step by {difference:.2g}",
        "equal rewards, to 1e-4",
        remedy,
    )
