"""Runs on this machine: one after another in this process, or side by side in processes of their own."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from typing import Any, TypeAlias, cast

import attrs

from selectrl.errors import InputError, Interrupted
from selectrl.launch.background import print_sentence, report_background_errors
from selectrl.launch.job import Event, Failure, Job, Launcher, Tell, grouped, run_group
from selectrl.stopping import defer_signals, raise_on_signal

Workers: TypeAlias = dict[Any, tuple[list[Job], BaseProcess]]  # by the end of the pipe that a worker's events come from
PR_SET_PDEATHSIG = 1  # of Linux's prctl: the signal that a process gets when its parent ends
POLL = 0.2  # seconds between looks at whether a signal came


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0))


def require_cores(threads: int | None) -> None:
    """Refuse more threads than twice the cores, which only wait for each other; up to that many may pay off.

    Raises:
        InputError: there are more.
    """
    if threads is not None and threads > 2 * cores():
        raise InputError(
            f"--threads {threads}: this process may use {cores()} cores, where more than {2 * cores()} threads only "
            f"wait for each other; give --threads {cores()} or less"
        )


def launcher_for(jobs: int, side_by_side: int | None = None) -> tuple[Launcher, int]:
    """Return a launcher on this machine for so many jobs, and the threads of each.

    These are as many as OMP_NUM_THREADS says, but no more than fill the cores.
    """
    count = max(1, min(side_by_side or cores(), jobs))
    asked = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]  # one number a level of nesting
    share = max(1, cores() // count)
    return Inline() if count == 1 else Local(count), min(share, max(1, int(asked))) if asked.isdecimal() else share


class Inline:
    """One job after another in this process."""

    def run(self, jobs: Sequence[Job], tell: Tell) -> None:
        """Carry out all jobs."""
        for group in grouped(jobs):
            run_group(group, tell)


@attrs.frozen
class Local:
    """Jobs in worker processes, so many at a time.

    Attributes:
        side_by_side: how many.
    """

    side_by_side: int

    def run(self, jobs: Sequence[Job], tell: Tell) -> None:
        """Carry out all jobs; workers end with this process.

        Raises:
            InputError: the script that asked for it does so again in each worker, because nothing keeps it from that.
            Interrupted: a signal asked to stop; the workers have saved what they had.
        """
        if getattr(multiprocessing.process.current_process(), "_inheriting", False):
            raise InputError(
                'this script is imported again by every worker process; put its work below if __name__ == "__main__": '
                "or give jobs=1"
            )
        running: Workers = {}
        try:
            with defer_signals() as stopping:
                self._carry_out(grouped(jobs), running, tell, stopping)
        finally:
            for _, process in running.values():
                process.kill()

    def _carry_out(
        self, waiting: list[tuple[Job, ...]], running: Workers, tell: Tell, stopping: Callable[[], bool]
    ) -> None:
        asked = False
        while running or (waiting and not asked):
            while waiting and not asked and len(running) < self.side_by_side:
                group = waiting.pop(0)
                inbox, process = _start(group)
                running[inbox] = list(group), process
            for inbox in wait(list(running), POLL):
                _hear(running, inbox, tell, stopping)
            if stopping() and not asked:
                asked = True
                for _, process in running.values():
                    process.terminate()  # it saves first


def _hear(running: Workers, inbox: Any, tell: Tell, stopping: Callable[[], bool]) -> None:
    """Pass on what a worker tells, or that it has ended without a word."""
    left, process = running[inbox]
    try:
        event = inbox.recv()
    except (EOFError, OSError):
        process.join()
        del running[inbox]
        for job in left if not stopping() else ():
            tell(Event(job, "lost", Failure(ended(job, process.exitcode))))
        return
    if isinstance(event, Warning):
        warnings.warn(event, stacklevel=1)
        return
    tell(event)
    if event.kind in ("done", "failed"):
        left.remove(event.job)


def ended(job: Job, code: int | None) -> str:
    """Say how a worker that told nothing came to its end."""
    if code == -signal.SIGKILL:
        return (
            f"{job.name} was killed by the system (signal 9), most often for want of memory; run fewer side by side "
            "(--jobs) and give the same command again, it goes on from its last checkpoint"
        )
    return f"{job.name} was ended from outside (exit code {code}); give the same command again to go on"


def without_error(event: Event) -> Event:
    """Return an event that can be sent to another process, which an error of a plugin might not be."""
    return event._replace(value=attrs.evolve(event.value, error=None)) if isinstance(event.value, Failure) else event


def _work(orders: Any, outbox: Any) -> None:
    """Carry out the group that comes through a pipe, in a worker process.

    It is not an argument, because reading it imports the modules of its parts, plugins' too, and those may print.
    """
    _end_with_parent()
    with suppress(OSError):  # stderr is closed
        os.dup2(2, 1)  # stdout carries the results of the command alone; a worker's go through the pipe
    report_background_errors(print_sentence)
    warnings.showwarning = lambda message, *_, **__: outbox.send(message)
    try:
        with suppress(BrokenPipeError), raise_on_signal():
            run_group(orders.recv(), lambda event: outbox.send(without_error(event)))
    except Interrupted as stop:
        sys.exit(stop.exit_code)


def _end_with_parent() -> None:
    """Have this worker killed when its parent ends, whatever the worker does then; its run is as after any kill.

    A thread that waits for the parent does it on every system. Linux does it also where a call keeps threads waiting.
    """
    parent = cast(BaseProcess, multiprocessing.parent_process())

    def wait_and_end() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=wait_and_end, daemon=True).start()
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _start(group: tuple[Job, ...]) -> tuple[Any, BaseProcess]:
    """Start a group in a worker process, and return the end of the pipe that its events come out of."""
    context = multiprocessing.get_context("spawn")
    inbox, outbox = context.Pipe(duplex=False)
    orders, order = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(orders, outbox), daemon=True)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # inherited: Ctrl-C is for this process to handle
    process.start()
    signal.signal(signal.SIGINT, before)
    orders.close()
    outbox.close()  # so that the end of the worker is the end of the pipe
    with suppress(BrokenPipeError), order:  # the worker has ended already, which is read at the other pipe's end
        order.send(group)
    return inbox, process
