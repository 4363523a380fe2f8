"""Prints a comparison: its plan, its progress and its result."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import attrs

from selectrl.cli.board import Board, draw_board
from selectrl.cli.collect import CollectBars
from selectrl.cli.report import print_omissions
from selectrl.cli.screen import draw_bars, emit, line, say, table
from selectrl.compare.comparison import Comparison, DatasetProgress, Message
from selectrl.compare.state import CostEstimate
from selectrl.errors import RunError
from selectrl.experiment.execution import Execution
from selectrl.launch.job import Event


class MessagePrinter:
    """Prints each message of a comparison: the plan on stdout, bars and the board of runs on stderr.

    Args:
        display: closes the bars or the board.
        plan: also print the plan and its estimate.
    """

    def __init__(self, display: ExitStack, *, plan: bool) -> None:
        self._display, self._plan = display, plan
        self._planned: Comparison | None = None
        self._bars: CollectBars | None = None
        self._board: Board | None = None

    def __call__(self, message: Message) -> None:
        """Print a message."""
        match message:
            case Comparison():
                self._planned = message
                if self._plan:
                    show_plan(message)
            case CostEstimate():
                line(f"Timed on this machine: {format_duration(message.seconds)}, without meta-tests.")
            case DatasetProgress():
                self._bars = self._bars or CollectBars(self._display.enter_context(draw_bars()))
                self._bars.show(message.folder, message.at)
            case Event():
                self._open_board().show(message)

    def _open_board(self) -> Board:
        """Return the board, which replaces the bars at the first event."""
        if self._board is None:
            self._display.close()
            jobs = self._planned.plan.jobs(Execution()) if self._planned else ()
            self._board = self._display.enter_context(draw_board(jobs))
        return self._board


@contextmanager
def print_messages(*, plan: bool) -> Iterator[Callable[[Message], None]]:
    """Print the messages of a comparison inside the block."""
    with ExitStack() as display:
        yield MessagePrinter(display, plan=plan)


def show_plan(planned: Comparison) -> None:
    """Print the plan, its cost, and the settings that the rows share or do not share."""
    table(
        "Plan",
        ["environment", "row", "trained in", "updates"],
        [
            [policy.experiment.env_name, row.experiment.name, policy.folder.name, str(policy.experiment.train.steps)]
            for policy in planned.plan.policies
            for row in policy.rows
        ],
    )
    cost = planned.estimate
    time = "not measured yet" if cost.seconds is None else f"about {format_duration(cost.seconds)}"
    line(f"{cost.runs} runs ({cost.done} done), {cost.left:,} of {cost.steps:,} steps left, time {time}.")
    for env, fairness in planned.fairness.items():
        checks = [["yes" if check.ok else "NO", check.what, check.detail] for check in fairness.checks]
        table(f"Fairness on {env}", ["", "condition", "result"], checks)
        differs = [[path, _group_by_value(values)] for path, values in fairness.differs.items()]
        if differs:
            table(f"Differences on {env}", ["binding", "values"], differs)


def show_result(comparison: Comparison, *, dry_run: bool, json: bool) -> None:
    """Print the result of a comparison.

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
        print_omissions(report)
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
        remedy = "give the same command again" if comparison.retryable else "add --retry-failed to run them again"
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


def _group_by_value(values: Mapping[str, object]) -> str:
    """Return each value with the names that have it."""
    groups: dict[str, list[str]] = {}
    for name, value in values.items():
        groups.setdefault(str(value), []).append(name)
    return "; ".join(f"{value} ({', '.join(names)})" for value, names in groups.items())


def format_duration(seconds: float | None) -> str:
    """Return a duration in hours and minutes."""
    if seconds is None:
        return "unknown"
    minutes = round(seconds / 60)
    return (
        f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min" if minutes else "less than 1 min"
    )
