"""Runs on this machine: one after another in this process, or in parallel in worker processes."""

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

from selectrl.errors import InputError, Interrupted, RunError
from selectrl.launch.background import print_sentence, report_background_errors
from selectrl.launch.job import Event, Failure, Job, Launcher, Tell, group_jobs, run_group
from selectrl.stopping import defer_signals, raise_on_signal

Workers: TypeAlias = dict[Any, tuple[list[Job], BaseProcess]]  # by the receiving end of a worker's pipe
PR_SET_PDEATHSIG = 1  # of Linux's prctl: the signal that a process gets when its parent ends
POLL = 0.2  # seconds between checks for a signal
REIMPORT = 78  # exit code of a worker that would start workers itself


def count_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0))


def require_cores(threads: int | None) -> None:
    """Refuse more threads than twice the cores, which only wait for each other; up to that number may be faster.

    Raises:
        InputError: there are too many threads.
    """
    if threads is not None and threads > 2 * count_cores():
        raise InputError(
            f"--threads {threads}: this process may use {count_cores()} cores, where more than {2 * count_cores()} "
            f"threads only wait for each other; give --threads {count_cores()} or less"
        )


def local_launcher(jobs: int, max_parallel: int | None = None) -> tuple[Launcher, int]:
    """Return a launcher on this machine for a number of jobs, and the threads of each.

    The threads are those of OMP_NUM_THREADS, but not more than the share of the cores.
    """
    count = max(1, min(max_parallel or count_cores(), jobs))
    requested = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]  # one number per nesting level
    share = max(1, count_cores() // count)
    threads = min(share, max(1, int(requested))) if requested.isdecimal() else share
    return Inline() if count == 1 else Local(count), threads


def end_reimport() -> None:
    """End a worker process that imports the calling script again, which would start workers of its own.

    The parent process reads the reason from the exit code, see :func:`describe_end`.
    """
    if getattr(multiprocessing.process.current_process(), "_inheriting", False):
        os._exit(REIMPORT)


class Inline:
    """Executes one job after another in this process."""

    def run(self, jobs: Sequence[Job], tell: Tell) -> None:
        """Execute all jobs."""
        for group in group_jobs(jobs):
            run_group(group, tell)


@attrs.frozen
class Local:
    """Executes jobs in worker processes.

    Attributes:
        max_parallel: worker processes at the same time, at most.
    """

    max_parallel: int

    def run(self, jobs: Sequence[Job], tell: Tell) -> None:
        """Execute all jobs; workers end with this process.

        Raises:
            Interrupted: a signal asked to stop; the workers have saved their state.
        """
        end_reimport()
        running: Workers = {}
        try:
            with defer_signals() as stopping:
                self._run_groups(group_jobs(jobs), running, tell, stopping)
        finally:
            for _, process in running.values():
                process.kill()

    def _run_groups(
        self, waiting: list[tuple[Job, ...]], running: Workers, tell: Tell, stopping: Callable[[], bool]
    ) -> None:
        is_stopping = False
        while running or (waiting and not is_stopping):
            while waiting and not is_stopping and len(running) < self.max_parallel:
                group = waiting.pop(0)
                inbox, process = _start(group)
                running[inbox] = list(group), process
            for inbox in wait(list(running), POLL):
                _receive(running, inbox, tell, stopping)
            if stopping() and not is_stopping:
                is_stopping = True
                for _, process in running.values():
                    process.terminate()  # it saves first


def _receive(running: Workers, inbox: Any, tell: Tell, stopping: Callable[[], bool]) -> None:
    """Report an event of a worker, or that the worker has ended without one."""
    left, process = running[inbox]
    try:
        event = inbox.recv()
    except (EOFError, OSError):
        process.join()
        del running[inbox]
        for job in left if not stopping() else ():
            code = InputError.exit_code if process.exitcode == REIMPORT else RunError.exit_code
            tell(Event(job, "lost", Failure(describe_end(job, process.exitcode), code)))
        return
    if isinstance(event, Warning):
        warnings.warn(event, stacklevel=1)
        return
    tell(event)
    if event.kind in ("done", "failed"):
        left.remove(event.job)


def describe_end(job: Job, code: int | None) -> str:
    """Return the reason why a worker ended without an event."""
    if code == REIMPORT:
        return (
            f"{job.name} did not start: worker processes import your script again; put its work below "
            'if __name__ == "__main__": or give jobs=1'
        )
    if code == -signal.SIGKILL:
        return (
            f"{job.name} was killed by the system (signal 9), usually because memory ran out; run fewer in "
            "parallel (--jobs) and give the same command again: it continues from its last checkpoint"
        )
    return f"{job.name} was ended from outside (exit code {code}); give the same command again to continue"


def drop_error(event: Event) -> Event:
    """Return an event without its error, which might not be sendable to another process."""
    return event._replace(value=attrs.evolve(event.value, error=None)) if isinstance(event.value, Failure) else event


def _work(orders: Any, outbox: Any) -> None:
    """Execute the group that comes through a pipe, in a worker process.

    It is not an argument, because unpickling it imports the modules of its parts, also of plugins, and these may print.
    """
    _end_with_parent()
    with suppress(OSError):  # stderr is closed
        os.dup2(2, 1)  # stdout is only for the results of the command; those of a worker go through the pipe
    report_background_errors(print_sentence)
    warnings.showwarning = lambda message, *_, **__: outbox.send(message)
    try:
        with suppress(BrokenPipeError), raise_on_signal():
            run_group(orders.recv(), lambda event: outbox.send(drop_error(event)))
    except Interrupted as stop:
        sys.exit(stop.exit_code)


def _end_with_parent() -> None:
    """Kill this worker when its parent ends; its run can continue as after any kill.

    On every system a thread waits for the parent. On Linux the kernel also does it while a call blocks all threads.
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
    """Start a group in a worker process, and return the receiving end of its pipe."""
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
