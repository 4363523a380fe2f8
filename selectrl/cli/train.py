"""``selectrl train``: meta-train a method with one or several seeds, and meta-test it on unseen tasks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

import selectrl
from selectrl.api.training import plan_runs
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
    check_plain_name,
)
from selectrl.cli.screen import Bars, draw_bars, emit, line, say, table
from selectrl.experiment.config import Experiment, to_record
from selectrl.experiment.execution import Execution
from selectrl.gin_edge import as_layer
from selectrl.launch.job import Event, Job


def train(
    file: Annotated[Path | None, Parameter(help="Your gin file, applied over method, env and profile.")] = None,
    /,
    *,
    method: Method = None,
    env: Env = None,
    profile: Profile = None,
    ablation: Ablation = None,
    set_: Sets = (),
    seeds: Annotated[int, SEEDS, Parameter(help="Number of seeds: 0, 1, and so on.")] = 1,
    seed: Annotated[int | None, SEED, Parameter(help="Train only this seed instead.")] = None,
    jobs: Annotated[
        int | None, JOBS, Parameter(help="Runs in parallel; default: one per core, one thread each.")
    ] = None,
    threads: TrainThreads = None,
    device: Device = "cpu",
    engine: EngineMode = "eager",
    population: Population = 64,
    data: Data = Path("data"),
    out: Annotated[Path, Parameter(help="Folder of the runs.")] = Path("runs"),
    name: Annotated[
        str | None,
        Parameter(validator=check_plain_name, help="Name of the method's folder; default: its name and key."),
    ] = None,
    tensorboard: Annotated[
        bool, Parameter(negative="", show_default=False, help="Also write TensorBoard event files.")
    ] = False,
    profile_step: Annotated[
        bool,
        Parameter(negative="", show_default=False, help="Only profile a few steps: shares of time, and a trace file."),
    ] = False,
    force: Annotated[
        bool,
        Parameter(negative="", show_default=False, help="Train again from the beginning; the earlier run is renamed."),
    ] = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Meta-train a method on a dataset and meta-test it on unseen tasks.

    Runs resume: give the same command again after an interruption, and finished
    work is not repeated. Each run is tested at the end with its own collector and
    with offline context; `selectrl evaluate` tests it in other ways.
    """
    experiment = selectrl.compose(method, env, profile=profile, ablation=ablation, file=file, settings=set_, name=name)
    if dry_run:
        show_experiment(experiment, json=json)
        return
    numbers = [seed] if seed is not None else list(range(seeds))
    if profile_step:
        execution = Execution(data=data, device=device, engine=engine, population=population)
        planned = plan_runs(experiment, numbers, execution, out=out, name=name, jobs=jobs, threads=threads)
        show_profile(planned.jobs[0], json=json)
        return
    with draw_bars() as bars:
        training = TrainingBars(bars)
        try:
            runs = selectrl.train(
                experiment,
                seeds=numbers,
                jobs=jobs,
                threads=threads,
                device=device,
                engine=engine,
                population=population,
                data=data,
                out=out,
                name=name,
                tensorboard=tensorboard,
                force=force,
                progress=training.show,
            )
        finally:
            for sentence in training.failures[1:]:  # the first one ends the command
                say(sentence)
    show_returns(runs[0].folder.parent, [training.figures[number] for number in numbers], json=json)


class TrainingBars:
    """Shows the events of several seeds on bars, and keeps their results.

    Attributes:
        figures: returns and times of the finished runs, by seed.
        failures: the sentences of the others.
    """

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._words: dict[int, dict[str, str]] = {}
        self.figures: dict[int, dict[str, Any]] = {}
        self.failures: list[str] = []

    def show(self, event: Event) -> None:
        """Show an event."""
        match event.kind:
            case "set aside":
                say(f"the earlier run of {event.job.name} was renamed to {event.value}")
            case "record":
                self._note(event)
            case "done":
                self.figures[event.job.seed] = event.value
            case "failed" | "lost":
                self.failures.append(event.value.sentence)

    def _note(self, event: Event) -> None:
        """Show a record on its job's bar."""
        job, record, total = event.job, event.value, event.job.experiment.train.steps
        words = self._words.setdefault(job.seed, {})
        if record["kind"] == "test":
            words["test"] = f"test return {record['return']:.2f}"
        else:
            words["rate"] = f"{record['steps_per_second']:.0f} steps/s"
            if record["phase"] != "rl":
                done, phase_steps = record["step"], record["phase_steps"]
                tell = done == phase_steps or done % job.experiment.train.test_every == 0
                self._bars.update(f"{job.name} {record['phase']}", done, phase_steps, words["rate"], tell=tell)
                return
        text = "  ".join(words[key] for key in ("rate", "test") if key in words)
        self._bars.update(job.name, record["step"], total, text, tell=record["kind"] == "test")


def show_returns(folder: Path, results: list[dict[str, Any]], *, json: bool) -> None:
    """Print the returns of the runs."""
    if json:
        emit({"folder": str(folder), "runs": results})
        return
    rows = [
        [
            str(figures["seed"]),
            f"{figures['context_free']:.2f}",
            f"{figures['return']:.2f}",
            f"{figures['offline']:.2f}",
            f"{figures['wall_seconds']:.0f} s" if figures["trained"] else "done before",
        ]
        for figures in results
    ]
    table(
        "Mean return on unseen tasks",
        ["seed", "no context", f"{results[0]['collector']} context", "offline context", "training"],
        rows,
    )
    line(f"Runs in {folder}. Next: selectrl report {folder}")


def show_profile(job: Job, *, json: bool) -> None:
    """Profile a few steps of a job and print the shares of their parts."""
    from selectrl.experiment.profiling import profile_step
    from selectrl.experiment.run import Run

    profile = profile_step(Run(job.folder, job.experiment, job.seed, job.execution))
    if json:
        emit(profile)
        return
    for title, kind in ((f"One step: {profile['ms_per_step']:.2f} ms", "shares"), ("Longest operations", "operations")):
        table(title, ["", "share"], [[name, f"{share:.1%}"] for name, share in profile[kind].items()])
        line()
    line(f"Trace in {profile['trace']}; open it at https://ui.perfetto.dev")


def show_experiment(experiment: Experiment, *, json: bool) -> None:
    """Print a resolved experiment: as gin bindings for a user's file, or as its record."""
    if json:
        emit({"key": experiment.key, "experiment": to_record(experiment)})
        return
    line(f"# {experiment.name} on {experiment.env_name}, key {experiment.key}")
    line(as_layer(experiment).text.strip())
