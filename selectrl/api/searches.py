"""The work of ``selectrl.compare``, ``ablate`` and ``tune`` that needs gin files: missing data, bindings of trials."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

import attrs

from selectrl.api.datasets import compose_collection, fill_dataset
from selectrl.compare.comparison import Comparison, Listener, Settings, SettingsDict
from selectrl.compare.conduct import conduct
from selectrl.compare.plan import ComparisonRow
from selectrl.compare.tune import Bindings, TuneConfig, Tuning, run_trials
from selectrl.experiment.config import Experiment
from selectrl.experiment.execution import Execution
from selectrl.files import write_atomically
from selectrl.gin_edge import as_layer, build_experiment, build_part, experiment_layers, shipped_layer, user_layers
from selectrl.launch.job import Event
from selectrl.launch.local import require_cores
from selectrl.launch.verdict import explain_errors


def compare_rows(
    rows: Sequence[ComparisonRow], how: SettingsDict, preset: str | None, progress: Listener
) -> Comparison:
    """Compare rows; a missing dataset is collected with a behaviour preset, if one is given."""
    settings = Settings(**how)

    def collect(experiment: Experiment, tell: Callable[[object], None]) -> None:
        collection = compose_collection(experiment.env, cast(str, preset))
        fill_dataset(collection, experiment.data.name, settings.data, progress=tell)

    with explain_errors():
        return conduct(rows, settings, progress, collect if preset else None)


@attrs.frozen(kw_only=True)
class BestBindings:
    """The best bindings of a search, as a gin file.

    Attributes:
        file: the gin file, for ``selectrl.compare(tuned=…)`` or to apply to the method.
        tuning: the search's result.
    """

    file: Path
    tuning: Tuning

    @property
    def text(self) -> str:
        """The bindings as gin, empty where the method's own are the best."""
        return "".join(f"{path} = {value}\n" for path, value in self.tuning.bindings.items())

    @property
    def summary(self) -> str:
        """A sentence about the search."""
        spent = f"{self.tuning.trials} trials of {self.tuning.steps} steps"
        return f"Best of {spent}, {self.tuning.mean_return:.2f} on held-out training tasks."


def search(
    method: str,
    env: str,
    trials: int,
    space: Path | None,
    profile: str | None,
    settings: Sequence[str],
    threads: int,
    data: Path,
    out: Path,
    progress: Callable[[int, Event], None],
) -> BestBindings:
    """Search a method's bindings and write the best as a gin file; see :func:`selectrl.api.comparisons.tune`."""
    require_cores(threads)
    above = [shipped_layer("tuning", method)] if space is None else user_layers(space, ())
    knobs = cast(TuneConfig, build_part("tune", above))

    def build(values: Bindings) -> Experiment:
        settings_of_trial = [f"{path}={value}" for path, value in values.items()]
        layers = experiment_layers(method=method, env=env, profile=profile, settings=settings)
        return build_experiment([*layers, *user_layers(None, settings_of_trial)], f"{method}-tuned")

    own = build({})
    if space is None:  # an environment may replace a part with knobs in the method's file
        knobs = knobs.select({line.partition(" = ")[0] for line in as_layer(own).text.splitlines()})
    build(knobs.end_values())  # refuse a knob that the method lacks before the search
    with explain_errors():
        tuning = run_trials(knobs, build, trials, out / env / method, Execution(data=data, threads=threads), progress)
    best = BestBindings(file=out / env / f"{method}.gin", tuning=tuning)
    text = f"# {best.summary}\n{best.text}"
    write_atomically(best.file, lambda temporary: temporary.write_text(text, encoding="utf-8"))
    return best
