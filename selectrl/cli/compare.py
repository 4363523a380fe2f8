"""``selectrl compare``: compare methods on the same data, with the same budget, seed by seed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

import selectrl
from selectrl.cli.comparing import Options
from selectrl.cli.comparison import print_messages, show_result
from selectrl.cli.options import Profile, Sets


def compare(
    file: Annotated[Path | None, Parameter(help="Your gin file, applied over every row.")] = None,
    /,
    *,
    env: Annotated[tuple[str, ...], Parameter(negative="", help="A shipped environment; may be repeated.")],
    methods: Annotated[
        str, Parameter(help="Shipped methods, with commas: select,csro. The first is compared with all.")
    ],
    ablation: Annotated[
        tuple[str, ...],
        Parameter(negative="", show_default=False, help="Also the first method with this ablation; may be repeated."),
    ] = (),
    collector: Annotated[
        tuple[str, ...],
        Parameter(negative="", show_default=False, help="Also every policy with this collector; may be repeated."),
    ] = (),
    tuned: Annotated[
        Path | None, Parameter(help="Folder of `selectrl tune`; its best bindings are applied to each method.")
    ] = None,
    profile: Profile = None,
    set_: Sets = (),
    options: Options = Options(),  # noqa: B008  frozen
) -> None:
    """Train methods on the same data, test them with the same budget, and compare the results.

    Prints the plan, the estimated time and the settings in which the methods
    differ, and then executes the missing runs: give the same command again after an
    interruption. Ends with a report in OUT/report and one sentence per pair.
    """
    with print_messages(plan=not options.json) as show:
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
