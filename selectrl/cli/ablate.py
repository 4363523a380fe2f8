"""``selectrl ablate``: variations of one method against each other, in every combination."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

import selectrl
from selectrl.cli.comparing import Options
from selectrl.cli.comparison import show_result, shown
from selectrl.cli.options import Profile, Sets


def ablate(
    grid: Annotated[
        Path | None, Parameter(help='A gin file that binds grid.vary = ("NAME=a,b", ...), beside --vary.')
    ] = None,
    /,
    *,
    method: Annotated[str, Parameter(help="A shipped method, see `selectrl list`.")],
    env: Annotated[tuple[str, ...], Parameter(negative="", help="A shipped environment; may be given again.")],
    vary: Annotated[
        tuple[str, ...],
        Parameter(
            negative="",
            show_default=False,
            help="What is varied, NAME=a,b: parts, ablations, gin files or values; give it again.",
        ),
    ] = (),
    profile: Profile = None,
    set_: Sets = (),
    options: Options = Options(),  # noqa: B008  frozen
) -> None:
    """Train a method with each combination of variations, and say which is better.

    NAME is encoder, critic, actor or collector, and takes registered parts; a
    binding such as actors.weighted_bc.alpha, and takes its values; or any word, and
    takes shipped ablations and gin files. Combinations that differ only in how they
    collect context share one trained policy. The first values are set against all
    others.
    """
    with shown(plan=not options.json) as show:
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
