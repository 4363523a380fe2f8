"""``selectrl render``: a film of exploration and adaptation on unseen tasks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from selectrl.api.meta_tests import Asked, plan_tests
from selectrl.cli.options import COUNT, STEPS, Data, Force, Json, Sets, Threads
from selectrl.cli.screen import bars, emit, line
from selectrl.errors import InputError
from selectrl.launch.local import require_cores

FRAMES = 60  # of the exploration, unless --every says otherwise


def render(
    *runs: Annotated[Path, Parameter(help="Run directories, side by side in the film.")],
    out: Annotated[Path, Parameter(help="The film, a .gif or .mp4 file.")] = Path("film.gif"),
    tasks: Annotated[
        str | None, Parameter(help="Unseen tasks to film, as 2,18,34; default: first, middle and last.")
    ] = None,
    collector: Annotated[str | None, Parameter(help="A registered collector; default: each run's own.")] = None,
    budget: Annotated[
        int | None, STEPS, Parameter(help="Environment steps of context; default: the run's own.")
    ] = None,
    every: Annotated[
        int | None, COUNT, Parameter(help="Film each n-th step of the exploration; default: 60 frames in all.")
    ] = None,
    fps: Annotated[int | None, COUNT, Parameter(help="Frames per second; default: 10 on Point-Robot, else 20.")] = None,
    set_: Sets = (),
    force: Force = False,
    threads: Threads = None,
    data: Data = Path("data"),
    json: Json = False,
) -> None:
    """Film trained runs on unseen tasks: how they explore, then one episode under what they learned of the task.

    The film shows the first repeat of the meta-test that `selectrl evaluate` makes
    with the same options: same starts, same noise, same returns.
    """
    require_cores(threads)
    if not runs:
        raise InputError("no run given; for example `selectrl render runs/point_robot/select-1a2b3c4d/seed0`")
    from selectrl.film.edit import SUFFIXES, write
    from selectrl.film.shoot import shoot

    if out.suffix not in SUFFIXES:
        raise InputError(f"--out {out}: expected a name that ends in {' or '.join(SUFFIXES)}")
    asked = Asked(collector=collector, budget=budget, settings=set_)
    plans = plan_tests(runs, asked, threads=threads, data=data, force=force)
    first = plans[0].run
    for run, *_ in plans:
        if run.experiment.env != first.experiment.env:
            raise InputError(f"{run.folder} is a run of another environment than {first.folder}; film them apart")
    unseen = first.test_tasks
    chosen = numbers(tasks) if tasks is not None else sorted({unseen[0], unseen[len(unseen) // 2], unseen[-1]})
    reels = []
    with bars() as shown:
        for run, _, how, test in plans:
            pace = every or max(1, test.budget // FRAMES)

            def show(context: int, name: str = str(run.folder), total: int = test.budget) -> None:
                shown.update(name, context, total, tell=context == total)

            reels.append(shoot(run, how, test, chosen, every=pace, progress=show, force=force))
    write(reels, out, fps=fps)
    films = [
        {"run": str(run.folder), "returns": reel.returns.tolist()} for (run, *_), reel in zip(plans, reels, strict=True)
    ]
    if json:
        emit({"film": str(out), "tasks": chosen, "frames": len(reels[0].shots), "runs": films})
        return
    for reel in reels:
        said = ", ".join(f"task {task} {value:.2f}" for task, value in zip(chosen, reel.returns, strict=True))
        line(f"{reel.name}: {said}")
    line(f"Open {out}")


def numbers(text: str) -> list[int]:
    """Return the task ids of a list like 2,18,34.

    Raises:
        InputError: it is no such list.
    """
    try:
        return [int(word) for word in text.split(",")]
    except ValueError as error:
        raise InputError(f"--tasks {text}: expected task ids like 2,18,34") from error
