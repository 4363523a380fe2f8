"""The task family of a row: reference returns and the plane of paths, asked of the family itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache

from selectrl.errors import InputError
from selectrl.experiment.config import from_record
from selectrl.json_text import parse_json
from selectrl.protocols import TaskFamily
from selectrl.registry import FAMILIES
from selectrl.report.records import Row
from selectrl.structs import ReferenceReturns


def task_family(row: Row) -> TaskFamily | None:
    """Return the family that a row's first run was trained on; None where it cannot be built here."""
    return _build(json.dumps(row.runs[0].experiment["env"], sort_keys=True))


@cache
def _build(env: str) -> TaskFamily | None:
    try:
        return FAMILIES.build(from_record(parse_json(env), "env"))
    except InputError:
        return None


def reference_returns(row: Row) -> ReferenceReturns | None:
    """Return the family's best and worst return on a row's test tasks."""
    family = task_family(row)
    return family.reference_returns(row.evaluation.tasks) if family else None


def reference_lines(row: Row) -> Mapping[str, float]:
    """Return the returns that figures draw as reference lines, by name."""
    returns = reference_returns(row)
    return {"optimum": returns.optimum, "random actions": returns.random} if returns else {}
