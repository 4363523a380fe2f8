"""``selectrl evaluate``: meta-test trained runs again, with another collector, budget or prior."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

import selectrl
from selectrl.api.meta_tests import TestProgress
from selectrl.cli.options import REPEATS, STEPS, Data, Force, Json, Sets, Threads, check_plain_name
from selectrl.cli.screen import draw_bars, emit, line, table


def evaluate(
    *runs: Annotated[Path, Parameter(help="Run directories, or folders above them.")],
    collector: Annotated[str | None, Parameter(help="A registered collector; default: that of the run.")] = None,
    ablation: Annotated[
        str | None, Parameter(help="A shipped ablation of the collection, see `selectrl list`.")
    ] = None,
    protocol: Annotated[
        str | None, Parameter(help="Either equal_budget, or paper: the collector's published schedule, 2 repeats.")
    ] = None,
    budget: Annotated[
        int | None, STEPS, Parameter(help="Environment steps of context per task and repeat; default: that of the run.")
    ] = None,
    repeats: Annotated[int | None, REPEATS, Parameter(help="Repeats per task; default: that of the run.")] = None,
    diagnose: Annotated[
        bool, Parameter(negative="", show_default=False, help="Also write the encoder's latents of stored context.")
    ] = False,
    set_: Sets = (),
    label: Annotated[
        str | None,
        Parameter(validator=check_plain_name, help="Name of the result; default: built from the changed settings."),
    ] = None,
    force: Force = False,
    threads: Threads = None,
    data: Data = Path("data"),
    json: Json = False,
) -> None:
    """Meta-test trained runs on unseen tasks; results are in RUN/evaluations/.

    `--set collectors.proximal.sigma=0.5` changes the collector, `--set
    test.prior=centroid` changes the test.
    """
    with draw_bars() as bars:

        def show(tested: TestProgress) -> None:
            bars.update("evaluate", tested.done, tested.total, str(tested.folder), tell=tested.record is not None)

        evaluations = selectrl.evaluate(
            *runs,
            collector=collector,
            ablation=ablation,
            protocol=protocol,
            budget=budget,
            repeats=repeats,
            settings=set_,
            label=label,
            diagnose=diagnose,
            force=force,
            threads=threads,
            data=data,
            progress=show,
        )
    if json:
        emit({"evaluations": [{"run": str(run), **record.to_json()} for run, record in evaluations.items()]})
        return
    for run, record in evaluations.items():
        low, high = record.interval
        returns = f"{record.final_return:.2f} [{low:.2f}, {high:.2f}]"
        line(f"{run}  {record.label}: {returns} after {record.budget} steps")
        steps, curve = record.context_steps, record.curve
        picks = sorted({0, 1, 2, 4, len(steps) // 2, len(steps) - 1} & set(range(len(steps))))
        for quirk in record.quirks or ():
            line(f"  {quirk}")
        table("", ["context steps", *(str(steps[i]) for i in picks)], [["return", *(f"{curve[i]:.2f}" for i in picks)]])
