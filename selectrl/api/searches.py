"""The work of ``selectrl.compare``, ``ablate`` and ``tune`` that needs gin files: missing data, bindings of trials."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

import attrs

from selectrl.api.datasets import collection_of, fill
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
        collection = collection_of(experiment.env, cast(str, preset))
        fill(collection, experiment.data.name, settings.data, progress=tell)

    with explain_errors():
        return conduct(rows, settings, progress, collect if preset else None)


@attrs.frozen(kw_only=True)
class FoundBindings:
    """The best bindings of a search, as a gin file.

    Attributes:
        file: the gin file, for ``selectrl.compare(tuned=…)`` or to be laid over the method.
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
        """A sentence on the search."""
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
) -> FoundBindings:
    """Search a method's bindings and write the best as a gin file; see :func:`selectrl.api.comparisons.tune`."""
    require_cores(threads)
    above = [shipped_layer("tuning", method)] if space is None else user_layers(space, ())
    knobs = cast(TuneConfig, build_part("tune", above))

    def build(values: Bindings) -> Experiment:
        laid = [f"{path}={value}" for path, value in values.items()]
        layers = experiment_layers(method=method, env=env, profile=profile, settings=settings)
        return build_experiment([*layers, *user_layers(None, laid)], f"{method}-tuned")

    own = build({})
    if space is None:  # an environment may replace a part that the method's file has knobs of
        knobs = knobs.select({line.partition(" = ")[0] for line in as_layer(own).text.splitlines()})
    build(knobs.end_values())  # a knob that the method lacks is refused before anything
    with explain_errors():
        tuning = run_trials(knobs, build, trials, out / env / method, Execution(data=data, threads=threads), progress)
    best = FoundBindings(file=out / env / f"{method}.gin", tuning=tuning)
    text = f"# {best.summary}\n{best.text}"
    write_atomically(best.file, lambda temporary: temporary.write_text(text, encoding="utf-8"))
    return best
