"""From the records of a run to the values in figures and tables; an ``InputError`` says why a record cannot be used."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from selectrl.envs.split import split_tasks
from selectrl.errors import InputError
from selectrl.experiment.config import from_record
from selectrl.json_text import parse_json
from selectrl.plugins import is_changed
from selectrl.registry import FAMILIES
from selectrl.report.records import Curve, Diagnostics, Evaluation
from selectrl.runs.arrays import read_latents, usable
from selectrl.runs.diagnostics import DiagnosticsRecord
from selectrl.runs.evaluation import EvaluationRecord, RunFacts
from selectrl.runs.execution import ExecutionRecord
from selectrl.runs.layout import DIAGNOSTICS
from selectrl.runs.metrics import Line, LossLine, Metrics, TestLine
from selectrl.runs.reading import LARGEST, Bindings, is_usable

SETTINGS = ("protocol", "prior", "budget", "block", "gate", "test_seed")


class Log(NamedTuple):
    """The rl phase of a run's log.

    Attributes:
        tested: (step, return) of the meta-tests while training, by label.
        values: (step, value) of logged losses, by name.
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


def log(file: Path, steps: int) -> Log:
    """Read the log of a run, without the lines that cannot be used.

    Args:
        file: the log, which need not be there.
        steps: training steps of the whole run.
    """
    tested: dict[str, dict[int, float]] = {}
    values: dict[str, dict[int, float]] = {}
    speeds: list[float] = []
    read = Metrics(file).read()
    reached, skipped = 0, list(read.damaged)
    for number, line in read.lines:
        if isinstance(line, LossLine) and line.phase != "rl":  # curves, rates and the end count steps of the rl phase
            continue
        if line.step > steps or not all(map(is_usable, _figures(line))):
            skipped.append(number)
            continue
        if isinstance(line, TestLine):
            tested.setdefault(line.collector, {})[line.step] = line.final_return
        else:
            speeds.append(line.steps_per_second)
            for name, value in line.values.items():
                values.setdefault(name, {})[line.step] = value
        reached = max(reached, line.step)
    speed = float(np.median(speeds)) if speeds else None
    return Log(_curves(tested), _curves(values), speed, reached, _skipped(sorted(skipped)))


def _figures(line: Line) -> tuple[float, ...]:
    return (line.final_return,) if isinstance(line, TestLine) else (line.steps_per_second, *line.values.values())


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
    return frozenset(split_tasks(FAMILIES.build(from_record(parse_json(env), "env")), split)[1])


def test_tasks(experiment: Bindings) -> frozenset[int]:
    """Return the tasks that a run may be tested on; an ``InputError`` says why its task family cannot be built here."""
    data = experiment.get("data")
    split = data.get("split", "family") if isinstance(data, dict) else "family"
    try:
        return _test_tasks(json.dumps(experiment["env"], sort_keys=True), str(split))
    except InputError as error:
        raise InputError(f"its test tasks cannot be checked ({error})") from error


def evaluation(file: Path, run: RunFacts, trained: ExecutionRecord | None) -> Evaluation:
    """Read an evaluation, without its traces, and hold it against its run.

    Args:
        file: its record.
        run: facts of the run.
        trained: how the run was trained, where that is recorded.
    """
    record = EvaluationRecord.read_file(file)
    record.check_run(file, run)
    returns = np.array(record.returns, dtype=np.float64)
    if not usable(returns).all():
        largest = returns.flat[np.abs(returns).argmax()]
        raise InputError(f"{file}: returns: {largest:g} cannot be used; expected numbers of a size up to {LARGEST:g}")
    sources, tested = (trained and trained.sources) or {}, sorted((record.sources or {}).items())
    return Evaluation(
        label=file.stem,
        collector=record.collector,
        settings={name: getattr(record, name) for name in SETTINGS},
        tasks=record.tasks,
        context_steps=record.context_steps,
        returns=returns,
        env_steps=record.env_steps,
        other_data=record.dataset if record.dataset not in (None, trained and trained.dataset.fingerprint) else None,
        other_code=next((part for part, own in tested if is_changed(sources.get(part), own)), None),
        quirks=record.quirks or (),
    )


def diagnostics(folder: Path) -> Diagnostics | None:
    """Read the diagnostics of a run and their arrays; ``None`` where there is neither."""
    record, arrays = DiagnosticsRecord.read_if_there(folder), read_latents(folder)
    if record is None and not arrays:
        return None
    follow = record.donor_swap.follow if record and record.donor_swap else None
    if follow is not None and not is_usable(follow):
        raise InputError(f"{folder / DIAGNOSTICS}: donor_swap: follow: expected a size up to {LARGEST:g}, got {follow}")
    return Diagnostics(arrays=arrays, follow=follow)


def _curves(points: dict[str, dict[int, float]]) -> dict[str, Curve]:
    return {name: tuple(sorted(curve.items())) for name, curve in points.items()}
