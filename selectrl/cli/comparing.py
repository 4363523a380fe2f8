"""What ``selectrl compare`` and ``selectrl ablate`` share: from rows to runs, a report and verdicts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import attrs
from cyclopts import Parameter

from selectrl.cli.board import board
from selectrl.cli.collect import fill
from selectrl.cli.options import JOBS, SEEDS, Data, Device, DryRun, EngineMode, Json, Population, TrainThreads
from selectrl.cli.report import tell_left_out
from selectrl.cli.screen import emit, line, say, table
from selectrl.compare.fairness import Fairness
from selectrl.compare.plan import Plan, Row, make_plan
from selectrl.compare.run import carry_out, fairness_of
from selectrl.compare.state import Estimate, estimate
from selectrl.compare.verdicts import verdicts
from selectrl.data.manifest import NAME
from selectrl.errors import InputError, RunError, suggest
from selectrl.experiment.config import Experiment
from selectrl.experiment.execution import Execution
from selectrl.gin_edge import as_layer, build_collection, shipped, shipped_layer, user_layers
from selectrl.gin_text import Layer
from selectrl.launch.choice import LAUNCHERS, choose
from selectrl.launch.local import require_cores
from selectrl.locks import locked
from selectrl.runs.layout import EXPERIMENT

if TYPE_CHECKING:
    from selectrl.report import Report


@Parameter(name="*")
@attrs.frozen(kw_only=True)
class Options:
    """How a comparison is carried out.

    Attributes:
        seeds: seeds of each method.
        jobs: runs side by side on this machine.
        threads: threads of each run.
        launcher: where runs are carried out.
        launcher_set: settings of the launcher, ``name=value``.
        preset: behaviour preset to collect a missing dataset with.
        allow_differences: go on where the rows have other data or budgets.
        retry_failed: run again what failed at an earlier call.
        data: folder of the datasets.
        out: folder of the runs.
        dry_run: stop after the plan.
        json: print one JSON object.
        device: where they train.
        engine: how steps run.
        population: seeds side by side on CUDA, at most.
    """

    seeds: Annotated[int, SEEDS, Parameter(help="How many seeds of each method: 0, 1, and so on.")] = 1
    jobs: Annotated[int | None, JOBS, Parameter(help="Runs side by side; default: as many as cores.")] = None
    threads: TrainThreads = None
    launcher: Annotated[str, Parameter(help=f"Where runs are carried out: {', '.join(LAUNCHERS)}.")] = "local"
    launcher_set: Annotated[
        tuple[str, ...],
        Parameter(negative="", show_default=False, help="Set one thing of the launcher, for example time=240 minutes."),
    ] = ()
    preset: Annotated[str | None, Parameter(help="Collect a missing dataset with this behaviour preset.")] = None
    allow_differences: Annotated[
        bool, Parameter(negative="", show_default=False, help="Compare rows with other data or another budget, too.")
    ] = False
    retry_failed: Annotated[
        bool, Parameter(negative="", show_default=False, help="Run again what failed at an earlier call.")
    ] = False
    data: Data = Path("data")
    out: Annotated[Path, Parameter(help="Folder of the runs; the report lies in its folder report.")] = Path("runs")
    dry_run: DryRun = False
    json: Json = False
    device: Device = "cpu"
    engine: EngineMode = "eager"
    population: Population = 64

    @property
    def execution(self) -> Execution:
        """How each run is carried out, its threads aside."""
        return Execution(data=self.data, device=self.device, engine=self.engine, population=self.population)


def row(experiment: Experiment, tuning: str = "no tuning") -> Row:
    """Return an experiment as a row, with what was spent on tuning it."""
    return Row(experiment=experiment, gin=as_layer(experiment).text, tuning=tuning)


def settings_of(settings: Sequence[str]) -> list[Layer]:
    """Return ``--set`` bindings as layers that a row without such a part, or use for such a macro, passes over."""
    shared = {name for path in shipped("envs").values() for name in re.findall(r"^(\w+) =", path.read_text(), re.M)}
    paths = [text.partition("=")[0].strip() for text in settings]
    layers = user_layers(None, settings)
    return [attrs.evolve(one, own="." in path or path in shared) for one, path in zip(layers, paths, strict=True)]


def refuse_unused(rows: Sequence[Row], settings: Sequence[str]) -> None:
    """Refuse a binding that no row has.

    Raises:
        InputError: there is one; the sentence names it.
    """
    bound = {line.partition(" = ")[0] for row in rows for line in row.gin.splitlines() if line}
    for setting in settings:
        path = setting.partition("=")[0].strip()
        if "." in path and path not in bound:
            near = suggest(path, {one for one in bound if one.startswith(path.partition(".")[0])})
            raise InputError(f"--set {setting}: {path} is bound but no row uses it; {near}")


def conduct(rows: Sequence[Row], options: Options) -> None:
    """Plan, say what it takes, run what is missing, and say what came out.

    Raises:
        InputError: a row, a setting or the data are wrong, or the rows are not to be compared.
        RunError: a run failed; what the others say is printed all the same.
    """
    if options.launcher != "slurm":  # whose tasks run on other machines
        require_cores(options.threads)
    plan = make_plan(rows, options.seeds, options.data, options.out)
    execution, runs = options.execution, len(plan.policies) * plan.seeds
    launcher, each, width = choose(options.launcher, options.launcher_set, runs, options.jobs or execution.processes)
    takes = estimate(plan, width)
    missing = [one for one in _datasets(plan) if not (one[0] / NAME).exists()]
    fairness = {env: fairness_of(plan, env) for env in plan.envs if not any(env == m[1].env_name for m in missing)}
    if options.dry_run and options.json:
        emit({**_planned(plan, takes), "fairness": {env: one.record().to_json() for env, one in fairness.items()}})
        return
    if options.dry_run or not options.json:
        _show(plan, takes, fairness)
    if options.dry_run:
        return
    for folder, experiment in missing:
        _collect(folder, experiment, options)
    for env in plan.envs:
        found = fairness_of(plan, env)
        if not options.allow_differences:
            found.refuse()
    if takes.seconds is None and not options.json:
        line(f"Timed here, meta-tests not counted: {clock(estimate(plan, width, _timed(plan, options.data)).seconds)}.")
    jobs = plan.jobs(attrs.evolve(execution, threads=each), options.threads)
    with locked(options.out / ".comparison"), board(jobs) as shown:
        outcome = carry_out(plan, jobs, launcher, shown.show, retry=options.retry_failed)
    for env in plan.envs:
        fairness_of(plan, env).record().write(options.out / env)
    said = verdicts(plan, outcome.done)
    report = _report(plan, options.out) if outcome.done else None
    if report:
        tell_left_out(report)
    if options.json:
        left_out = [one.record() for one in report.left_out] if report else []
        written = {"report": str(report.page) if report else None, "left_out": left_out}
        emit({**_planned(plan, takes), "failed": dict(outcome.failed), "verdicts": said, **written})
    else:
        for one in said:
            line(one["sentence"])
        if report:
            line(f"Open {report.page}")
    if outcome.failed:
        for name, reason in outcome.failed.items():
            say(f"{name}: {reason}")
        remedy = "give the same command again" if outcome.retryable else "--retry-failed tries them again"
        raise RunError(f"{len(outcome.failed)} of {len(jobs)} runs failed; {remedy}")


def _datasets(plan: Plan) -> list[tuple[Path, Experiment]]:
    """Return the folder of every dataset, with an experiment that reads it."""
    found = {
        plan.data / row.experiment.env_name / row.experiment.data.name: row.experiment for row in reversed(plan.rows)
    }
    return list(found.items())


def _collect(folder: Path, experiment: Experiment, options: Options) -> None:
    """Collect a missing dataset, if that was asked for."""
    if options.preset is None:
        raise InputError(f"there is no dataset in {folder}; --preset laptop collects it first")
    layers = [shipped_layer("behaviour", options.preset), as_layer(experiment.env)]
    family = f"collection.env = @{layers[1].name}()"
    fill(build_collection([attrs.evolve(layers[1], text=f"{family}\n{layers[1].text}"), layers[0]]), folder)


def _timed(plan: Plan, data: Path) -> dict[Path, float]:
    """Take a few steps of each policy's training, one thread each, and return the seconds that all of it takes."""
    from selectrl.compare.calibrate import training_seconds
    from selectrl.experiment.run import Run

    runs = {one.folder: Run(one.folder, one.experiment, 0, Execution(data=data)) for one in plan.policies}
    return {folder: training_seconds(run) for folder, run in runs.items()}


