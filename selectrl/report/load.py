"""From run directories to records; what cannot be used is left out and named, never guessed."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import attrs
import numpy as np

from selectrl.errors import InputError
from selectrl.files import read_json
from selectrl.report.records import Bindings, Evaluation, Omission, Run

RUN_FILE = "experiment.json"
SETTINGS = ("protocol", "prior", "budget", "block")

T = TypeVar("T")


def load(paths: Sequence[Path]) -> tuple[list[Run], list[Omission]]:
    """Read every run at or below the given paths.

    Args:
        paths: run directories, or folders above them.

    Returns:
        The usable runs ordered by environment, method and seed, and what was left out.

    Raises:
        InputError: a path does not exist, or no run directory lies at or below it.
    """
    runs: dict[tuple[str, str, int], Run] = {}  # by environment, folder and seed
    omissions: list[Omission] = []
    for folder in _folders(paths):
        try:
            run, partly = _run(folder)
        except InputError as error:
            omissions.append(Omission(folder, str(error)))
            continue
        omissions += partly
        first = runs.setdefault((run.env, run.folder, run.seed), run)
        if first is not run:
            reason = f"seed {run.seed} of {run.folder} is already read from {first.path}; rename one of the folders"
            omissions.append(Omission(folder, reason))
    return sorted(_called(runs.values()), key=lambda run: (run.env, run.method, run.seed)), omissions


def _called(runs: Iterable[Run]) -> list[Run]:
    """Call each method by its experiment's name, or by its folder where two folders of one environment share a name."""
    folders: dict[tuple[str, str], set[str]] = {}
    for run in runs:
        folders.setdefault((run.env, run.method), set()).add(run.folder)
    return [run if len(folders[run.env, run.method]) == 1 else attrs.evolve(run, method=run.folder) for run in runs]


def _folders(paths: Sequence[Path]) -> list[Path]:
    """Return the run directories, each once."""
    found: dict[Path, Path] = {}
    for path in paths:
        if not path.is_dir():
            raise InputError(f"{path} is not a folder; give run directories or a folder above them")
        folders = sorted({file.parent for file in path.rglob(RUN_FILE)})
        if not folders:
            raise InputError(f"no run lies at or below {path} (none of its folders holds {RUN_FILE})")
        for folder in folders:
            found.setdefault(folder.resolve(), folder)
    return list(found.values())


def _run(folder: Path) -> tuple[Run, list[Omission]]:
    """Read one run directory; an ``InputError`` says why it cannot be used."""
    record = _object(folder / RUN_FILE)
    experiment = _mapping(record.get("experiment"), f"{RUN_FILE}: experiment")
    env = _part(experiment, "env")
    if not env.replace("_", "").isalnum():
        raise InputError(f"corrupt: {env!r} is no name of an environment")
    steps = _mapping(experiment.get("train", {}), "train").get("steps")
    tested, speed, reached = _metrics(folder / "metrics.jsonl")
    omissions: list[Omission] = []
    evaluations: dict[str, Evaluation] = {}
    for file in sorted((folder / "evaluations").glob("*.json")):
        try:
            evaluations[text(file.stem)] = _evaluation(file, env, steps)
        except InputError as error:
            omissions.append(Omission(file, str(error)))
    own = _own(experiment, evaluations)
    if own is None:
        if omissions:
            raise InputError(f"{omissions[0].path.name}: {omissions[0].reason}")
        wanted = _part(experiment, "collector")
        progress = f"; training reached step {reached:,}" + (f" of {steps:,}" if isinstance(steps, int) else "")
        raise InputError(f"unfinished: not evaluated with its own collector, {wanted}{progress if reached else ''}")
    try:
        execution = _object(folder / "execution.json")
    except InputError as error:
        execution = {}
        omissions.append(Omission(folder / "execution.json", f"{error}; the run itself is kept"))
    run = Run(
        path=folder,
        env=env,
        folder=text(folder.resolve().parent.name),
        method=text(_field(record, "name", str)),
        seed=_field(record, "seed", int),
        experiment=experiment,
        execution=execution,
        evaluations=evaluations,
        own=own,
        tested=tested,
        speed=speed,
    )
    return run, omissions


