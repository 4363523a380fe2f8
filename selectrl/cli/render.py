"""``selectrl render``: a film of exploration and adaptation on unseen tasks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from selectrl.api.meta_tests import RequestedTest, plan_tests
from selectrl.cli.options import COUNT, STEPS, Data, Force, Json, Sets, Threads
from selectrl.cli.screen import draw_bars, emit, line
from selectrl.errors import InputError
from selectrl.launch.local import require_cores

FRAMES = 60  # of the exploration, without --every


def render(
    *runs: Annotated[Path, Parameter(help="Run directories, each a column of the film.")],
    out: Annotated[Path, Parameter(help="The film, a .gif or .mp4 file.")] = Path("film.gif"),
    tasks: Annotated[
        str | None, Parameter(help="Unseen tasks to film, such as 2,18,34; default: first, middle and last.")
    ] = None,
    collector: Annotated[str | None, Parameter(help="A registered collector; default: that of each run.")] = None,
    budget: Annotated[
        int | None, STEPS, Parameter(help="Environment steps of context; default: that of the run.")
    ] = None,
    every: Annotated[
        int | None, COUNT, Parameter(help="Film each n-th step of the exploration; default: about 60 frames.")
    ] = None,
    fps: Annotated[int | None, COUNT, Parameter(help="Frames per second; default: 10 on Point-Robot, else 20.")] = None,
    set_: Sets = (),
    force: Force = False,
    threads: Threads = None,
    data: Data = Path("data"),
    json: Json = False,
) -> None:
    """Film trained runs on unseen tasks: the exploration, then one episode with the adapted policy.

    The film shows the first repeat of the meta-test that `selectrl evaluate` runs
    with the same options: same starts, same noise, same returns.
    """
    require_cores(threads)
    if not runs:
        raise InputError("no run given; for example `selectrl render runs/point_robot/select-1a2b3c4d/seed0`")
    from selectrl.film.edit import SUFFIXES, write
    from selectrl.film.shoot import shoot

    if out.suffix not in SUFFIXES:
        raise InputError(f"--out {out}: expected a name that ends in {' or '.join(SUFFIXES)}")
    asked = RequestedTest(collector=collector, budget=budget, settings=set_)
    plans = plan_tests(runs, asked, threads=threads, data=data, force=force)
    first = plans[0].run
    for run, *_ in plans:
        if run.experiment.env != first.experiment.env:
            raise InputError(f"{run.folder} and {first.folder} have different environments; film them separately")
    unseen = first.test_tasks
    task_ids = parse_tasks(tasks) if tasks is not None else sorted({unseen[0], unseen[len(unseen) // 2], unseen[-1]})
    reels = []
    with draw_bars() as bars:
        for run, _, how, test in plans:
            pace = every or max(1, test.budget // FRAMES)

            def show(context: int, name: str = str(run.folder), total: int = test.budget) -> None:
                bars.update(name, context, total, tell=context == total)

            reels.append(shoot(run, how, test, task_ids, every=pace, progress=show, force=force))
    write(reels, out, fps=fps)
    films = [
        {"run": str(run.folder), "returns": reel.returns.tolist()} for (run, *_), reel in zip(plans, reels, strict=True)
    ]
    if json:
        emit({"film": str(out), "tasks": task_ids, "frames": len(reels[0].shots), "runs": films})
        return
    for reel in reels:
        returns = ", ".join(f"task {task} {value:.2f}" for task, value in zip(task_ids, reel.returns, strict=True))
        line(f"{reel.name}: {returns}")
    line(f"Open {out}")


def parse_tasks(text: str) -> list[int]:
    """Return the task ids of a text such as 2,18,34.

    Raises:
        InputError: the text is not such a list.
    """
    try:
        return [int(word) for word in text.split(",")]
    except ValueError as error:
        raise InputError(f"--tasks {text}: expected task ids such as 2,18,34") from error
