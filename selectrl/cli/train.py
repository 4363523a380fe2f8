"""``selectrl train``: meta-train a method, one or several seeds, and meta-test it on unseen tasks."""

from __future__ import annotations

import multiprocessing
import os
import signal
from contextlib import suppress
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import attrs
from cyclopts import Parameter

from selectrl.cli.options import (
    AT_LEAST_0,
    AT_LEAST_1,
    Ablation,
    Data,
    DryRun,
    Env,
    Json,
    Method,
    Profile,
    Sets,
    Threads,
    plain_name,
)
from selectrl.cli.screen import Bars, bars, emit, line, say, table, verdict
from selectrl.errors import InputError, RunError
from selectrl.experiment.config import Experiment, to_record
from selectrl.experiment.drift import warn_of_drift
from selectrl.experiment.labels import label_of
from selectrl.gin_edge import as_layer, build_experiment, default_name, experiment_layers
from selectrl.protocols import CollectorConfig

if TYPE_CHECKING:
    from selectrl.experiment.run import Run


@attrs.frozen(kw_only=True)
class Job:
    """One run: what a worker needs to know."""

    folder: Path
    experiment: Experiment
    seed: int
    data: Path
    threads: int
    tensorboard: bool

    @property
    def name(self) -> str:
        """What the run is called on the screen."""
        return f"{self.experiment.name} seed {self.seed}"


