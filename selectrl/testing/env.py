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
    """Check that a task family keeps its protocol.

    - test tasks are not training tasks, both exist, and each task has finite parameters of its own;
    - worlds give finite observations and rewards of the widths that ``spec`` says, time out after its horizon, and
      repeat themselves for equal seeds and actions;
    - worlds stepped together are those stepped alone, and a reset by mask touches the masked worlds alone;
    - ``reward``, if there is one, gives the rewards that were stepped;
    - ``reference_returns`` of the test tasks, if there are any, put the optimum above random actions and have a
      margin above 0, and ``arena``, if
      there is one, has a goal and a place for each task;
    - Gymnasium's own ``check_env`` passes on ``env_id``, if it is registered;
    - a registered config comes back equal from its JSON record.

    Args:
        config: the family's config.

    Raises:
        ConformanceError: the sentence names the fault, what was expected and the remedy.
    """
    part = part_name(config)
    check_record(config, part)
    with guard(part, "building it", "register its class, which takes the config"):
        family = FAMILIES.build(config)
    check_tasks(part, family)
    tasks = [*family.train_tasks[:2], family.test_tasks[0]]
    path = check_rollout(part, family, tasks)
    check_independence(part, family, tasks, path)
    check_mask(part, family, tasks)
    check_horizon(part, family, tasks[0])
    check_reward(part, family, tasks, path)
    check_report_data(part, family)
    if family.env_id in gymnasium.registry:
        with guard(part, f"Gymnasium's check_env of {family.env_id}", "see its sentence"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            check_gymnasium(gymnasium.make(family.env_id).unwrapped, skip_render_check=True)


def check_tasks(part: str, family: TaskFamily) -> None:
    """Check the split and the parameters."""
    both = set(family.train_tasks) & set(family.test_tasks)
    demand(not both, part, f"tasks {sorted(both)} are training and test tasks", "disjoint sets", "split them")
    good = bool(family.train_tasks) and bool(family.test_tasks)
    demand(good, part, "there are no training or no test tasks", "one or more of each", "split them")
    parameters = np.asarray(family.parameters)
    every = set(family.train_tasks) | set(family.test_tasks)
    good = parameters.ndim == 2 and every <= set(range(len(parameters))) and bool(np.isfinite(parameters).all())
    expected = "finite values (task, parameter), one row per task"
    demand(
        good, part, f"parameters of shape {parameters.shape} for {len(every)} tasks", expected, "one row per task id"
    )


def check_report_data(part: str, family: TaskFamily) -> None:
    """Check what the family offers to a report: reference returns, and the plane of its pictures of paths."""
    with guard(part, "asking for reference_returns and arena", "return None where there is nothing to offer"):
        returns, arena = family.reference_returns(family.test_tasks), family.arena
    if returns is not None:
        good = bool(np.isfinite(returns).all()) and returns.optimum > returns.random and returns.margin > 0
        demand(
            good,
            part,
            f"reference_returns are {returns}",
            "finite ones, the optimum above random, a margin above 0",
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


class Path:
    """What worlds showed under fixed actions: obs (step + 1, world, obs), action, reward, alive before each step."""

    def __init__(self, family: TaskFamily, tasks: Sequence[int], places: Sequence[int]) -> None:
        """Step worlds from their seeds; those of other places in the batch are left out, and noise stays theirs."""
        worlds = family.worlds(list(tasks))
        rng, steps = stream(0, "actions"), min(STEPS, family.spec.horizon)
        self.action = rng.uniform(-1, 1, (steps, len(SEEDS), family.spec.action)).astype(np.float32)[:, list(places)]
        first, _ = worlds.reset(seed=[SEEDS[place] for place in places])
        obs, reward, alive = [np.array(first)], [], [np.ones(len(tasks), np.bool_)]
        self.first = obs[0]
        for action in self.action:
            seen, gained, terminated, truncated, _ = worlds.step(action)
            obs.append(np.array(seen))
            reward.append(np.array(gained))
            ended = np.asarray(terminated) | np.asarray(truncated)
            alive.append(alive[-1] & ~ended)
            if ended.any():
                worlds.reset(seed=[SEEDS[place] for place in places], options={"reset_mask": ended})
        worlds.close()
        self.obs, self.reward, self.alive = np.stack(obs), np.stack(reward), np.stack(alive)

    def shown(self) -> tuple[Array, Array]:
        """Return observations and rewards with zeros after a world's end."""
        after = np.concatenate((self.alive[:1], self.alive[:-1]))[..., None]
        return np.where(after, self.obs, 0), np.where(self.alive[:-1], self.reward, 0)


def check_rollout(part: str, family: TaskFamily, tasks: Sequence[int]) -> Path:
    """Check shapes, dtypes and repetition of stepped worlds, and return what they showed."""
    with guard(part, "stepping its worlds", "worlds(tasks) returns a gymnasium.vector.VectorEnv"):
        path, again = (Path(family, tasks, range(len(tasks))) for _ in range(2))
    width = (len(tasks), family.spec.obs)
    got = f"observations are {path.first.shape} {path.first.dtype}"
    good = path.first.shape == width and path.first.dtype == np.float32
    demand(good, part, got, f"float32 of shape {width}, (world, spec.obs)", "make Spec and worlds agree")
    got = f"rewards are {path.reward.shape[1:]} {path.reward.dtype}"
    good = path.reward.shape[1:] == (len(tasks),) and path.reward.dtype.kind == "f"
    demand(good, part, got, f"floats of shape ({len(tasks)},), (world,)", "one reward per world")
    finite = bool(np.isfinite(path.obs).all() and np.isfinite(path.reward).all())
    demand(finite, part, "an observation or reward is NaN or infinite", "finite values", "look at its dynamics")
    same = all(np.array_equal(a, b) for a, b in zip(path.shown(), again.shown(), strict=True))
    remedy = "draw starts from the seeds alone"
    demand(same, part, "equal seeds and actions gave two different episodes", "seeds that reproduce", remedy)
    return path


def check_independence(part: str, family: TaskFamily, tasks: Sequence[int], path: Path) -> None:
    """Check that each world does alone what it did among the others."""
    for place, task in enumerate(tasks):
        own = Path(family, [task], [place]).shown()
        same = all(
            np.allclose(a[:, 0], b[:, place], rtol=1e-5, atol=1e-5) for a, b in zip(own, path.shown(), strict=True)
        )
        got = f"task {task} goes another way alone than beside other worlds"
        demand(same, part, got, "independent worlds, to 1e-5", "share no state between worlds")


def check_mask(part: str, family: TaskFamily, tasks: Sequence[int]) -> None:
    """Check that a reset by mask starts the masked worlds anew and leaves the others where they are."""
    worlds = family.worlds(list(tasks))
    seeds = list(SEEDS[: len(tasks)])
    start = np.array(worlds.reset(seed=seeds)[0])
    before = np.array(worlds.step(np.full((len(tasks), family.spec.action), 0.5, np.float32))[0])
    mask = np.array([place == 1 for place in range(len(tasks))])
    with guard(part, "reset with options={'reset_mask': …}", "reset the worlds of the mask alone"):
        after = np.array(worlds.reset(seed=seeds, options={"reset_mask": mask})[0])
    worlds.close()
    kept = np.array_equal(after[~mask], before[~mask])
    demand(kept, part, "a reset by mask moved a world outside the mask", "it kept", "reset the masked worlds alone")
    anew = np.allclose(after[mask], start[mask], rtol=1e-5, atol=1e-5)
    demand(
        anew, part, "a reset by mask did not start the masked world anew", "its seed's start", "use the world's seed"
    )


def check_horizon(part: str, family: TaskFamily, task: int) -> None:
    """Check that a world that does not end by itself times out after exactly ``spec.horizon`` steps."""
    worlds = family.worlds([task])
    worlds.reset(seed=[SEEDS[0]])
    still = np.zeros((1, family.spec.action), np.float32)
    for step in range(1, family.spec.horizon + 1):
        _, _, terminated, truncated, _ = worlds.step(still)
        if terminated[0]:
            break
        good = bool(truncated[0]) == (step == family.spec.horizon)
        got = f"a world is {'' if truncated[0] else 'not '}truncated after {step} steps"
        demand(good, part, got, f"a time-out after spec.horizon = {family.spec.horizon}", "make both agree")
    worlds.close()


def check_reward(part: str, family: TaskFamily, tasks: Sequence[int], path: Path) -> None:
    """Check that the reward function gives the rewards that were stepped."""
    if family.reward is None:
        return
    parameters = np.asarray(family.parameters)[list(tasks)]
    with guard(part, "reward(parameters, obs, action, next_obs)", "use operators alone"):
        told = np.stack(
            [family.reward(parameters, *step) for step in zip(path.obs[:-1], path.action, path.obs[1:], strict=True)]
        )
    live = path.alive[:-1]
    off = float(np.abs(np.where(live, told - path.reward, 0)).max())
    remedy = "compute the stepped reward by this function, or let reward be None"
    demand(off < 1e-4, part, f"reward() is off the stepped rewards by {off:.2g}", "equal rewards, to 1e-4", remedy)
