"""The launchers by name, with their settings as words of a command line."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import attrs

from selectrl.errors import FieldError, InputError, suggest
from selectrl.launch.job import Launcher
from selectrl.launch.local import launcher_for
from selectrl.launch.slurm import Slurm

LAUNCHERS = ("inline", "local", "slurm")


class Choice(NamedTuple):
    """A launcher, and how it shares the machine.

    Attributes:
        launcher: carries the runs out.
        threads: threads of each run, unless a number is asked for or the run has begun with another one.
        side_by_side: runs at the same time.
    """

    launcher: Launcher
    threads: int
    side_by_side: int


def choose(name: str, settings: Sequence[str], runs: int, side_by_side: int | None) -> Choice:
    """Choose a launcher by its name.

    Args:
        name: one of ``LAUNCHERS``.
        settings: ``name=value``, of ``slurm`` alone.
        runs: how many runs there are at most.
        side_by_side: how many at once on this machine; default: one a core.

    Raises:
        InputError: there is no such launcher or setting, or a value is wrong.
    """
    if name not in LAUNCHERS:
        raise InputError(f"no launcher named {name!r}: {suggest(name, LAUNCHERS)}")
    if name != "slurm":
        if settings:
            raise InputError(f"--launcher-set {settings[0]!r}: launcher {name} has no settings; --jobs and --threads")
        count = 1 if name == "inline" else side_by_side
        launcher, threads = launcher_for(runs, count)
        return Choice(launcher, threads, getattr(launcher, "side_by_side", 1))
    fields = {field.name: field for field in attrs.fields(Slurm)}
    values: dict[str, Any] = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or key not in fields:
            raise InputError(f"--launcher-set {setting!r}: expected name=value; {suggest(key, fields)}")
        if key in values:
            raise InputError(f"--launcher-set {setting!r}: {key} is given twice; keep one of the two")
        values[key] = value
        for number in (float, int):  # the narrowest that it is
            with suppress(ValueError):
                values[key] = number(value)
    try:
        slurm = Slurm(**values)
    except FieldError as error:
        raise InputError(f"--launcher-set {error.field}: {error.problem}") from None
    return Choice(slurm, slurm.cpus, min(runs, slurm.at_once))
