"""Prints a comparison: its plan, its progress, and how it ended."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import attrs

from selectrl.cli.board import Board, board
from selectrl.cli.collect import CollectBars
from selectrl.cli.report import tell_left_out
from selectrl.cli.screen import bars, emit, line, say, table
from selectrl.compare.comparison import Collecting, Comparison, Message
from selectrl.compare.state import Estimate
from selectrl.errors import RunError
from selectrl.experiment.execution import Execution
from selectrl.launch.job import Event


class Show:
    """Shows each message of a comparison: the plan on stdout, bars and the board of runs on stderr.

    Args:
        drawn: closes whatever is drawn.
        plan: also print the plan and its estimate.
    """

    def __init__(self, drawn: ExitStack, *, plan: bool) -> None:
        self._drawn, self._plan = drawn, plan
        self._planned: Comparison | None = None
        self._bars: CollectBars | None = None
        self._board: Board | None = None

    def __call__(self, message: Message) -> None:
        """Show a message."""
        match message:
            case Comparison():
                self._planned = message
                if self._plan:
                    show_plan(message)
            case Estimate():
                line(f"Timed here, meta-tests not counted: {clock(message.seconds)}.")
            case Collecting():
                self._bars = self._bars or CollectBars(self._drawn.enter_context(bars()))
                self._bars.show(message.folder, message.at)
            case Event():
                self._running().show(message)

    def _running(self) -> Board:
        """Return the board, which takes the place of the bars at the first event."""
        if self._board is None:
            self._drawn.close()
            jobs = self._planned.plan.jobs(Execution()) if self._planned else ()
            self._board = self._drawn.enter_context(board(jobs))
        return self._board


@contextmanager
def shown(*, plan: bool) -> Iterator[Callable[[Message], None]]:
    """Show the messages of a comparison inside the block."""
    with ExitStack() as drawn:
        yield Show(drawn, plan=plan)


def show_plan(planned: Comparison) -> None:
    """Print the plan, what it takes, and what the rows share and do not."""
    table(
        "Plan",
        ["environment", "row", "trained in", "updates"],
        [
            [policy.experiment.env_name, row.experiment.name, policy.folder.name, str(policy.experiment.train.steps)]
            for policy in planned.plan.policies
            for row in policy.rows
        ],
    )
    takes = planned.estimate
    time = "not timed here yet" if takes.seconds is None else f"about {clock(takes.seconds)}"
    line(f"{takes.runs} runs ({takes.done} done), {takes.left:,} of {takes.steps:,} steps left, time {time}.")
    for env, fairness in planned.fairness.items():
        checks = [["yes" if check.ok else "NO", check.what, check.detail] for check in fairness.checks]
        table(f"Fairness on {env}", ["", "condition", "found"], checks)
        differs = [[path, _grouped(values)] for path, values in fairness.differs.items()]
        if differs:
            table(f"What differs on {env}", ["binding", "values"], differs)


def show_result(comparison: Comparison, *, dry_run: bool, json: bool) -> None:
    """Print how a comparison ended.

    Raises:
        RunError: a run failed; the sentence says what to type next.
    """
    if dry_run:
        if json:
            fairness = {env: examined.record().to_json() for env, examined in comparison.fairness.items()}
            emit({**plan_record(comparison), "fairness": fairness})
        return
    report = comparison.report
    if report:
        tell_left_out(report)
    if json:
        left_out = [omission.record() for omission in report.left_out] if report else []
        verdicts = [{**attrs.asdict(verdict), "interval": verdict.interval} for verdict in comparison.verdicts]
        written = {"report": str(report.page) if report else None, "left_out": left_out}
        emit({**plan_record(comparison), "failed": dict(comparison.failures), "verdicts": verdicts, **written})
    else:
        for verdict in comparison.verdicts:
            line(verdict.sentence)
        if report:
            line(f"Open {report.page}")
    if comparison.failures:
        for folder, reason in comparison.failures.items():
            say(f"{folder}: {reason}")
        remedy = "give the same command again" if comparison.retryable else "--retry-failed tries them again"
        raise RunError(f"{len(comparison.failures)} of {comparison.estimate.runs} runs failed; {remedy}")


def plan_record(comparison: Comparison) -> dict[str, Any]:
    """Return the plan as JSON values."""
    policies = [
        {
            "folder": str(policy.folder),
            "env": policy.experiment.env_name,
            "rows": [row.experiment.name for row in policy.rows],
            "steps": policy.experiment.train.steps,
        }
        for policy in comparison.plan.policies
    ]
    return {"policies": policies, "seeds": comparison.plan.seeds, "estimate": attrs.asdict(comparison.estimate)}


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
