"""Carries jobs out and gathers how each of them ended: for training, comparisons and searches alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs

from selectrl.launch.job import Event, Failure, Job, Launcher, Tell
from selectrl.runs.reading import JsonObject


@attrs.frozen
class Results:
    """How jobs ended.

    Attributes:
        figures: returns and times of the runs that are finished, by run directory, see
            :func:`~selectrl.launch.job.finished`.
        failures: why the others are not, by run directory, in the order in which they failed.
    """

    figures: Mapping[Path, JsonObject]
    failures: Mapping[Path, Failure]

    def raise_first(self) -> None:
        """Raise the error of the first run that failed.

        Raises:
            InputError: its input was wrong.
            RunError: the work itself failed.
        """
        for failure in self.failures.values():
            error = failure.as_error()
            raise error from (failure.error if failure.error is not error else error.__cause__)


def carry_out(jobs: Sequence[Job], launcher: Launcher, tell: Tell = lambda event: None) -> Results:
    """Carry jobs out to their end; a job that fails does not stop the others.

    Args:
        jobs: the runs.
        launcher: where they are carried out.
        tell: called with every event.

    Raises:
        InputError: the launcher itself cannot work, for example because Slurm refuses the tasks.
        Interrupted: a signal asked to stop; each run can go on from its last checkpoint.
    """
    figures: dict[Path, JsonObject] = {}
    failures: dict[Path, Failure] = {}

    def gather(event: Event) -> None:
        if event.kind == "done":
            figures[event.job.folder] = event.value
        elif event.kind in ("failed", "lost"):
            failures[event.job.folder] = event.value
        tell(event)

    launcher.run(jobs, gather)
    return Results(figures, failures)
