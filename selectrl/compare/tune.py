"""Tuning on training tasks: some of them are held out for testing, and the test tasks are never used."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import attrs

from selectrl.envs.split import split_tasks
from selectrl.errors import FieldError, InputError, RunError
from selectrl.experiment.config import Experiment, to_record
from selectrl.experiment.execution import Execution
from selectrl.fields import as_tuple
from selectrl.files import write_json
from selectrl.launch.job import Event, Job, Tell
from selectrl.launch.local import Inline
from selectrl.launch.runner import run_jobs
from selectrl.locks import lock
from selectrl.registry import FAMILIES
from selectrl.runs.reading import JsonObject

if TYPE_CHECKING:
    import optuna

Value: TypeAlias = float | str  # a string is the text of a binding, such as ``@values.min_target_q()``
WRITABLE = "make it writable, or choose another folder with --out"
REMEDIES = {  # by SQLite's name of the error
    **dict.fromkeys(("FULL", "IOERR"), "free the disk, or choose another folder with --out"),
    **dict.fromkeys(("READONLY", "CANTOPEN", "PERM"), WRITABLE),
    **dict.fromkeys(("BUSY", "LOCKED"), "close the other program that has it open, and give the same command again"),
}
STUDY = "study.db"  # in a search's folder
Bindings: TypeAlias = Mapping[str, Value]


def _is_knob(value: object) -> bool:
    match value:
        case (str(), float() | int() as low, float() | int() as high):
            return 0 < low < high
        case (str(), (_, _, *_) as choices):
            return all(isinstance(choice, int | float | str) for choice in choices)
    return False


def _check_knobs(instance: object, attribute: Any, value: object) -> None:
    if not (isinstance(value, tuple) and value and all(map(_is_knob, value))):
        expected = "(path, low, high) with 0 < low < high, or (path, (choice, choice, ...))"
        raise FieldError(type(instance), attribute.name, f"expected {expected}, got {value!r}")


def knob_values(values: Sequence[Any]) -> Sequence[Value]:
    """Return the values of a knob: its choices, or the ends of its range."""
    return values[0] if len(values) == 1 else values


@attrs.frozen(kw_only=True)
class TuneConfig:
    """The bindings of a method that are tuned.

    Attributes:
        knobs: (path of a binding, lowest value, highest value), searched on a logarithmic scale, or (path, choices);
            a choice that is a string is the text of a binding.
    """

    knobs: tuple[tuple[Any, ...], ...] = attrs.field(converter=as_tuple, validator=_check_knobs)

    def end_values(self, last: bool = False) -> Bindings:
        """Return the first value of every knob, or the last."""
        return {path: knob_values(values)[-1 if last else 0] for path, *values in self.knobs}

    def select(self, bound: Collection[str]) -> TuneConfig:
        """Return the knobs of these bindings.

        Raises:
            InputError: there are none.
        """
        selected = [knob for knob in self.knobs if knob[0] in bound]
        if not selected:
            raise InputError(
                f"tune.knobs: none of the knobs is in use, the first is {self.knobs[0][0]!r}; name other knobs"
            )
        return TuneConfig(knobs=selected)


def make_trial(experiment: Experiment) -> Experiment:
    """Return an experiment that is trained and tested only on training tasks."""
    return attrs.evolve(experiment, data=attrs.evolve(experiment.data, split="tuning"))


def score(job: Job, tell: Tell) -> float:
    """Train a trial on the remaining training tasks, and return its mean return on the held-out tasks.

    Raises:
        RunError: training fails with these bindings.
        InputError: the experiment or the data are wrong.
    """
    results = run_jobs([job], Inline(), tell)
    results.raise_first()
    return float(results.figures[job.folder]["return"])


@attrs.frozen(kw_only=True)
class Tuning:
    """The result of a search.

    Attributes:
        bindings: of the best trial, by path; empty where the method's own are the best.
        mean_return: mean return of the best trial on the held-out training tasks.
        own: mean return of the method's own bindings; ``None`` if training failed with them.
        trials: trials so far, which is the budget that was spent.
        steps: rl steps of each trial.
        held_out: ids of the held-out training tasks.
    """

    bindings: Bindings
    mean_return: float
    own: float | None
    trials: int
    steps: int
    held_out: tuple[int, ...]

    def record(self) -> JsonObject:
        """Return the result as in ``tuned.json``."""
        return {
            "bindings": dict(self.bindings),
            "return": self.mean_return,
            "own": self.own,
            "trials": self.trials,
            "steps": self.steps,
            "held_out": list(self.held_out),
        }


def run_trials(
    knobs: TuneConfig,
    build: Callable[[Bindings], Experiment],
    trials: int,
    folder: Path,
    execution: Execution,
    tell: Callable[[int, Event], None] = lambda trial, event: None,
) -> Tuning:
    """Search, or continue where an earlier call stopped; the first trial has the bindings of the method's own files.

    Args:
        knobs: the bindings that are searched.
        build: returns the experiment with bindings applied to it.
        trials: number of trials in total; a search with more of them stays as it is.
        folder: contains the study, the trials' runs and ``tuned.json``.
        execution: execution of each trial.
        tell: called with the number of a trial and every event of it.

    Returns:
        The best trial, which is also written to ``tuned.json``.

    Raises:
        InputError: optuna is not installed, the folder contains another search, or an experiment or the data
            are wrong.
        RunError: every trial failed.
    """
    with lock(folder), _database(folder / STUDY):
        own = build({})
        study = _study(folder, {"bindings": json.dumps(to_record(own)), "knobs": json.dumps(knobs.knobs)})
        for left in study.get_trials(states=[_state("RUNNING")]):  # killed before it ended: its run continues
            study.tell(left.number, state=_state("FAIL"))
            study.enqueue_trial(left.params)
        while (done := len(_finished_trials(study))) < trials:
            trial = study.ask()
            values = _sample_knobs(knobs, trial) if done else {}
            trial.set_user_attr("bindings", values)
            experiment = make_trial(build(values))
            run = folder / "trials" / experiment.key / "seed0"
            job = Job(folder=run, experiment=experiment, seed=0, execution=execution, diagnostics=False)
            try:
                value = score(job, partial(tell, trial.number))
            except RunError:  # training fails with these bindings; the trial counts against the budget
                study.tell(trial, state=_state("PRUNED"))
            else:
                study.tell(trial, value)
        if not study.get_trials(states=[_state("COMPLETE")]):
            raise RunError(f"training failed in each of the {trials} trials; check the data in {execution.data}")
        best = study.best_trial
        tuning = Tuning(
            bindings=best.user_attrs["bindings"],
            mean_return=cast(float, best.value),
            own=_finished_trials(study)[0].value,
            trials=len(_finished_trials(study)),
            steps=own.train.steps,
            held_out=tuple(split_tasks(FAMILIES.build(own.env), make_trial(own).data.split)[1]),
        )
        write_json(folder / "tuned.json", tuning.record())
    return tuning


def _finished_trials(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    """Return the trials that count against the budget, in their order."""
    return study.get_trials(deepcopy=False, states=[_state("COMPLETE"), _state("PRUNED")])


def _sample_knobs(knobs: TuneConfig, trial: optuna.Trial) -> dict[str, Value]:
    return {
        path: trial.suggest_categorical(path, values[0])
        if len(values) == 1
        else trial.suggest_float(path, *values, log=True)
        for path, *values in knobs.knobs
    }


def _study(folder: Path, settings: Mapping[str, str]) -> optuna.Study:
    import sqlite3

    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    creator = {"creator": lambda: sqlite3.connect(folder / STUDY)}  # a URL would end at a "?" of the path
    with _database(folder / STUDY, LookupError, ValueError):  # a changed record raises these when it is read
        study = optuna.create_study(
            storage=optuna.storages.RDBStorage(f"sqlite:///{STUDY}", engine_kwargs=creator),
            sampler=optuna.samplers.TPESampler(seed=0),
            study_name="tune",
            direction="maximize",
            load_if_exists=True,
        )
        if study.get_trials(states=[_state("COMPLETE")]):
            _ = study.best_trial.user_attrs["bindings"]
        before = study.user_attrs
    for name, value in settings.items():
        if before.get(name, value) != value:
            raise InputError(
                f"{folder} contains a search with other {name}, which would be mixed with this one; repeat the "
                "settings that it was started with, or give another folder with --out"
            )
        study.set_user_attr(name, value)
    return study


@contextmanager
def _database(file: Path, *others: type[Exception]) -> Iterator[None]:
    """Explain in one sentence why the database of a study cannot be used.

    Args:
        file: the database.
        others: further errors that mean the same inside the block.

    Raises:
        InputError: the database is damaged, or cannot be read or written.
    """
    try:
        import optuna
        from sqlalchemy.exc import SQLAlchemyError
    except ImportError as error:
        raise InputError("optuna is not installed; pip install 'selectrl[tune]'") from error
    errors: tuple[type[Exception], ...] = (SQLAlchemyError, optuna.exceptions.OptunaError, *others)
    try:
        yield
    except errors as error:
        cause: BaseException = error
        while cause.__cause__ is not None and isinstance(cause, SQLAlchemyError | optuna.exceptions.OptunaError):
            cause = cause.__cause__
        name = getattr(cause, "sqlite_errorname", "").removeprefix("SQLITE_").partition("_")[0]
        remedy = REMEDIES.get(
            name, "restore it, or delete it and give the same command again: its trained trials are used again"
        )
        raise InputError(
            f"cannot use the study {file} ({type(cause).__name__}: {str(cause).rstrip('.')}); {remedy}"
        ) from error


def _state(name: str) -> Any:
    import optuna

    return optuna.trial.TrialState[name]
