"""Runs on this machine: one after another in this process, or side by side in processes of their own."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from typing import Any, cast

import attrs

from selectrl.launch.job import Event, Job, Launcher, Tell, run_job, verdict


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0))


def launcher_for(jobs: int, side_by_side: int | None = None) -> tuple[Launcher, int]:
    """Return a launcher on this machine for so many jobs, and the threads of each that fill the cores but no more."""
    count = max(1, min(side_by_side or cores(), jobs))
    return Inline() if count == 1 else Local(count), max(1, cores() // count)


class Inline:
    """One job after another in this process."""

    def run(self, jobs: Sequence[Job], tell: Tell) -> None:
        """Carry out all jobs."""
        for job in jobs:
            tell(Event(job, "started"))
            try:
                result = run_job(job, lambda record, job=job: tell(Event(job, "record", record)))  # type: ignore[misc]
            except Exception as error:
                tell(Event(job, "failed", verdict(error)))
            else:
                tell(Event(job, "done", result))


@attrs.frozen
class Local:
    """Jobs in worker processes, so many at a time.

    Attributes:
        side_by_side: how many.
    """

    side_by_side: int

    def run(self, jobs: Sequence[Job], tell: Tell) -> None:
        """Carry out all jobs; workers end with this process."""
        waiting = list(jobs)
        running: dict[Any, tuple[Job, BaseProcess]] = {}
        try:
            while waiting or running:
                while waiting and len(running) < self.side_by_side:
                    job = waiting.pop(0)
                    inbox, process = _start(job)
                    running[inbox] = job, process
                    tell(Event(job, "started"))
                for inbox in cast(list[Any], wait(list(running))):
                    job, process = running[inbox]
                    try:
                        kind, value = inbox.recv()
                    except (EOFError, OSError):
                        process.join()
                        kind, value = "lost", (ended(job, process.exitcode), 1)
                    if kind != "record":
                        running.pop(inbox)[1].join()
                    tell(Event(job, kind, value))
        finally:
            for _, process in running.values():
                process.terminate()


def ended(job: Job, code: int | None) -> str:
    """Say how a worker that told nothing came to its end."""
    if code == -signal.SIGKILL:
        return (
            f"{job.name} was killed by the system (signal 9), most often for want of memory; run fewer side by side "
            "(--jobs) and give the same command again, it goes on from its last checkpoint"
        )
    return f"{job.name} was ended from outside (exit code {code}); give the same command again to go on"


def _work(job: Job, outbox: Any) -> None:
    """Run one job in a worker process; a worker whose parent is gone stops at its next record."""
    with suppress(BrokenPipeError):
        message: tuple[str, Any]
        try:
            message = "done", run_job(job, lambda record: outbox.send(("record", record)))
        except Exception as error:
            message = "failed", verdict(error)
        outbox.send(message)


def _start(job: Job) -> tuple[Any, BaseProcess]:
    """Start a job in a worker process, and return the end of the pipe that its records come out of."""
    context = multiprocessing.get_context("spawn")
    inbox, outbox = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(job, outbox), daemon=True)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # inherited: Ctrl-C is for this process to handle
    process.start()
    signal.signal(signal.SIGINT, before)
    outbox.close()  # so that the end of the worker is the end of the pipe
    return inbox, process
