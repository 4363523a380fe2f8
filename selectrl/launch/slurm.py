"""Runs as tasks of a Slurm cluster, through submitit: one task per run, in arrays as large as the cluster allows.

The state of a task is read from files that the task writes, not from the scheduler's accounting, which many
clusters do not have. A task that is pre-empted or runs out of time saves its step, is queued again by submitit's signal
handler and continues from there; a task that ends without a message is missing in ``squeue``.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import redirect_stderr, suppress
from io import StringIO
from pathlib import Path
from typing import Any

import attrs

from selectrl.errors import InputError
from selectrl.fields import integer, number
from selectrl.files import write_json
from selectrl.launch.job import Event, Failure, Job, Tell, group_jobs, run_group
from selectrl.runs.metrics import Metrics
from selectrl.runs.reading import JsonObject

POLL = 1.0  # seconds between reads of the run directories
QUERY = 15.0  # seconds between queries to the scheduler
ARRAY = 1001  # default limit of Slurm for the tasks of an array
TIMEOUTS = 1_000_000  # submitit gives up after three; each continues the run


def _check_text(instance: object, attribute: Any, value: object) -> None:
    if value is not None and not (isinstance(value, str) and value):
        raise InputError(f"--launcher-set {attribute.name}: expected a text, got {value!r}")


@attrs.frozen(kw_only=True)
class Slurm:
    """Slurm's settings.

    Attributes:
        partition: where tasks run; default: that of the cluster.
        time: minutes after which a task is stopped, queued again and continued.
        cpus: cores and threads of a task.
        mem: gigabytes of memory of a task.
        at_once: tasks that run at the same time, at most.
        logs: folder of the scripts and logs that submitit writes, on a disk that all nodes share.
    """

    partition: str | None = attrs.field(default=None, validator=_check_text)
    time: int = attrs.field(default=240, validator=integer(1))
    cpus: int = attrs.field(default=1, validator=integer(1))
    mem: float = attrs.field(default=4.0, validator=number(0, above=True))
    at_once: int = attrs.field(default=64, validator=integer(1))
    logs: str = attrs.field(default="slurm", validator=_check_text)

    def run(self, jobs: Sequence[Job], tell: Tell) -> None:
        """Execute all jobs; an interruption removes them from the queue.

        Raises:
            InputError: submitit or Slurm is not installed, or Slurm refuses the settings.
        """
        if not jobs:
            return
        tasks = self._submit(jobs)
        try:
            _follow(tasks, tell)
        finally:
            _cancel(task.id for task in tasks)  # none are left unless it was interrupted

    def _submit(self, jobs: Sequence[Job]) -> list[Task]:
        try:
            import submitit
        except ImportError as error:
            raise InputError("submitit is not installed; pip install 'selectrl[slurm]'") from error
        logs = Path(self.logs).absolute()
        stamp = time.time_ns()
        outcomes = {job: logs / "outcomes" / f"{stamp}-{i}.json" for i, job in enumerate(jobs)}
        group_tasks = [GroupTask(group, tuple(outcomes[job] for job in group)) for group in group_jobs(jobs)]
        size = _max_array_size()
        width = max(1, self.at_once // size)  # arrays that run at the same time
        ids: list[str] = []
        try:
            executor = submitit.SlurmExecutor(
                folder=logs / "%A",
                max_num_timeout=TIMEOUTS,
                python=f"{shlex.quote(sys.executable)} -P",  # imports nothing from the folder of the command
            )
            executor.update_parameters(
                job_name="selectrl",
                time=self.time,
                cpus_per_task=self.cpus,
                mem=f"{round(self.mem * 1024)}M",
                array_parallelism=self.at_once,
                stderr_to_stdout=True,
                **({"partition": self.partition} if self.partition else {}),
            )
            with redirect_stderr(StringIO()):  # submitit repeats what sbatch prints, and so does the error
                for first in range(0, len(group_tasks), size):
                    if first >= width * size:
                        earlier = _array_id(ids[first - width * size])
                        executor.update_parameters(dependency=f"afterany:{earlier}")
                    with executor.batch():
                        submitted = [executor.submit(group_task) for group_task in group_tasks[first : first + size]]
                    ids += [submission.job_id for submission in submitted]
        except BaseException as error:
            _cancel(ids)  # the arrays before the one that failed
            if not isinstance(error, RuntimeError | OSError | subprocess.CalledProcessError):
                raise
            reason = " ".join(str(getattr(error, "stderr", None) or error).split())[:300]
            raise InputError(f"Slurm refused the tasks: {reason}; check --launcher-set and the cluster") from error
        return [
            Task(job, outcomes[job], task_id)
            for group_task, task_id in zip(group_tasks, ids, strict=True)
            for job in group_task.group
        ]


@attrs.frozen
class GroupTask:
    """The work of a task on the cluster; submitit calls it, and ``checkpoint`` before the task is queued again.

    Attributes:
        group: the run, or the runs that train in parallel.
        outcomes: a file per run, written at its end.
    """

    group: tuple[Job, ...]
    outcomes: tuple[Path, ...]

    def __call__(self) -> None:
        """Train and test, and write the outcome."""
        paths = dict(zip(self.group, self.outcomes, strict=True))

        def note(event: Event) -> None:
            if event.kind in ("done", "failed"):
                failed = isinstance(event.value, Failure)
                value = [event.value.sentence, event.value.code] if failed else event.value
                write_json(paths[event.job], {"kind": event.kind, "value": value})

        run_group(self.group, note)

    def checkpoint(self) -> Any:
        """Return the task to queue again: the same, because a run continues from its last checkpoint."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