def _report(plan: Plan, out: Path) -> Report:
    from selectrl.report import build_report

    folders = [policy.folder for policy in plan.policies if any(policy.folder.glob(f"seed*/{EXPERIMENT}"))]
    return build_report(folders, out / "report")


def _planned(plan: Plan, takes: Estimate) -> dict[str, Any]:
    policies = [
        {
            "folder": str(one.folder),
            "env": one.experiment.env_name,
            "rows": [row.experiment.name for row in one.rows],
            "steps": one.experiment.train.steps,
        }
        for one in plan.policies
    ]
    return {"policies": policies, "seeds": plan.seeds, "estimate": attrs.asdict(takes)}


def _show(plan: Plan, takes: Estimate, fairness: dict[str, Fairness]) -> None:
    """Print the plan, what it takes, and what the rows share and do not."""
    table(
        "Plan",
        ["environment", "row", "trained in", "updates"],
        [
            [p.experiment.env_name, r.experiment.name, p.folder.name, str(p.experiment.train.steps)]
            for p in plan.policies
            for r in p.rows
        ],
    )
    time = "not timed here yet" if takes.seconds is None else f"about {clock(takes.seconds)}"
    line(f"{takes.runs} runs ({takes.done} done), {takes.left:,} of {takes.steps:,} steps left, time {time}.")
    for env, found in fairness.items():
        checks = [["yes" if one.ok else "NO", one.what, one.detail] for one in found.checks]
        table(f"Fairness on {env}", ["", "condition", "found"], checks)
        differs = [[what, _grouped(values)] for what, values in found.differs.items()]
        if differs:
            table(f"What differs on {env}", ["binding", "values"], differs)


def _grouped(values: Mapping[str, object]) -> str:
    """Return who has which value, one value after another."""
    groups: dict[str, list[str]] = {}
    for name, value in values.items():
        groups.setdefault(str(value), []).append(name)
    return "; ".join(f"{value} ({', '.join(names)})" for value, names in groups.items())


def clock(seconds: float | None) -> str:
    """Return a duration as people say it."""
    if seconds is None:
        return "unknown"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min" if minutes else "a minute"
