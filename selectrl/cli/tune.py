"""``selectrl tune``: search a method's main bindings on training tasks that are held out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

import selectrl
from selectrl.cli.options import COUNT, Data, Json, Profile, Sets, Threads
from selectrl.cli.screen import draw_bars, emit, line
from selectrl.launch.job import Event


def tune(
    space: Annotated[
        Path | None, Parameter(help="A gin file that binds tune.knobs; default: that of the method.")
    ] = None,
    /,
    *,
    method: Annotated[str, Parameter(help="A shipped method, see `selectrl list`.")],
    env: Annotated[str, Parameter(help="A shipped environment, see `selectrl list`.")],
    trials: Annotated[int, COUNT, Parameter(help="Number of trials; give every method the same number.")] = 20,
    profile: Profile = None,
    set_: Sets = (),
    threads: Threads = None,
    data: Data = Path("data"),
    out: Annotated[Path, Parameter(help="Folder of the searches.")] = Path("tuned"),
    json: Json = False,
) -> None:
    """Search a method's main bindings; the test tasks are never used.

    Every fourth training task is held out for testing. The first trial has the
    method's own bindings. Give the same command again to continue. `selectrl
    compare --tuned tuned` applies the best bindings to each method.
    """
    with draw_bars() as bars:

        def show(trial: int, event: Event) -> None:
            if event.kind != "record":
                return
            record, total = event.value, event.job.experiment.train.steps
            if record["kind"] == "test" or record["phase"] == "rl":
                note = f"return {record['return']:.2f}" if record["kind"] == "test" else ""
                bars.update(f"trial {trial}", record["step"], total, note, tell=record["step"] == total and bool(note))

        best = selectrl.tune(
            method,
            env,
            trials=trials,
            space=space,
            profile=profile,
            settings=set_,
            threads=threads,
            data=data,
            out=out,
            progress=show,
        )
    if json:
        emit({"file": str(best.file), **best.tuning.record()})
        return
    line(best.summary)
    line(best.text.strip() or "The method's own bindings are the best.")
    line(f"Written to {best.file}. Next: selectrl compare --tuned {out} ...")
