"""Runs as tasks of a Slurm cluster, through submitit: one task a run, in arrays as large as the cluster allows.

The state of a task is read from files that the task writes, not from the scheduler's accounting, which many clusters
(and the smallest ones) do without. A task that is pre-empted or runs out of time saves the step it is at, is put back
into the queue by submitit's signal handler and goes on there; a task that ends without a word is found missing in
``squeue``.
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
from selectrl.launch.job import Event, Failure, Job, Tell, grouped, run_group
from selectrl.runs.metrics import Metrics
from selectrl.runs.reading import JsonObject

POLL = 1.0  # seconds between looks at the run directories
ASK = 15.0  # seconds between questions to the scheduler
ARRAY = 1001  # tasks of an array at most, where Slurm does not say: its own default
TIMEOUTS = 1_000_000  # submitit gives a task up after three; each brings ours as far as its time reaches


def _text(instance: object, attribute: Any, value: object) -> None:
    if value is not None and not (isinstance(value, str) and value):
        raise InputError(f"--launcher-set {attribute.name}: expected a word, got {value!r}")


@attrs.frozen(kw_only=True)
class Slurm:
    """Slurm's settings.

    Attributes:
        partition: where tasks run; the cluster's own default if none is named.
        time: minutes after which a task is stopped, queued again and goes on.
        cpus: cores of a task, which are its threads.
        mem: gigabytes of memory of a task.
        at_once: tasks that run at the same time at most.
        logs: folder of the scripts and logs that submitit writes, on a disk that all nodes share.
    """

    partition: str | None = attrs.field(default=None, validator=_text)
    time: int = attrs.field(default=240, validator=integer(1))
    cpus: int = attrs.field(default=1, validator=integer(1))
    mem: float = attrs.field(default=4.0, validator=number(0, above=True))
    at_once: int = attrs.field(default=64, validator=integer(1))
    logs: str = attrs.field(default="slurm", validator=_text)

    def run(self, jobs: Sequence[Job], tell: Tell) -> None:
        """Carry out all jobs; an interruption takes them out of the queue.

        Raises:
            InputError: submitit or Slurm is not installed, or Slurm refuses the settings.
        """
        if not jobs:
            return
        tasks = self._submit(jobs)
        try:
            _watch(tasks, tell)
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
        works = [Work(group, tuple(outcomes[job] for job in group)) for group in grouped(jobs)]
        size = _largest_array()
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
                for first in range(0, len(works), size):
                    if first >= width * size:
                        earlier = _array(ids[first - width * size])
                        executor.update_parameters(dependency=f"afterany:{earlier}")
                    with executor.batch():
                        submitted = [executor.submit(work) for work in works[first : first + size]]
                    ids += [one.job_id for one in submitted]
        except BaseException as error:
            _cancel(ids)  # the arrays before the one that failed
            if not isinstance(error, RuntimeError | OSError | subprocess.CalledProcessError):
                raise
            reason = " ".join(str(getattr(error, "stderr", None) or error).split())[:300]
            raise InputError(f"Slurm took no tasks: {reason}; look at --launcher-set and the cluster") from error
        return [Task(job, outcomes[job], one) for work, one in zip(works, ids, strict=True) for job in work.group]


@attrs.frozen
class Work:
    """What a task of the cluster does; submitit calls it, and ``checkpoint`` before the task is queued again.

    Attributes:
        group: the run, or the runs that train side by side.
        outcomes: a file for each, written at its end.
    """

    group: tuple[Job, ...]
    outcomes: tuple[Path, ...]

    def __call__(self) -> None:
        """Train and test, and write what came out."""
        paths = dict(zip(self.group, self.outcomes, strict=True))

        def note(event: Event) -> None:
            if event.kind in ("done", "failed"):
                failed = isinstance(event.value, Failure)
                value = [event.value.sentence, event.value.code] if failed else event.value
                write_json(paths[event.job], {"kind": event.kind, "value": value})

        run_group(self.group, note)

    def checkpoint(self) -> Any:
        """Return what is queued again: the same, for a run goes on from its last checkpoint by itself."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


@attrs.define
class Task:
    """A submitted run, as this process follows it."""

    job: Job
    outcome: Path
    id: str
    read: int = 0  # bytes of the run's metrics that were told
    missing: int = 0  # questions in a row at which Slurm did not know of it

    def records(self) -> list[JsonObject]:
        """Return the records that the run has added to its metrics."""
        with suppress(InputError):  # a file that cannot be read is for the run itself to refuse
            log = Metrics.of(self.job.folder).read(self.read)
            self.read = log.size
            return [line.to_json() for _, line in log.lines]
        return []


def _watch(tasks: list[Task], tell: Tell) -> None:
    """Tell what happens to the tasks until the list is empty; a task leaves it when it has ended."""
    for task in tasks:
        task.records()  # what an earlier call has told
    asked = time.monotonic()
    while tasks:
        time.sleep(POLL)
        gone: set[str] = set()
        if time.monotonic() - asked > ASK:
            asked = time.monotonic()
            gone = {task.id for task in tasks} - _queued(tasks)
        for task in list(tasks):
            for record in task.records():
                tell(Event(task.job, "record", record))
            task.missing = task.missing + 1 if task.id in gone else 0 if gone else task.missing
            if task.outcome.exists():
                found = json.loads(task.outcome.read_text(encoding="utf-8"))
                value = Failure(*found["value"]) if found["kind"] == "failed" else found["value"]
                tell(Event(task.job, found["kind"], value))
                tasks.remove(task)
            elif task.missing > 1:  # twice, for a file may be late on a shared disk
                tell(Event(task.job, "lost", Failure(_lost(task))))
                tasks.remove(task)


def _queued(tasks: Sequence[Task]) -> set[str]:
    """Return the ids that wait or run, all of them where Slurm does not answer."""
    arrays = ",".join(sorted({_array(task.id) for task in tasks}))
    found = _slurm("squeue", "--noheader", "--array", "--format=%F_%K", f"--jobs={arrays}")
    if found is None or (found.returncode and "Invalid job id" not in found.stderr):
        return {task.id for task in tasks}
    return {line.removesuffix("_N/A") for line in found.stdout.split()}  # a task alone is no array


def _largest_array() -> int:
    """Return how many tasks an array of this cluster may have."""
    answer = _slurm("scontrol", "show", "config")
    found = re.search(r"^MaxArraySize\s*=\s*(\d+)", answer.stdout, re.MULTILINE) if answer else None
    return max(1, int(found[1])) if found else ARRAY


def _array(task_id: str) -> str:
    """Return the array of a task ``1234_5``; a task alone is its own."""
    return task_id.partition("_")[0]


def _cancel(task_ids: Iterable[str]) -> None:
    """Take what is left of the tasks' arrays out of the queue."""
    if arrays := sorted({_array(one) for one in task_ids}):
        _slurm("scancel", *arrays)


def _lost(task: Task) -> str:
    return (
        f"{task.job.name} (Slurm task {task.id}) ended without a word, most often for want of memory "
        "(--launcher-set mem=8); give the same command again, it goes on from its last checkpoint"
    )


def _slurm(*command: str) -> subprocess.CompletedProcess[str] | None:
    """Run a command of Slurm; ``None`` where it does not answer."""
    try:
        return subprocess.run(  # noqa: S603  Slurm's own commands, and names of jobs that Slurm gave
            command, capture_output=True, text=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
