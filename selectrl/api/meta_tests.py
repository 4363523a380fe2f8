"""The implementation of ``selectrl.evaluate``: from run directories and settings to meta-tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import attrs

from selectrl.errors import InputError
from selectrl.evaluate.config import PAPER_REPEATS, TestConfig
from selectrl.experiment.config import walk_parts
from selectrl.experiment.labels import make_label
from selectrl.fields import check_name
from selectrl.gin_edge import as_layer, build_experiment, build_part, shipped_layer, user_layers
from selectrl.launch.local import require_cores
from selectrl.launch.verdict import explain_errors
from selectrl.protocols import CollectorConfig
from selectrl.registry import COLLECTORS, tag
from selectrl.runs.evaluation import EvaluationRecord
from selectrl.runs.folders import run_folders
from selectrl.runs.layout import EXPERIMENT

if TYPE_CHECKING:
    from selectrl.experiment.run import Run


@attrs.frozen(kw_only=True)
class RequestedTest:
    """The requested settings of a meta-test; ``None`` stands for the run's own.

    Attributes:
        collector: name of a registered collector.
        ablation: name of an ablation of the collection, instead of a collector.
        protocol: ``equal_budget`` or ``paper``.
        budget: environment steps of context per task and repeat.
        repeats: repeats per task; under ``paper`` 2 by default.
        settings: bindings of the collector and of ``test``.
        label: name of the result.
    """

    collector: str | None = None
    ablation: str | None = None
    protocol: str | None = None
    budget: int | None = None
    repeats: int | None = None
    settings: tuple[str, ...] = ()
    label: str | None = None

    @property
    def bindings(self) -> list[str]:
        """All settings as bindings, the named ones first."""
        bound = {setting.partition("=")[0].strip() for setting in self.settings}
        is_published = self.protocol == "paper" and "test.repeats" not in bound
        repeats = PAPER_REPEATS if is_published and self.repeats is None else self.repeats
        words = (("protocol", self.protocol and f"'{self.protocol}'"), ("budget", self.budget), ("repeats", repeats))
        return [*(f"test.{name}={value}" for name, value in words if value is not None), *self.settings]


class PlannedTest(NamedTuple):
    """A meta-test of a run, before it starts.

    Attributes:
        run: the run.
        label: name of the result.
        collector: collector of the context.
        test: budget, repeats, prior and seed.
    """

    run: Run
    label: str
    collector: CollectorConfig
    test: TestConfig


class TestProgress(NamedTuple):
    """The progress of several meta-tests.

    Attributes:
        folder: the run directory.
        done: meta-tests that are finished.
        total: meta-tests in all.
        record: the record of this run's meta-test; ``None`` when it starts.
    """

    folder: Path
    done: int
    total: int
    record: EvaluationRecord | None


def find_runs(folders: Sequence[Path]) -> list[Path]:
    """Return all run directories at or below the folders.

    Raises:
        InputError: there are none.
    """
    if not folders:
        raise InputError("no run given; for example `selectrl evaluate runs/point_robot`")
    runs = list(dict.fromkeys(run for folder in folders for run in run_folders(folder)))
    if not runs:
        names = ", ".join(map(str, folders))
        raise InputError(f"no run at or below {names} (no {EXPERIMENT}); give a folder like runs/point_robot")
    return runs


def plan_tests(
    runs: Sequence[Path], request: RequestedTest, *, threads: int | None, data: Path, force: bool = False
) -> list[PlannedTest]:
    """Return the requested meta-test of every run at or below the folders.

    Raises:
        InputError: there are more threads than cores can use, there is no run, a record is damaged, a setting is wrong
            or belongs to something else, the ablation changes the training, the label belongs to another meta-test, or,
            without ``force``, the source code of a part has changed.
    """
    require_cores(threads)
    if request.collector is not None:
        COLLECTORS[request.collector]  # raises an error with the choices if there is none
        if request.ablation is not None:
            raise InputError("--collector and --ablation both name a collector; give one of them")
    if request.label is not None:
        check_name(request.label, "label")
    return [_plan(folder, request, threads, data, force) for folder in find_runs(runs)]


def _plan(folder: Path, request: RequestedTest, threads: int | None, data: Path, force: bool) -> PlannedTest:
    from selectrl.experiment.execution import Execution
    from selectrl.experiment.run import Run

    run = Run.open(folder, Execution(data=data, threads=threads or 1))
    if not force:
        run.refuse_changed_part()
    own = base = run.experiment
    if request.ablation is not None:
        base = build_experiment([as_layer(own), shipped_layer("ablations", request.ablation)], own.name)
        if base.key != own.key:
            raise InputError(
                f"--ablation {request.ablation} changes the training; "
                f"give `selectrl train --ablation {request.ablation}`"
            )
    selector = f"collectors.{request.collector}" if request.collector else str(tag(base.collector))
    below = [as_layer(base.collector)] if str(tag(base.collector)) == selector else []
    direct = [setting for setting in request.bindings if setting.startswith(f"{selector}.")]
    built = build_part(selector, [*below, *user_layers(None, direct)])
    prefixes = tuple(f"{tag(part)}." for part in walk_parts(built))  # a collector may wrap another
    collector_settings = [setting for setting in request.bindings if setting.startswith(prefixes)]
    tests = [setting for setting in request.bindings if setting.startswith("test.")]
    others = [setting for setting in request.bindings if setting not in (*collector_settings, *tests)]
    if others:
        raise InputError(
            f"--set {others[0]!r}: a meta-test has only {selector}.* and test.*; train again to change more"
        )
    collector: Any = build_part(selector, [*below, *user_layers(None, collector_settings)])
    test: Any = build_part("test", [as_layer(base.test), *user_layers(None, tests)])
    label = request.label or make_label(collector, test, own)
    run.refuse_label(label, collector, test)
    return PlannedTest(run, label, collector, test)


def evaluate_all(
    plans: Sequence[PlannedTest], *, diagnose: bool, force: bool, progress: Callable[[TestProgress], None]
) -> dict[Path, EvaluationRecord]:
    """Execute planned meta-tests and return their records by run directory."""
    records: dict[Path, EvaluationRecord] = {}
    with explain_errors():
        for run, label, collector, test in plans:
            progress(TestProgress(run.folder, len(records), len(plans), None))
            records[run.folder] = run.evaluate(label, collector, test, force=force)
            if diagnose:
                run.diagnose(force=force)
            progress(TestProgress(run.folder, len(records), len(plans), records[run.folder]))
    return records
