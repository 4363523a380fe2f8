"""The files of a run, one function each: what can be used of them, or an ``InputError`` that says why it cannot."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError

from selectrl.envs.split import split_tasks
from selectrl.errors import InputError, printable
from selectrl.experiment.config import from_record
from selectrl.files import is_there, read_json, read_text
from selectrl.json_text import parse
from selectrl.plugins import is_changed
from selectrl.registry import FAMILIES
from selectrl.report.records import (
    EQUAL_BUDGET,
    LARGEST,
    Bindings,
    Curve,
    Diagnostics,
    Evaluation,
    Fairness,
    Traces,
    is_usable,
    usable,
)
from selectrl.tensor_files import open_tensors

SETTINGS = ("protocol", "prior", "budget", "block", "gate", "test_seed")

T = TypeVar("T")


class Log(NamedTuple):
    """What a run's log says of its rl phase.

    Attributes:
        tested: (step, return) of the meta-tests while training, by label.
        values: (step, value) of what losses logged, by name.
        speed: median steps per second; absent where none was logged.
        reached: the last step.
        skipped: which of its lines could not be used, and why; empty where all could.
    """

    tested: dict[str, Curve]
    values: dict[str, Curve]
    speed: float | None
    reached: int
    skipped: str


NO_LOG = Log(tested={}, values={}, speed=None, reached=0, skipped="")


def log(file: Path, steps: int | None) -> Log:
    """Read ``metrics.jsonl``, as far as it is there, without the lines that cannot be used.

    Args:
        file: where it lies.
        steps: training steps of the whole run, where they are bound.
    """
    tested: dict[str, dict[int, float]] = {}
    values: dict[str, dict[int, float]] = {}
    speeds: list[float] = []
    reached, skipped = 0, []
    for place, line in enumerate(read_text(file, errors="replace").splitlines() if is_there(file) else (), 1):
        try:
            entry = parse(line)
            if entry.get("phase", "rl") != "rl":  # curves, rates and the end of a run count steps of the rl phase
                continue
            step, kind = integer(entry["step"], "step", steps), entry["kind"]
            if kind == "test":
                tested.setdefault(text(entry["collector"]), {})[step] = _number(entry["return"])
            elif kind == "train":
                logged = {text(name): _number(value) for name, value in entry["values"].items()}
                speeds.append(_number(entry["steps_per_second"]))
                for name, value in logged.items():
                    values.setdefault(name, {})[step] = value
            reached = max(reached, step)
        except (ValueError, TypeError, KeyError, AttributeError, InputError):
            skipped.append(place)
    speed = float(np.median(speeds)) if speeds else None
    return Log(_curves(tested), _curves(values), speed, reached, _skipped(skipped))


def _skipped(places: list[int]) -> str:
    """Say which lines of a log could not be used."""
    if not places:
        return ""
    lines = (
        f"{len(places)} of its lines, the first of them line {places[0]}, are" if places[1:] else f"line {places[0]} is"
    )
    return f"{lines} damaged, of a step beyond the run's last, or with a number beyond {LARGEST:g}"


@cache
def _test_tasks(env: str, split: str) -> frozenset[int]:
    return frozenset(split_tasks(FAMILIES.build(from_record(parse(env), "env")), split)[1])


def test_tasks(experiment: Bindings) -> frozenset[int]:
    """Return the tasks that a run may be tested on; an ``InputError`` says why its task family cannot be built here."""
    split = mapping(experiment.get("data", {}), "data").get("split", "family")
    try:
        return _test_tasks(json.dumps(experiment["env"], sort_keys=True), str(split))
    except InputError as error:
        raise InputError(f"its test tasks cannot be checked ({error})") from error


class Expected(NamedTuple):
    """Facts of a run that its evaluations must agree with.

    Attributes:
        env: its environment.
        steps: training steps of the whole run, where they are bound.
        tasks: tasks that it may be tested on, where its task family can be built here.
        data: fingerprint of the data that it was trained on, as far as it is recorded.
        sources: fingerprints of the source code of outside parts that it was trained with, by part.
    """

    env: str
    steps: int | None
    tasks: frozenset[int] | None
    data: object
    sources: Bindings


def evaluation(file: Path, run: Expected) -> Evaluation:
    """Read one evaluation, without its traces, and hold it against its run and against itself."""
    record = json_object(file)
    step = field(record, "train_step", int)
    if run.steps is not None and step < run.steps:
        raise InputError(f"half-finished: evaluated at step {step:,} of {run.steps:,}")
    integer(step, "train_step", run.steps)
    if record.get("env", run.env) != run.env:
        raise InputError(f"evaluated on {record['env']}, but the run is one of {run.env}")
    try:
        returns = np.array(record["returns"], dtype=np.float64)
        tasks = tuple(integer(task, "tasks") for task in record["tasks"])
        context_steps = tuple(integer(step, "context_steps") for step in record["context_steps"])
        spent = record.get("env_steps", {}).items()
        env_steps = {str(name): integer(value, "env_steps") for name, value in spent}
    except (KeyError, TypeError, ValueError, AttributeError, InputError) as error:
        raise InputError(f"corrupt: tasks, context_steps, env_steps or returns cannot be read ({error})") from error
    expected = (len(tasks), len(context_steps))
    if returns.ndim != 3 or returns.size == 0 or (returns.shape[0], returns.shape[2]) != expected:
        raise InputError(
            f"corrupt: returns are {returns.shape}, expected ({expected[0]} tasks, repeats, {expected[1]})"
        )
    if not np.isfinite(returns).all():
        raise InputError("corrupt: returns are not all finite numbers")
    if not usable(returns).all():
        largest = returns.flat[np.abs(returns).argmax()]
        raise InputError(f"corrupt: a return is {largest:g}; expected numbers of a size up to {LARGEST:g}")
    if record.get("repeats", returns.shape[1]) != returns.shape[1]:
        raise InputError(f"corrupt: repeats are {record['repeats']!r}, but the returns are of {returns.shape[1]}")
    if len(set(tasks)) < len(tasks):
        raise InputError("corrupt: a task is tested twice")
    if run.tasks is not None and not run.tasks >= set(tasks):
        other = min(set(tasks) - run.tasks)
        raise InputError(f"corrupt: task {other} is not a test task of the run, which are {_listed(run.tasks)}")
    if (np.diff(context_steps) <= 0).any():
        raise InputError("corrupt: context_steps do not increase")
    budget = record.get("budget")
    if isinstance(budget, int) and context_steps[-1] > budget:
        raise InputError(f"corrupt: context_steps end at {context_steps[-1]:,}, beyond the budget of {budget:,}")
    protocol = record.get("protocol") or EQUAL_BUDGET
    if not (isinstance(protocol, str) and protocol.isidentifier()):  # it names files
        raise InputError(f"corrupt: {protocol!r} is no name of a protocol")
    quirks, dataset = record.get("quirks", []), record.get("dataset")
    return Evaluation(
        label=text(file.stem),
        collector=mapping(record.get("collector"), "collector"),
        settings={name: record.get(name) for name in SETTINGS} | {"protocol": protocol},
        tasks=tasks,
        context_steps=context_steps,
        returns=returns,
        env_steps=env_steps,
        other_data=text(dataset) if dataset not in (None, run.data) else None,
        other_code=_other_code(record.get("sources"), run.sources),
        quirks=tuple(map(text, quirks)) if isinstance(quirks, list) else (),
    )


def _other_code(sources: object, trained: Bindings) -> str | None:
    """Return the first part that an evaluation was made with other source code of than the training, or None."""
    parts = sources if isinstance(sources, dict) else {}
    changed = (part for part, found in parts.items() if isinstance(found, str) and is_changed(trained.get(part), found))
    return next(map(text, changed), None)


def traces(file: Path, of: Evaluation) -> Traces:
    """Read what an evaluation left besides returns; paths are read when they are drawn."""
    arrays = tensors(file, ("parameters", "latents"))
    parameters, latents = arrays.get("parameters"), arrays.get("latents")
    tasks = len(of.tasks)
    if parameters is None or parameters.ndim != 2 or len(parameters) != tasks or not usable(parameters).all():
        raise InputError(f"corrupt: {file.name} does not hold the parameters of {tasks} tasks")
    *worlds, points = of.returns.shape
    if latents is not None and (latents.ndim != 4 or latents.shape[:3] not in ((*worlds, points), (*worlds, 1))):
        raise InputError(f"corrupt: latents of {latents.shape} do not fit returns of {of.returns.shape}")
    last = None if latents is None else latents[:, :, -1]  # an export holds no others
    return Traces(file=file, parameters=parameters.astype(np.float64), latents=last)


def diagnostics(record_file: Path) -> Diagnostics | None:
    """Read ``diagnostics.json`` and the arrays beside it; ``None`` where there is neither."""
    arrays_file = record_file.with_suffix(".safetensors")
    has_arrays, has_record = is_there(arrays_file), is_there(record_file)
    if not has_arrays and not has_record:
        return None
    names = ("train_latents", "train_parameters", "test_latents", "test_parameters")
    arrays = tensors(arrays_file, names) if has_arrays else {}
    swap = json_object(record_file).get("donor_swap") if has_record else None
    follow = mapping(swap, "donor_swap").get("follow") if swap is not None else None
    if follow is not None and not is_usable(follow):
        raise InputError(f"corrupt: expected donor_swap.follow as a number, got {follow!r}")
    if arrays and not all(
        _fit(arrays.get(f"{of}_latents"), arrays.get(f"{of}_parameters")) for of in ("train", "test")
    ):
        raise InputError(f"corrupt: {arrays_file.name} holds no latents (task, draw, latent) that fit its parameters")
    return Diagnostics(arrays=arrays, follow=follow)


def fairness(file: Path) -> Fairness:
    """Read what a comparison says of its own fairness."""
    record = json_object(file)
    try:
        return Fairness(
            same={text(name): value for name, value in record.get("same", {}).items()},
            differs=[(text(one["what"]), dict(one["values"])) for one in record.get("differs", [])],
            checks=[(text(one["what"]), bool(one["ok"]), text(one.get("detail", ""))) for one in record["checks"]],
            rows={text(name): mapping(row, "row") for name, row in record.get("rows", {}).items()},
        )
    except (KeyError, TypeError, ValueError, AttributeError, InputError) as error:
        raise InputError(f"corrupt: {file.name} is not a record of fairness ({error!r})") from error


def tensors(file: Path, names: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    """Return those of the named arrays that a safetensors file holds."""
    try:
        with open_tensors(file) as handle:
            return {name: handle.get_tensor(name) for name in names if name in handle.keys()}  # noqa: SIM118
    except (SafetensorError, ValueError) as error:
        raise InputError(f"corrupt: {file.name} cannot be read ({error})") from error


def text(value: object) -> str:
    """Return what can be printed of a name."""
    return printable(str(value))


def part(experiment: Bindings, name: str) -> str:
    """Return the registered name of a part, without its registry."""
    return text(field(mapping(experiment.get(name), f"experiment.json: {name}"), "part", str).rpartition(".")[2])


def json_object(file: Path) -> Bindings:
    """Read a JSON object."""
    return mapping(read_json(file), file.name)


def mapping(value: Any, name: str) -> Bindings:
    """Return the value if it is a JSON object."""
    if not isinstance(value, dict):
        raise InputError(f"corrupt: {name} is not a JSON object")
    return value


def field(record: Bindings, name: str, kind: type[T]) -> T:
    """Return a field of the given type."""
    value = record.get(name)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise InputError(f"corrupt: expected {name} as {kind.__name__}, got {value!r}")
    return value


def integer(value: object, name: str, most: int | None = None) -> int:
    """Return a value that is a whole number from 0, up to a largest one where that is given."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise InputError(f"corrupt: expected {name} as whole numbers from 0, got {value!r:.80}")
    if most is not None and value > most:
        raise InputError(f"corrupt: {name} is {value:,}, beyond the run's {most:,} steps")
    return value


def _number(value: object) -> float:
    if not is_usable(value):
        raise InputError(f"{value!r:.80} is not a number of a size up to {LARGEST:g}")
    return float(value)


def _listed(tasks: Iterable[int]) -> str:
    """Return tasks in order, the first and the last of them where there are many."""
    names = [str(task) for task in sorted(tasks)]
    return ", ".join(names if len(names) <= 12 else [*names[:8], "…", names[-1]])


def _fit(latents: NDArray[Any] | None, parameters: NDArray[Any] | None) -> bool:
    """Say whether latents (task, draw, latent) and parameters (task, parameter) are finite and of the same tasks."""
    if latents is None or parameters is None or latents.ndim != 3 or parameters.ndim != 2:
        return False
    return len(latents) == len(parameters) and bool(usable(latents).all() and usable(parameters).all())


def _curves(points: dict[str, dict[int, float]]) -> dict[str, Curve]:
    return {name: tuple(sorted(curve.items())) for name, curve in points.items()}
