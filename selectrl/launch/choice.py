"""The launchers by name, with their settings as texts of a command line."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import attrs

from selectrl.errors import FieldError, InputError, suggest
from selectrl.launch.job import Launcher
from selectrl.launch.local import local_launcher
from selectrl.launch.slurm import Slurm

LAUNCHERS = ("inline", "local", "slurm")


class LauncherChoice(NamedTuple):
    """A launcher, and how it shares the machine.

    Attributes:
        launcher: executes the runs.
        threads: threads of each run, unless a number is given or the run has started with another one.
        max_parallel: runs at the same time, at most.
    """

    launcher: Launcher
    threads: int
    max_parallel: int


def choose_launcher(name: str, settings: Sequence[str], runs: int, max_parallel: int | None) -> LauncherChoice:
    """Choose a launcher by its name.

    Args:
        name: one of ``LAUNCHERS``.
        settings: ``name=value``, of ``slurm`` alone.
        runs: number of runs, at most.
        max_parallel: runs at the same time on this machine, at most; default: one per core.

    Raises:
        InputError: there is no such launcher or setting, or a value is wrong.
    """
    if name not in LAUNCHERS:
        raise InputError(f"no launcher named {name!r}: {suggest(name, LAUNCHERS)}")
    if name != "slurm":
        if settings:
            raise InputError(
                f"--launcher-set {settings[0]!r}: launcher {name} has no settings; give --jobs and --threads instead"
            )
        count = 1 if name == "inline" else max_parallel
        launcher, threads = local_launcher(runs, count)
        return LauncherChoice(launcher, threads, getattr(launcher, "max_parallel", 1))
    fields = {field.name: field for field in attrs.fields(Slurm)}
    values: dict[str, Any] = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or key not in fields:
            raise InputError(f"--launcher-set {setting!r}: expected name=value; {suggest(key, fields)}")
        if key in values:
            raise InputError(f"--launcher-set {setting!r}: {key} is given twice; keep one of the two")
        values[key] = value
        for number in (float, int):  # an int if possible
            with suppress(ValueError):
                values[key] = number(value)
    try:
        slurm = Slurm(**values)
    except FieldError as error:
        raise InputError(f"--launcher-set {error.field}: {error.problem}") from None
    return LauncherChoice(slurm, slurm.cpus, min(runs, slurm.at_once))
