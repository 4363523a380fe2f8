"""Comparisons and searches: ``selectrl.compare``, ``ablate`` and ``tune``."""

from __future__ import annotations

TYPE_CHECKING = False  # typing is not imported: a command handles no signals yet
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from typing import Unpack

    from selectrl.api.searches import BestBindings
    from selectrl.compare.comparison import Comparison, Listener, SettingsDict
    from selectrl.experiment.config import Experiment
    from selectrl.launch.job import Event


def compare(
    methods: Sequence[str | Path | Experiment],
    env: str | Sequence[str] = (),
    *,
    ablations: Sequence[str] = (),
    collectors: Sequence[str] = (),
    tuned: Path | str | None = None,
    profile: str | None = None,
    file: Path | str | None = None,
    settings: Sequence[str] = (),
    preset: str | None = None,
    progress: Listener = lambda message: None,
    **how: Unpack[SettingsDict],
) -> Comparison:
    """Train methods on the same data, test them with the same budget, and compare them, as ``selectrl compare`` does.

    Trained policies are not trained again, rows that differ only in how they collect context share one policy, and a
    run that fails does not stop the others: it is in the ``failures`` of the result. The same call again continues
    interrupted work. It writes the run directories, ``OUT/report`` and ``OUT/ENV/fairness.json``.

    Runs execute in parallel processes, which import the calling script again: put its work below
    ``if __name__ == "__main__":``, or give ``launcher="inline"``.

    Args:
        methods: the rows: names of methods or your gin files, composed with the arguments below, or complete
            experiments. The first is compared with every other.
        env: an environment, or several, for names and files.
        ablations: each adds a row of the first method with this ablation.
        collectors: each adds a test of every policy with this collector.
        tuned: folder of ``selectrl.tune``, whose best bindings are applied to each method.
        profile: name of a profile, for example ``laptop``.
        file: your gin file, applied over every name.
        settings: bindings; a row without such a part ignores them.
        preset: behaviour preset to collect a missing dataset with; default: refuse a missing dataset.
        progress: called with the plan (a ``Comparison`` without runs), with ``DatasetProgress`` for missing data, with
            a ``CostEstimate`` after timing, and with the ``Event`` of every run.
        how: the fields of :class:`~selectrl.compare.comparison.Settings`: ``seeds``, ``jobs``, ``threads``,
            ``launcher``, ``launcher_settings``, ``allow_differences``, ``retry_failed``, ``calibrate``, ``dry_run``,
            ``data``, ``out``, ``device``, ``engine`` and ``population``.

    Raises:
        InputError: a name, a binding, a value or the data are wrong, or the rows have other data or another budget.
        TypeError: ``how`` has a name that is not a setting.
        Interrupted: a signal asked to stop; each run is saved at its last step.
    """
    from pathlib import Path

    from selectrl.api.rows import method_rows
    from selectrl.api.searches import compare_rows

    rows = method_rows(
        methods,
        [env] if isinstance(env, str) else env,
        ablations=ablations,
        collectors=collectors,
        tuned=Path(tuned) if tuned else None,
        profile=profile,
        file=Path(file) if file else None,
        settings=settings,
    )
    return compare_rows(rows, how, preset, progress)


def ablate(
    method: str,
    env: str | Sequence[str],
    vary: Sequence[str] = (),
    *,
    grid: Path | str | None = None,
    profile: str | None = None,
    settings: Sequence[str] = (),
    preset: str | None = None,
    progress: Listener = lambda message: None,
    **how: Unpack[SettingsDict],
) -> Comparison:
    """Train a method with each combination of variations and compare them, as ``selectrl ablate`` does.

    The combination of the first values is compared with every other; see :func:`compare`, also for ``preset``,
    ``progress`` and ``how``.

    Args:
        method: name of a method.
        env: an environment, or several.
        vary: axes ``NAME=a,b``: NAME is ``encoder``, ``critic``, ``actor`` or ``collector``, with registered parts; a
            binding such as ``actors.weighted_bc.alpha``, with its values; or any word, with ablations and gin files.
        grid: a gin file that binds ``grid.vary``, whose axes come first.
        profile: name of a profile, for example ``laptop``.
        settings: bindings; a row without such a part ignores them.
        preset: behaviour preset to collect a missing dataset with.
        progress: called with every message.
        how: the fields of :class:`~selectrl.compare.comparison.Settings`.

    Raises:
        InputError: a name, a binding, a value or the data are wrong, nothing varies, or the rows have other data or
            another budget.
        TypeError: ``how`` has a name that is not a setting.
        Interrupted: a signal asked to stop; each run is saved at its last step.
    """
    from pathlib import Path

    from selectrl.api.rows import grid_rows
    from selectrl.api.searches import compare_rows

    envs = [env] if isinstance(env, str) else env
    rows = grid_rows(method, envs, vary, grid=Path(grid) if grid else None, profile=profile, settings=settings)
    return compare_rows(rows, how, preset, progress)


def tune(
    method: str,
    env: str,
    *,
    trials: int = 20,
    space: Path | str | None = None,
    profile: str | None = None,
    settings: Sequence[str] = (),
    threads: int | None = None,
    data: Path | str = "data",
    out: Path | str = "tuned",
    progress: Callable[[int, Event], None] = lambda trial, event: None,
) -> BestBindings:
    """Search a method's main bindings on held-out training tasks, as ``selectrl tune`` does.

    Every fourth training task is held out for testing; test tasks are never used. The first trial has the method's
    own bindings. The same call again continues an interrupted search. ``compare(tuned=OUT)`` uses the result, which is
    written to ``OUT/ENV/METHOD.gin``.

    Args:
        method: name of a method.
        env: name of an environment.
        trials: number of trials; give every method of a comparison the same number.
        space: a gin file that binds ``tune.knobs``; default: that of the method.
        profile: name of a profile, for example ``laptop``.
        settings: bindings of every trial.
        threads: threads of each trial; default: 1.
        data: folder of the datasets.
        out: folder of the searches.
        progress: called with the number of a trial and every event of it.

    Raises:
        InputError: a name, a binding, a value or the data are wrong, optuna is not installed, or the folder holds a
            another search.
        RunError: every trial failed.
        Interrupted: a signal asked to stop; the trial is saved at its last step.
    """
    from pathlib import Path

    from selectrl.api.searches import search

    path = Path(space) if space else None
    return search(method, env, trials, path, profile, settings, threads or 1, Path(data), Path(out), progress)
