"""A meta-test that is watched: pictures of some of its worlds, step by step."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs
import numpy as np

from selectrl.arrays import Array, DoubleArray
from selectrl.errors import InputError
from selectrl.evaluate.config import TestConfig
from selectrl.evaluate.harness import Moved
from selectrl.experiment.run import Run
from selectrl.experiment.torch_settings import torch_threads
from selectrl.protocols import CollectorConfig


@attrs.frozen(kw_only=True, eq=False)
class Shot:
    """One moment of all filmed tasks.

    Attributes:
        phase: ``explore``, or ``score`` for the episode after the whole budget.
        step: environment steps of context so far, or steps of the scored episode.
        pictures: (task, height, width, 3) uint8.
        gained: return so far, of the block or of the scored episode, (task,).
    """

    phase: str
    step: int
    pictures: Array
    gained: DoubleArray


@attrs.frozen(kw_only=True, eq=False)
class Reel:
    """The recorded steps of one run's meta-test.

    Attributes:
        name: the method and the seed.
        tasks: ids of the filmed tasks.
        parameters: parameters of the tasks, (task, parameter).
        budget: environment steps of context.
        fps: steps per second of simulated time.
        shots: in the order of time.
        returns: of the scored episodes after the whole budget, (task,), as the meta-test reports them.
    """

    name: str
    tasks: tuple[int, ...]
    parameters: Array
    budget: int
    fps: int
    shots: Sequence[Shot]
    returns: DoubleArray


def shoot(
    run: Run,
    collector: CollectorConfig,
    test: TestConfig,
    tasks: Sequence[int],
    *,
    every: int,
    progress: Callable[[int], None] = lambda steps: None,
    force: bool = False,
) -> Reel:
    """Meta-test a trained run on all unseen tasks, and keep pictures of the first repeat of some.

    The test is the very one that ``Run.evaluate`` makes: worlds do not depend on who watches.

    Args:
        run: the run.
        collector: how context is gathered.
        test: budget, repeats, prior and seed.
        tasks: ids of the tasks to film.
        every: keep each n-th step of the exploration; of a scored episode of more than 50 steps each 4th is kept.
        progress: called with the environment steps of context so far.
        force: use the weights also with other source code of a part than they were trained with.

    Raises:
        InputError: a task is not one of the unseen ones, the run is not trained, or the source code of a part has
            changed.
        RunError: the worlds cannot be drawn.
    """
    unseen = run.test_tasks
    trained_tasks = sorted(set(tasks) - set(unseen))
    if trained_tasks or not tasks:
        raise InputError(f"tasks to film are {trained_tasks or 'none'}; choose from the unseen ones, {list(unseen)}")
    places = [unseen.index(task) * test.repeats for task in tasks]
    pace = 4 if run.family.spec.horizon > 50 else 1
    shots: list[Shot] = []
    fps, scored = 10, 0

    def watch(moved: Moved) -> None:
        nonlocal fps, scored
        fps = int(moved.worlds.metadata["render_fps"])
        last = moved.phase == "score" and moved.context == test.budget
        scored += last
        step, due = (scored, scored % pace == 0) if last else (moved.context, moved.context % every == 0)
        if (moved.phase == "score" and not last) or not due:
            return
        drawn = [
            moved.worlds.picture(place) if moved.live[place] or not shots else shots[-1].pictures[i]
            for i, place in enumerate(places)
        ]
        shots.append(Shot(phase=moved.phase, step=step, pictures=np.stack(drawn), gained=moved.gained[places].copy()))
        if moved.phase == "explore":
            progress(moved.context)

    agent, _ = run.agent(force=force)
    with torch_threads(run.execution.threads):
        result = run.meta_test(agent, collector, test, watch)
    return Reel(
        name=f"{run.experiment.name}, seed {run.seed}",
        tasks=tuple(tasks),
        parameters=np.asarray(run.family.parameters)[list(tasks)],
        budget=test.budget,
        fps=fps,
        shots=shots,
        returns=result.returns[[unseen.index(task) for task in tasks], 0, -1],
    )
