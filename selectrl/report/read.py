"""The files of a run, one function each: what can be used of them, or an ``InputError`` that says why it cannot."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from selectrl.errors import InputError, printable
from selectrl.files import open_regular, read_json, read_text
from selectrl.json_text import parse
from selectrl.report.records import EQUAL_BUDGET, Bindings, Curve, Diagnostics, Evaluation, Fairness, Traces

SETTINGS = ("protocol", "prior", "budget", "block", "gate", "test_seed")

T = TypeVar("T")


class Log(NamedTuple):
    """What a run's log says of its rl phase.

    Attributes:
        tested: (step, return) of the meta-tests while training, by label.
        values: (step, value) of what losses logged, by name.
        speed: median steps per second; absent where none was logged.
        reached: the last step.
    """

    tested: dict[str, Curve]
    values: dict[str, Curve]
    speed: float | None
    reached: int


def log(file: Path) -> Log:
    """Read ``metrics.jsonl``, as far as it is there; a line that a kill has torn is skipped."""
    tested: dict[str, dict[int, float]] = {}
    values: dict[str, dict[int, float]] = {}
    speeds: list[float] = []
    reached = 0
    for line in read_text(file, errors="replace").splitlines() if file.is_file() else ():
        try:
            entry = parse(line)
            step, kind = int(entry["step"]), entry["kind"]
            if entry.get("phase", "rl") != "rl":  # curves, rates and the end of a run count steps of the rl phase
                continue
            reached = max(reached, step)
            if kind == "test" and math.isfinite(entry["return"]):
                tested.setdefault(text(entry["collector"]), {})[step] = float(entry["return"])
            elif kind == "train":
                for name, value in entry["values"].items():
                    if math.isfinite(value):
                        values.setdefault(text(name), {})[step] = float(value)
                if math.isfinite(entry["steps_per_second"]):
                    speeds.append(float(entry["steps_per_second"]))
        except (ValueError, TypeError, KeyError, AttributeError):
            continue
    speed = float(np.median(speeds)) if speeds else None
    return Log(_curves(tested), _curves(values), speed, reached)


def evaluation(file: Path, env: str, steps: object, own_data: object = None) -> Evaluation:
    """Read one evaluation, without its traces.

    Args:
        file: where it lies.
        env: the run's environment.
        steps: training steps of the whole run.
        own_data: fingerprint of the data that the run was trained on, as far as it is recorded.
    """
    record = json_object(file)
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
    if not np.isfinite(returns).all():
        raise InputError("corrupt: returns are not all finite numbers")
    if (np.diff(context_steps) <= 0).any():
        raise InputError("corrupt: context_steps do not increase")
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
        env_steps={str(k): int(v) for k, v in mapping(record.get("env_steps", {}), "env_steps").items()},
        other_data=text(dataset) if dataset not in (None, own_data) else None,
        quirks=tuple(map(text, quirks)) if isinstance(quirks, list) else (),
    )


def traces(file: Path, of: Evaluation) -> Traces:
    """Read what an evaluation left besides returns; paths are read when they are drawn."""
    arrays = tensors(file, ("parameters", "latents"))
    parameters, latents = arrays.get("parameters"), arrays.get("latents")
    tasks = len(of.tasks)
    if parameters is None or parameters.ndim != 2 or len(parameters) != tasks or not np.isfinite(parameters).all():
        raise InputError(f"corrupt: {file.name} does not hold the parameters of {tasks} tasks")
    *worlds, points = of.returns.shape
    if latents is not None and (latents.ndim != 4 or latents.shape[:3] not in ((*worlds, points), (*worlds, 1))):
        raise InputError(f"corrupt: latents of {latents.shape} do not fit returns of {of.returns.shape}")
    last = None if latents is None else latents[:, :, -1]  # an export holds no others
    return Traces(file=file, parameters=parameters.astype(np.float64), latents=last)


def diagnostics(record_file: Path) -> Diagnostics | None:
    """Read ``diagnostics.json`` and the arrays beside it; ``None`` where there is neither."""
    arrays_file = record_file.with_suffix(".safetensors")
    if not arrays_file.is_file() and not record_file.is_file():
        return None
    names = ("train_latents", "train_parameters", "test_latents", "test_parameters")
    arrays = tensors(arrays_file, names) if arrays_file.is_file() else {}
    swap = json_object(record_file).get("donor_swap") if record_file.is_file() else None
    follow = mapping(swap, "donor_swap").get("follow") if swap is not None else None
    if follow is not None and not isinstance(follow, int | float):
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
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"corrupt: {file.name} is not a record of fairness ({error!r})") from error


def tensors(file: Path, names: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    """Return those of the named arrays that a safetensors file holds."""
    try:
        with open_regular(file), safe_open(file, framework="numpy") as handle:
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


def _fit(latents: NDArray[Any] | None, parameters: NDArray[Any] | None) -> bool:
    """Say whether latents (task, draw, latent) and parameters (task, parameter) are finite and of the same tasks."""
    if latents is None or parameters is None or latents.ndim != 3 or parameters.ndim != 2:
        return False
    return len(latents) == len(parameters) and bool(np.isfinite(latents).all() and np.isfinite(parameters).all())


def _curves(points: dict[str, dict[int, float]]) -> dict[str, Curve]:
    return {name: tuple(sorted(curve.items())) for name, curve in points.items()}
