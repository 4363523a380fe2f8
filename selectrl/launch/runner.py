"""Executes jobs and gathers their results: for training, comparisons and searches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs

from selectrl.launch.job import Event, Failure, Job, Launcher, Tell
from selectrl.runs.reading import JsonObject


@attrs.frozen
class JobResults:
    """The results of jobs.

    Attributes:
        figures: returns and times of the runs that are finished, by run directory, see
            :func:`~selectrl.launch.job.finish`.
        failures: the reasons of the failed runs, by run directory, in the order in which they failed.
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


def run_jobs(jobs: Sequence[Job], launcher: Launcher, tell: Tell = lambda event: None) -> JobResults:
    """Execute jobs; a job that fails does not stop the others.

    Args:
        jobs: the runs.
        launcher: executes them.
        tell: called with every event.

    Raises:
        InputError: the launcher itself cannot work, for example because Slurm refuses the tasks.
        Interrupted: a signal asked to stop; each run can continue from its last checkpoint.
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
    return JobResults(figures, failures)