@attrs.define
class Task:
    """A submitted run, as this process follows it."""

    job: Job
    outcome: Path
    id: str
    read: int = 0  # bytes of the run's metrics that were reported
    missing: int = 0  # consecutive queries in which Slurm did not list it

    def records(self) -> list[JsonObject]:
        """Return the records that the run has added to its metrics."""
        with suppress(InputError):  # the run itself refuses a file that cannot be read
            log = Metrics.of(self.job.folder).read(self.read)
            self.read = log.size
            return [line.to_json() for _, line in log.lines]
        return []


def _follow(tasks: list[Task], tell: Tell) -> None:
    """Report the events of the tasks until all have ended; an ended task is removed from the list."""
    for task in tasks:
        task.records()  # records that an earlier call has reported
    queried = time.monotonic()
    while tasks:
        time.sleep(POLL)
        gone: set[str] = set()
        if time.monotonic() - queried > QUERY:
            queried = time.monotonic()
            gone = {task.id for task in tasks} - _list_queued(tasks)
        for task in list(tasks):
            for record in task.records():
                tell(Event(task.job, "record", record))
            task.missing = task.missing + 1 if task.id in gone else 0 if gone else task.missing
            if task.outcome.exists():
                outcome = json.loads(task.outcome.read_text(encoding="utf-8"))
                value = Failure(*outcome["value"]) if outcome["kind"] == "failed" else outcome["value"]
                tell(Event(task.job, outcome["kind"], value))
                tasks.remove(task)
            elif task.missing > 1:  # twice, because a file may be late on a shared disk
                tell(Event(task.job, "lost", Failure(_describe_loss(task))))
                tasks.remove(task)


def _list_queued(tasks: Sequence[Task]) -> set[str]:
    """Return the ids that wait or run; all of them if Slurm does not answer."""
    arrays = ",".join(sorted({_array_id(task.id) for task in tasks}))
    answer = _call_slurm("squeue", "--noheader", "--array", "--format=%F_%K", f"--jobs={arrays}")
    if answer is None or (answer.returncode and "Invalid job id" not in answer.stderr):
        return {task.id for task in tasks}
    return {line.removesuffix("_N/A") for line in answer.stdout.split()}  # a single task is not an array


def _max_array_size() -> int:
    """Return the maximum number of tasks in an array of this cluster."""
    answer = _call_slurm("scontrol", "show", "config")
    match = re.search(r"^MaxArraySize\s*=\s*(\d+)", answer.stdout, re.MULTILINE) if answer else None
    return max(1, int(match[1])) if match else ARRAY


def _array_id(task_id: str) -> str:
    """Return the array id of a task ``1234_5``; that of a single task is its own id."""
    return task_id.partition("_")[0]


def _cancel(task_ids: Iterable[str]) -> None:
    """Remove the tasks' arrays from the queue."""
    if arrays := sorted({_array_id(task_id) for task_id in task_ids}):
        _call_slurm("scancel", *arrays)


def _describe_loss(task: Task) -> str:
    return (
        f"{task.job.name} (Slurm task {task.id}) ended without a message, usually because memory ran out; set "
        "more (--launcher-set mem=8) and give the same command again: it continues from its last checkpoint"
    )


def _call_slurm(*command: str) -> subprocess.CompletedProcess[str] | None:
    """Run a command of Slurm; return ``None`` if it does not answer."""
    try:
        return subprocess.run(  # noqa: S603  Slurm's own commands, and names of jobs that Slurm gave
            command, capture_output=True, text=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