def train(
    file: Annotated[Path | None, Parameter(help="A gin file of yours, laid over method, env and profile.")] = None,
    /,
    *,
    method: Method = None,
    env: Env = None,
    profile: Profile = None,
    ablation: Ablation = None,
    set_: Sets = (),
    seeds: Annotated[int, AT_LEAST_1, Parameter(help="How many seeds: 0, 1, ….")] = 1,
    seed: Annotated[int | None, AT_LEAST_0, Parameter(help="Train this one seed instead.")] = None,
    jobs: Annotated[
        int | None, AT_LEAST_1, Parameter(help="Runs side by side; default: as many as cores, one thread each.")
    ] = None,
    threads: Threads = None,
    data: Data = Path("data"),
    out: Annotated[Path, Parameter(help="Folder of the runs.")] = Path("runs"),
    name: Annotated[
        str | None, Parameter(validator=plain_name, help="Name of the method's folder; default: its name and key.")
    ] = None,
    tensorboard: Annotated[
        bool, Parameter(negative="", show_default=False, help="Also write TensorBoard event files.")
    ] = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Meta-train a method on a dataset and meta-test it on unseen tasks.

    Runs resume: give the same command again after an interruption, and what is finished is not done again. Each run is
    tested at the end with its own collector and with offline context; `selectrl evaluate` tests it in other ways.
    """
    layers = experiment_layers(method=method, env=env, profile=profile, ablation=ablation, file=file, settings=set_)
    experiment = build_experiment(layers, name or default_name(method, ablation, file))
    if dry_run:
        show(experiment, json=json)
        return
    wanted = [seed] if seed is not None else list(range(seeds))
    cores = len(os.sched_getaffinity(0))
    side_by_side = max(1, min(jobs or cores, len(wanted)))
    folder = out / experiment.env_name / (name or experiment.folder_name)
    each = threads or max(1, cores // side_by_side)
    todo = [
        Job(
            folder=folder / f"seed{one}",
            experiment=experiment,
            seed=one,
            data=data,
            threads=recorded_threads(folder / f"seed{one}", threads) or each,
            tensorboard=tensorboard,
        )
        for one in wanted
    ]
    warn_of_drift(data / experiment.env_name / experiment.data.name)
    with bars() as shown:
        results = run_here(todo, shown) if side_by_side == 1 else run_side_by_side(todo, side_by_side, shown)
    finish(folder, results, json=json)


def finish(folder: Path, results: list[dict[str, Any]], *, json: bool) -> None:
    """Print what the runs reached."""
    if json:
        emit({"folder": str(folder), "runs": results})
        return
    rows = [
        [
            str(one["seed"]),
            f"{one['context_free']:.2f}",
            f"{one['return']:.2f}",
            f"{one['offline']:.2f}",
            f"{one['wall_seconds']:.0f} s" if one["trained"] else "was done",
        ]
        for one in results
    ]
    table(
        "Mean return on unseen tasks",
        ["seed", "no context", f"{results[0]['collector']} context", "offline context", "training"],
        rows,
    )
    line(f"Runs in {folder}. Next: selectrl report {folder}")


def show(experiment: Experiment, *, json: bool) -> None:
    """Print a resolved experiment: as gin bindings, which a file of the user's may hold, or as its record."""
    if json:
        emit({"key": experiment.key, "experiment": to_record(experiment)})
        return
    line(f"# {experiment.name} on {experiment.env_name}, key {experiment.key}")
    line(as_layer(experiment).text.strip())


def recorded_threads(folder: Path, asked: int | None) -> int | None:
    """Return the thread count that a run began with, which its bits depend on, unless another one is asked for."""
    path = folder / "execution.json"
    if asked or not path.exists():
        return asked
    from selectrl.files import read_json

    found = read_json(path)
    threads = found.get("threads") if isinstance(found, dict) else None
    return threads if isinstance(threads, int) and threads > 0 else None


def run_one(job: Job, report: Any) -> dict[str, Any]:
    """Train and test one run; returns its figures."""
    from selectrl.collectors.configs import OfflineConfig
    from selectrl.experiment.run import Execution, Run

    gin = as_layer(job.experiment).text
    execution = Execution(data=job.data, threads=job.threads, tensorboard=job.tensorboard, gin=gin)
    run = Run(job.folder, job.experiment, job.seed, execution)
    trained = run.train(report)
    first = Run.open(job.folder, execution).experiment  # collector and test may have been others then
    own, offline = (tested(run, collector, first) for collector in (job.experiment.collector, OfflineConfig()))
    if not run.diagnosed:
        run.diagnose()
    return {
        "seed": job.seed,
        "run": str(job.folder),
        "trained": trained,
        "collector": run.collector_name,
        "return": own["return"],
        "context_free": own["context_free"],
        "offline": offline["return"],
        "wall_seconds": run.wall_seconds,
    }


def tested(run: Run, collector: CollectorConfig, first: Experiment) -> dict[str, Any]:
    """Return the meta-test of a trained run with a collector, done now unless this very one lies there already."""
    from selectrl.files import read_json

    test = run.experiment.test
    label = label_of(collector, test, first)
    path = run.folder / "evaluations" / f"{label}.json"
    try:
        found = read_json(path)
    except InputError:  # none yet, or one that a kill or a hand has damaged
        found = None
    wanted: dict[str, Any] = {"protocol": test.protocol}
    wanted |= {"train_step": run.experiment.train.steps, "collector": to_record(collector)}
    wanted |= {"budget": test.budget, "repeats": test.repeats, "prior": test.prior, "test_seed": test.seed}
    if isinstance(found, dict) and all(found.get(name) == value for name, value in wanted.items()):
        return found
    return run.evaluate(label, collector, test)


def note(shown: Bars, job: Job, record: dict[str, Any], state: dict[str, str]) -> None:
    """Show a record on the job's bar."""
    total = job.experiment.train.steps
    if record["kind"] == "test":
        state["test"] = f"test return {record['return']:.2f}"
    else:
        state["rate"] = f"{record['steps_per_second']:.0f} steps/s"
        if record["phase"] != "rl":
            done, of = record["step"], record["phase_steps"]
            tell = done == of or done % job.experiment.train.test_every == 0
            shown.update(f"{job.name} {record['phase']}", done, of, state["rate"], tell=tell)
            return
    text = "  ".join(state[key] for key in ("rate", "test") if key in state)
    shown.update(job.name, record["step"], total, text, tell=record["kind"] == "test")


def run_here(jobs: list[Job], shown: Bars) -> list[dict[str, Any]]:
    """Run the jobs one after another in this process."""
    results = []
    for job in jobs:
        state: dict[str, str] = {}
        results.append(run_one(job, lambda record, job=job, state=state: note(shown, job, record, state)))
    return results


def work(job: Job, outbox: Any) -> None:
    """Run one job in a worker process; a worker whose parent is gone stops at its next record."""
    with suppress(BrokenPipeError):
        message: tuple[str, Any]
        try:
            message = "done", run_one(job, lambda record: outbox.send(("record", record)))
        except Exception as error:
            message = "failed", verdict(error)
        outbox.send(message)


def start(job: Job) -> tuple[Any, BaseProcess]:
    """Start a job in a worker process, and return the end of the pipe that its records come out of."""
    context = multiprocessing.get_context("spawn")
    inbox, outbox = context.Pipe(duplex=False)
    process = context.Process(target=work, args=(job, outbox), daemon=True)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # inherited: Ctrl-C is for this process to handle
    process.start()
    signal.signal(signal.SIGINT, before)
    outbox.close()  # so that the end of the worker is the end of the pipe
    return inbox, process


def run_side_by_side(jobs: list[Job], count: int, shown: Bars) -> list[dict[str, Any]]:
    """Run the jobs in worker processes, so many at a time.

    Raises:
        InputError: the input of a run was wrong.
        RunError: a run failed; the others have ended.
    """
    waiting = list(jobs)
    running: dict[Any, tuple[Job, BaseProcess, dict[str, str]]] = {}
    results: dict[int, dict[str, Any]] = {}
    failures: list[tuple[str, int]] = []
    try:
        while waiting or running:
            while waiting and len(running) < count:
                inbox, process = start(waiting[0])
                running[inbox] = (waiting.pop(0), process, {})
            for inbox in cast(list[Any], wait(list(running))):
                job, process, state = running[inbox]
                try:
                    kind, value = inbox.recv()
                except (EOFError, OSError):
                    process.join()
                    code = process.exitcode
                    kind, value = "failed", (f"seed {job.seed} was ended from outside (exit code {code})", 1)
                if kind == "record":
                    note(shown, job, value, state)
                    continue
                running.pop(inbox)[1].join()
                if kind == "done":
                    results[job.seed] = value
                else:
                    failures.append(value)
    finally:
        for _, process, _ in running.values():
            process.terminate()
    for sentence, _ in failures[1:]:
        say(sentence)
    if failures:
        sentence, code = failures[0]
        raise InputError(sentence) if code == InputError.exit_code else RunError(sentence)
    return [results[job.seed] for job in jobs]
