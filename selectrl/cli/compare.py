"""``selectrl compare``: methods against each other on the same data, with the same budget, seed by seed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

import selectrl
from selectrl.cli.comparing import Options
from selectrl.cli.comparison import show_result, shown
from selectrl.cli.options import Profile, Sets


def compare(
    file: Annotated[Path | None, Parameter(help="A gin file of yours, laid over every row.")] = None,
    /,
    *,
    env: Annotated[tuple[str, ...], Parameter(negative="", help="A shipped environment; may be given again.")],
    methods: Annotated[str, Parameter(help="Shipped methods, with commas: select,csro. The first is set against all.")],
    ablation: Annotated[
        tuple[str, ...],
        Parameter(
            negative="", show_default=False, help="Also the first method under this ablation; may be given again."
        ),
    ] = (),
    collector: Annotated[
        tuple[str, ...],
        Parameter(negative="", show_default=False, help="Also every policy under this collector; may be given again."),
    ] = (),
    tuned: Annotated[
        Path | None, Parameter(help="Folder that `selectrl tune` wrote to; its findings are laid over each method.")
    ] = None,
    profile: Profile = None,
    set_: Sets = (),
    options: Options = Options(),  # noqa: B008  frozen
) -> None:
    """Train methods on the same data, test them with the same budget, and say which is better.

    Prints plan, estimate and what the methods do not share, and then runs what is
    missing: give the same command again after an interruption. Ends with a report
    in OUT/report and one sentence a pair.
    """
    with shown(plan=not options.json) as show:
        comparison = selectrl.compare(
            [name.strip() for name in methods.split(",") if name.strip()],
            env,
            ablations=ablation,
            collectors=collector,
            tuned=tuned,
            profile=profile,
            file=file,
            settings=set_,
            preset=options.preset,
            progress=show,
            **options.how,
        )
    show_result(comparison, dry_run=options.dry_run, json=options.json)
