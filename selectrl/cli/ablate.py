"""``selectrl ablate``: compare variations of one method, in every combination."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

import selectrl
from selectrl.cli.comparing import Options
from selectrl.cli.comparison import print_messages, show_result
from selectrl.cli.options import Profile, Sets


def ablate(
    grid: Annotated[
        Path | None, Parameter(help='A gin file that binds grid.vary = ("NAME=a,b", ...), in addition to --vary.')
    ] = None,
    /,
    *,
    method: Annotated[str, Parameter(help="A shipped method, see `selectrl list`.")],
    env: Annotated[tuple[str, ...], Parameter(negative="", help="A shipped environment; may be repeated.")],
    vary: Annotated[
        tuple[str, ...],
        Parameter(
            negative="",
            show_default=False,
            help="Variations NAME=a,b: parts, ablations, gin files or values; may be repeated.",
        ),
    ] = (),
    profile: Profile = None,
    set_: Sets = (),
    options: Options = Options(),  # noqa: B008  frozen
) -> None:
    """Train a method with each combination of variations, and compare the results.

    NAME is encoder, critic, actor or collector, with registered parts as values; or
    a binding such as actors.weighted_bc.alpha, with its values; or any word, with
    shipped ablations and gin files. Combinations that differ only in how they
    collect context share one trained policy. The combination of the first values is
    compared with all others.
    """
    with print_messages(plan=not options.json) as show:
        comparison = selectrl.ablate(
            method,
            env,
            vary,
            grid=grid,
            profile=profile,
            settings=set_,
            preset=options.preset,
            progress=show,
            **options.how,
        )
    show_result(comparison, dry_run=options.dry_run, json=options.json)
