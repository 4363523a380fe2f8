"""``selectrl train``: meta-train a method, one or several seeds, and meta-test it on unseen tasks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import attrs
from cyclopts import Parameter

from selectrl.cli.options import (
    JOBS,
    SEED,
    SEEDS,
    Ablation,
    Data,
    Device,
    DryRun,
    EngineMode,
    Env,
    Json,
    Method,
    Population,
    Profile,
    Sets,
    TrainThreads,
    plain_name,
)
from selectrl.cli.screen import Bars, bars, emit, line, say, table
from selectrl.errors import InputError, RunError
from selectrl.experiment.config import Experiment, to_record
from selectrl.experiment.drift import warn_of_drift
from selectrl.experiment.execution import Execution
from selectrl.gin_edge import as_layer, build_experiment, default_name, experiment_layers
from selectrl.launch.job import Event, Job, Launcher, threads_of
from selectrl.launch.local import launcher_for, require_cores
from selectrl.runs.folders import set_aside


def train(
    file: Annotated[Path | None, Parameter(help="A gin file of yours, laid over method, env and profile.")] = None,
    /,
    *,
    method: Method = None,
    env: Env = None,
    profile: Profile = None,
    ablation: Ablation = None,
    set_: Sets = (),
    seeds: Annotated[int, SEEDS, Parameter(help="How many seeds: 0, 1, and so on.")] = 1,
    seed: Annotated[int | None, SEED, Parameter(help="Train this one seed instead.")] = None,
    jobs: Annotated[
        int | None, JOBS, Parameter(help="Runs side by side; default: as many as cores, one thread each.")
    ] = None,
    threads: TrainThreads = None,
    device: Device = "cpu",
    engine: EngineMode = "eager",
    population: Population = 64,
    data: Data = Path("data"),
    out: Annotated[Path, Parameter(help="Folder of the runs.")] = Path("runs"),
    name: Annotated[
        str | None, Parameter(validator=plain_name, help="Name of the method's folder; default: its name and key.")
    ] = None,
    tensorboard: Annotated[
        bool, Parameter(negative="", show_default=False, help="Also write TensorBoard event files.")
    ] = False,
    profile_step: Annotated[
        bool, Parameter(negative="", show_default=False, help="Only profile a few steps: shares, and a trace to open.")
    ] = False,
    force: Annotated[
        bool,
        Parameter(
            negative="", show_default=False, help="Train again from the beginning; an earlier run is kept beside it."
        ),
    ] = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Meta-train a method on a dataset and meta-test it on unseen tasks.

    Runs resume: give the same command again after an interruption, and what is
    finished is not done again. Each run is tested at the end with its own collector
    and with offline context; `selectrl evaluate` tests it in other ways.
    """
    require_cores(threads)
    layers = experiment_layers(method=method, env=env, profile=profile, ablation=ablation, file=file, settings=set_)
    experiment = build_experiment(layers, name or default_name(method, ablation, file))
    if dry_run:
        show(experiment, json=json)
        return
    wanted = [seed] if seed is not None else list(range(seeds))
    execution = Execution(
        data=data,
        device=device,
        engine=engine,
        population=population,
        tensorboard=tensorboard,
        gin=as_layer(experiment).text,
    )
    launcher, each = launcher_for(len(wanted), jobs or execution.processes)
    folder = out / experiment.env_name / (name or experiment.folder_name)
    todo = [
        Job(
            folder=folder / f"seed{one}",
            experiment=experiment,
            seed=one,
            execution=attrs.evolve(execution, threads=threads_of(folder / f"seed{one}", threads, each)),
        )
        for one in wanted
    ]
    warn_of_drift(data / experiment.env_name / experiment.data.name)
    if profile_step:
        show_profile(todo[0], json=json)
        return
    for job in todo if force else ():
        kept = set_aside(job.folder)
        if kept is not None:
            say(f"the earlier run of {job.name} is kept in {kept}")
    with bars() as shown:
        results = carry_out(launcher, todo, shown)
    finish(folder, results, json=json)


def carry_out(launcher: Launcher, jobs: list[Job], shown: Bars) -> list[dict[str, Any]]:
    """Run the jobs, show how they go on, and return their figures.

    Raises:
        InputError: the input of a run was wrong.
        RunError: a run failed; the others have ended.
    """
    results: dict[int, dict[str, Any]] = {}
    failures: list[tuple[str, int]] = []
    states: dict[int, dict[str, str]] = {job.seed: {} for job in jobs}

    def tell(event: Event) -> None:
        if event.kind == "record":
            note(shown, event, states[event.job.seed])
        elif event.kind == "done":
            results[event.job.seed] = event.value
        elif event.kind in ("failed", "lost"):
            failures.append(event.value)

    launcher.run(jobs, tell)
    for sentence, _ in failures[1:]:
        say(sentence)
    if failures:
        sentence, code = failures[0]
        raise InputError(sentence) if code == InputError.exit_code else RunError(sentence)
    return [results[job.seed] for job in jobs]


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


def show_profile(job: Job, *, json: bool) -> None:
    """Profile a few steps of a job and print their shares."""
    from selectrl.experiment.profiling import profile_step
    from selectrl.experiment.run import Run

    found = profile_step(Run(job.folder, job.experiment, job.seed, job.execution))
    if json:
        emit(found)
        return
    for title, kind in ((f"One step: {found['ms_per_step']:.2f} ms", "shares"), ("Longest operations", "operations")):
        table(title, ["", "share"], [[name, f"{share:.1%}"] for name, share in found[kind].items()])
        line()
    line(f"Trace in {found['trace']}; open it at https://ui.perfetto.dev")


def show(experiment: Experiment, *, json: bool) -> None:
    """Print a resolved experiment: as gin bindings, which a file of the user's may hold, or as its record."""
    if json:
        emit({"key": experiment.key, "experiment": to_record(experiment)})
        return
    line(f"# {experiment.name} on {experiment.env_name}, key {experiment.key}")
    line(as_layer(experiment).text.strip())


def note(shown: Bars, event: Event, state: dict[str, str]) -> None:
    """Show a record on its job's bar."""
    job, record, total = event.job, event.value, event.job.experiment.train.steps
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