def _own(experiment: Bindings, evaluations: Mapping[str, Evaluation]) -> str | None:
    """Return the label of the evaluation with the experiment's collector: equal bindings before an equal part."""
    bound = _mapping(experiment.get("collector"), f"{RUN_FILE}: collector")
    tests: list[Callable[[Evaluation], bool]] = [
        lambda one: one.collector == bound and one.label == _part(experiment, "collector"),
        lambda one: one.collector == bound,
        lambda one: one.collector.get("part") == bound.get("part"),
    ]
    for test in tests:
        for label, evaluation in evaluations.items():
            if test(evaluation):
                return label
    return None


def _evaluation(file: Path, env: str, steps: object) -> Evaluation:
    """Read one evaluation; an ``InputError`` says why it cannot be used."""
    record = _object(file)
    step = record.get("train_step")
    if isinstance(steps, int) and isinstance(step, int) and step < steps:
        raise InputError(f"half-finished: evaluated at step {step:,} of {steps:,}")
    if record.get("env", env) != env:
        raise InputError(f"evaluated on {record['env']}, but the run is one of {env}")
    try:
        returns = np.array(record["returns"], dtype=np.float64)
        tasks = tuple(int(task) for task in record["tasks"])
        context_steps = tuple(int(step) for step in record["context_steps"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"corrupt: tasks, context_steps or returns cannot be read ({error})") from error
    expected = (len(tasks), len(context_steps))
    if returns.ndim != 3 or returns.size == 0 or (returns.shape[0], returns.shape[2]) != expected:
        raise InputError(
            f"corrupt: returns are {returns.shape}, expected ({expected[0]} tasks, repeats, {expected[1]})"
        )
    if (np.diff(context_steps) <= 0).any():
        raise InputError("corrupt: context_steps do not increase")
    traces = file.with_suffix(".safetensors")
    return Evaluation(
        label=text(file.stem),
        collector=_mapping(record.get("collector"), "collector"),
        settings={name: record.get(name) for name in SETTINGS},
        tasks=tasks,
        context_steps=context_steps,
        returns=returns,
        env_steps={str(k): int(v) for k, v in _mapping(record.get("env_steps", {}), "env_steps").items()},
        traces=traces if traces.is_file() else None,
    )


def _metrics(file: Path) -> tuple[dict[str, tuple[tuple[int, float], ...]], float | None, int]:
    """Read (step, return) by label, the median speed and the last step; a line that a kill has torn is skipped."""
    tested: dict[str, dict[int, float]] = {}
    speeds: list[float] = []
    reached = 0
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines() if file.is_file() else ():
        try:
            entry = json.loads(line)
            step, kind = int(entry["step"]), entry["kind"]
            if entry.get("phase", "rl") != "rl":  # curves, rates and the end of a run count steps of the rl phase
                continue
            reached = max(reached, step)
            if kind == "test" and math.isfinite(entry["return"]):
                tested.setdefault(text(entry["collector"]), {})[step] = float(entry["return"])
            elif kind == "train" and math.isfinite(entry["steps_per_second"]):
                speeds.append(float(entry["steps_per_second"]))
        except (ValueError, TypeError, KeyError):
            continue
    curves = {label: tuple(sorted(points.items())) for label, points in tested.items()}
    return curves, float(np.median(speeds)) if speeds else None, reached


def text(value: object) -> str:
    """Return what can be printed of a name: undecodable and control characters become a question mark."""
    return "".join(c if c.isprintable() else "?" for c in str(value).encode("utf-8", "replace").decode("utf-8"))


def _part(experiment: Bindings, field: str) -> str:
    """Return the registered name of a part, without its registry."""
    part = _field(_mapping(experiment.get(field), f"{RUN_FILE}: {field}"), "part", str)
    return text(part.rpartition(".")[2])


def _object(file: Path) -> Bindings:
    """Read a JSON object whose numbers are all finite."""
    record = _mapping(read_json(file), file.name)
    try:
        json.dumps(record, allow_nan=False)
    except ValueError as error:
        raise InputError(f"corrupt: {file.name} holds a number that is not finite") from error
    return record


def _mapping(value: Any, name: str) -> Bindings:
    """Return the value if it is a JSON object."""
    if not isinstance(value, dict):
        raise InputError(f"corrupt: {name} is not a JSON object")
    return value


def _field(record: Bindings, name: str, kind: type[T]) -> T:
    """Return a field of the given type."""
    value = record.get(name)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise InputError(f"corrupt: expected {name} as {kind.__name__}, got {value!r}")
    return value
