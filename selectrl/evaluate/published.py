"""Meta-test by a published schedule: each world plays its own, all of them in one batch.

Worlds whose episodes end at different times go different ways, so nothing here moves in lockstep: at each step of the
batch every world is in some episode of its own schedule, and where one ends, that schedule says what comes next.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic

import attrs
import numpy as np
import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from selectrl.arrays import Array, BoolArray, FloatArray
from selectrl.data.rows import RowStore
from selectrl.errors import InputError
from selectrl.evaluate.config import TestConfig
from selectrl.evaluate.harness import TestResult, chosen, refuse_infinite, step
from selectrl.evaluate.noise import CommonNoise
from selectrl.evaluate.schedules import Episode, Event, Published, Read, Schedule, Sizes
from selectrl.evaluate.stored import draw_stored, take_in
from selectrl.protocols import ContextCollector, ContextEncoder, Policy, State, TaskFamily
from selectrl.structs import Belief, Moment, Rows


@attrs.define(eq=False)
class World:
    """The place of one world in its schedule.

    Attributes:
        noise: its noise and starts.
        schedule: its schedule.
        episode: the episode it is in; None when the schedule has ended.
        number: how many episodes began before this one.
        drawn: noise of this episode: each step's normal and uniform, then one held action and one latent.
        elapsed: steps of this episode.
        stored: blocks of stored data read.
        taken: rows in them; an episode that ended early has fewer than a horizon.
        collected: steps in the context, those of stored data not counted.
        read: steps of context that the belief has read.
        evaluated: steps of scored episodes that are not context.
        gain: return of this episode so far.
        path: observations of this episode.
        returns: of the scored episodes.
        context: steps collected or taken from stored data before each scored episode.
        believed: those of them that the belief had read.
        latents: belief's mean before each scored episode.
        scored: observations of each scored episode, (time + 1, obs).
        explored: observations of each collecting episode.
    """

    noise: CommonNoise
    schedule: Schedule
    episode: Episode | None = None
    number: int = -1
    drawn: tuple[Tensor, ...] = ()
    elapsed: int = 0
    stored: int = 0
    taken: int = 0
    collected: int = 0
    read: int = 0
    evaluated: int = 0
    gain: float = 0.0
    path: list[FloatArray] = attrs.field(factory=list)
    returns: list[float] = attrs.field(factory=list)
    context: list[int] = attrs.field(factory=list)
    believed: list[int] = attrs.field(factory=list)
    latents: list[FloatArray] = attrs.field(factory=list)
    scored: list[FloatArray] = attrs.field(factory=list)
    explored: list[FloatArray] = attrs.field(factory=list)

    def end(self, episode: Episode) -> int:
        """Take stock of the episode that has ended, and leave it; return its steps."""
        self.episode = None
        path = np.stack(self.path)
        if episode.collects:
            self.collected += self.elapsed
            self.explored.append(path)
        else:
            self.evaluated += self.elapsed
        if episode.scored:
            self.returns.append(self.gain)
            self.scored.append(path)
        return self.elapsed


class PublishedTest(Generic[State]):
    """One trained encoder and policy with one collector on a set of tasks, by the collector's published schedule.

    Args:
        encoder: filters the context.
        policy: acts.
        family: the task family.
        collector: how context is gathered.
        config: budget, gate, repeats, prior and seed.
        tasks: ids of the tasks.
        protocol: the schedule and its quirks.
        stored: the tasks' stored data, which only an offline collector needs.
        threads: that simulate the worlds.

    Raises:
        InputError: the budget is empty.
    """

    def __init__(
        self,
        encoder: ContextEncoder[State],
        policy: Policy,
        family: TaskFamily,
        collector: ContextCollector,
        config: TestConfig,
        *,
        tasks: Sequence[int],
        protocol: Published,
        stored: RowStore | None = None,
        threads: int = 1,
    ) -> None:
        if config.budget == 0:
            raise InputError("test.budget: expected at least 1 step for a published schedule, got 0; give its budget")
        self.encoder, self.policy = encoder, policy
        self.family, self.collector, self.config = family, collector, config
        self.tasks, self.stored, self.protocol = tuple(tasks), stored, protocol
        self.ids = [(task, repeat) for task in self.tasks for repeat in range(config.repeats)]
        self.env = family.worlds([task for task, _ in self.ids], threads=threads)

    @torch.no_grad()
    def run(self, prior: Tensor | None = None) -> TestResult:
        """Play every world's schedule to its end.

        Args:
            prior: z before any context, (latent,); ``None`` is the encoder's own.

        Raises:
            RunError: a return is not finite.
        """
        config = self.config
        sizes = Sizes(config.budget, self.family.spec.horizon, config.gate)
        self.worlds = [World(CommonNoise(config.seed, [at]), self.protocol.schedule(sizes)) for at in self.ids]
        self.state = self.encoder.init(len(self.ids))
        self.belief = self.encoder.read(self.state)
        if prior is not None:
            self.belief = self.belief._replace(z=prior.expand_as(self.belief.z).clone())
        self.z = self.belief.z.clone()
        for number, world in enumerate(self.worlds):
            self._begin(number, next(world.schedule))
        obs = self._start(np.ones(len(self.ids), np.bool_))
        while any(world.episode for world in self.worlds):
            rows, obs, done = step(self.env, obs, self._act(obs))
            self._take(rows, obs)
            if done.any():
                for number in np.flatnonzero(done).tolist():
                    self._next(number)
                obs = self._start(done)
        return self._result()

    def _next(self, number: int) -> None:
        """End a world's episode, and continue its schedule."""
        world = self.worlds[number]
        if world.episode is None:
            return
        try:
            self._begin(number, world.schedule.send(world.end(world.episode)))
        except StopIteration:
            return

    def _begin(self, number: int, event: Event) -> None:
        """Handle the events that take no steps, up to the next episode."""
        world, only = self.worlds[number], torch.arange(len(self.ids)) == number
        while not isinstance(event, Episode):
            if isinstance(event, Read):
                self._read(only)
                world.read = world.collected + world.taken
            else:
                world.taken += self._read_stored(number, world.stored)
                world.stored += 1
            event = world.schedule.send(0)
        spec = self.family.spec
        world.episode, world.number, world.elapsed, world.gain = event, world.number + 1, 0, 0.0
        noise, name = world.noise, f"published {world.number}"
        world.drawn = (
            noise.normal(f"{name} normal", spec.horizon, spec.action)[0],
            noise.uniform(f"{name} uniform", spec.horizon, spec.action)[0],
            noise.normal(f"{name} held", spec.action)[0],
            noise.normal(f"{name} latent", self.encoder.latent_dim)[0],
        )
        self._latent(number)
        if event.scored:
            world.context.append(world.collected + world.stored * spec.horizon)
            world.believed.append(world.read)
            world.latents.append(self.belief.z[number].numpy().copy())

    def _latent(self, number: int) -> None:
        """Let the collector choose the z that a world's episode acts under; a scored one alone acts under the mean."""
        world, at = self.worlds[number], slice(number, number + 1)
        own = Belief(*(field[at] for field in self.belief))
        collects = world.episode is not None and world.episode.collects
        self.z[at] = self.collector.latent(own, world.drawn[3][None]) if collects else own.z

    def _start(self, mask: BoolArray) -> FloatArray:
        """Start new episodes where the mask says; return all worlds' observations."""
        seeds = [world.noise.seeds("published", world.number)[0] for world in self.worlds]
        obs: FloatArray = self.env.reset(seed=seeds, options={"reset_mask": mask})[0]
        for number in np.flatnonzero(mask).tolist():
            self.worlds[number].path = [obs[number].copy()]
        return obs

    def _act(self, obs: FloatArray) -> Tensor:
        """Return every world's action; collecting worlds act in groups that are equally far."""
        seen, policy = torch.from_numpy(obs), self.policy
        action: Tensor = policy.mode(seen, self.z).clone()
        groups: dict[int, list[int]] = {}
        for number, world in enumerate(self.worlds):
            if world.episode and world.episode.collects:
                groups.setdefault(world.episode.start + world.elapsed, []).append(number)
        for spent, group in groups.items():
            worlds = [self.worlds[number] for number in group]
            normal, uniform = (torch.stack([world.drawn[i][world.elapsed] for world in worlds]) for i in (0, 1))
            held = torch.stack([world.drawn[2] for world in worlds])
            moment = Moment(normal, held, uniform, self.belief.spread[group], min(spent / self.config.budget, 1.0))
            action[group] = self.collector.act(policy, seen[group], self.z[group], moment)
        return action

    def _take(self, rows: Rows, obs: FloatArray) -> None:
        """Count the step, and put the transitions of collecting worlds into their context."""
        collecting = torch.tensor([bool(world.episode and world.episode.collects) for world in self.worlds])
        for number, world in enumerate(self.worlds):
            if world.episode:
                world.elapsed += 1
                world.gain += float(rows.reward[number])
                world.path.append(obs[number].copy())
        self.state = self.encoder.step(self.state, rows, collecting)
        if self.collector.updates(0.0, block_end=False):
            self._read(collecting)
            for number in torch.nonzero(collecting)[:, 0].tolist():
                self.worlds[number].read = self.worlds[number].collected + self.worlds[number].elapsed
                self._latent(number)

    def _read(self, where: Tensor) -> None:
        """Read the belief in some worlds, (world,)."""
        self.belief = chosen(where, self.encoder.read(self.state), self.belief)

    def _read_stored(self, number: int, block: int) -> int:
        """Take in one block of stored data in one world; return its rows."""
        if self.stored is None:
            raise InputError("offline context needs the stored data of the test tasks; give the dataset")
        kind, seed = self.collector.offline, self.config.seed
        own = tree_map(lambda field: field[number : number + 1], self.state)
        rows = draw_stored(self.stored, [self.ids[number]], block, kind=kind, seed=seed)
        after = take_in(self.encoder, own, rows)
        self.state = tree_map(
            lambda new, every: torch.cat((every[:number], new, every[number + 1 :])), after, self.state
        )
        return int((rows.row >= 0).sum())

    def _result(self) -> TestResult:
        """Collect the results of the worlds; one whose schedule ended earlier than others' keeps its last episode."""
        worlds, shape = self.worlds, (len(self.tasks), self.config.repeats)
        points = max(len(world.returns) for world in worlds)
        last = [[min(point, len(world.returns) - 1) for point in range(points)] for world in worlds]

        def grid(name: str) -> Array:
            return np.stack([np.stack([getattr(w, name)[i] for i in at]) for w, at in zip(worlds, last, strict=True)])

        returns = grid("returns").astype(np.float64).reshape(*shape, points)
        refuse_infinite(returns, self.tasks)
        first, horizon = worlds[:: self.config.repeats], self.family.spec.horizon
        return TestResult(
            tasks=self.tasks,
            context_steps=tuple(int(steps) for steps in np.ceil(grid("context").mean(0))),
            returns=returns,
            explored=padded([world.explored for world in first], horizon),
            scored=padded([[w.scored[i] for i in at] for w, at in zip(first, last[:: shape[1]], strict=True)], horizon),
            latents=grid("latents").reshape(*shape, points, -1),
            env_steps={
                "collection": round(np.mean([world.collected for world in worlds])),
                "scored": round(np.mean([world.evaluated for world in worlds])),
            },
            about={
                "quirks": list(self.protocol.quirks),
                "gate": self.config.gate,
                "scored_episodes": np.reshape([len(world.returns) for world in worlds], shape).tolist(),
                "context_of_last": np.reshape([world.believed[-1] for world in worlds], shape).tolist(),
                "return_all_episodes": float(np.mean([np.mean(world.returns) for world in worlds])),
            },
        )


def padded(paths: Sequence[Sequence[FloatArray]], horizon: int) -> FloatArray:
    """Return paths (time + 1, obs) as one array, (task, episode, time + 1, obs), NaN where nothing is."""
    most = max(len(episodes) for episodes in paths)
    if most == 0:
        return np.zeros((len(paths), 0, 0, 0), np.float32)
    width = next(path.shape[1] for episodes in paths for path in episodes)
    filled = np.full((len(paths), most, horizon + 1, width), np.nan, np.float32)
    for task, episodes in enumerate(paths):
        for episode, path in enumerate(episodes):
            filled[task, episode, : len(path)] = path
    return filled
