"""Strict reading of JSON: refuses texts that Python's own reader accepts, but that cause errors later.

Records of results are sealed with a checksum, so that a flipped bit cannot change a number unnoticed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

DEEPEST = 50  # levels; the package writes fewer than 10, and Python fails at about 900
SEAL = "seal"
LARGEST = 2**63  # of 64 bits, as in arrays and files


def parse_json(text: str) -> Any:
    """Return the value of a JSON text whose numbers are finite and fit 64 bits, and whose names are unique.

    Raises:
        ValueError: it is not JSON (RFC 8259), names a field twice, holds a number that is not finite or too large, or
            is nested deeper than 50 levels.
    """
    try:
        value = json.loads(
            text, object_pairs_hook=_unique, parse_constant=_number, parse_float=_number, parse_int=_integer
        )
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    level = [value]
    for _ in range(DEEPEST):
        level = [inner for outer in level if isinstance(outer, dict | list) for inner in _values(outer)]
    if level:
        raise ValueError(f"it is nested deeper than {DEEPEST} levels")
    return value


def add_seal(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record of plain JSON values with a checksum of all its fields, which :func:`remove_seal` checks."""
    return {**record, SEAL: _checksum(record)}


def remove_seal(record: Mapping[str, Any]) -> dict[str, Any]:
    """Check a record's seal and return the record without it; a record without a seal is accepted.

    Raises:
        ValueError: the record was changed after it was sealed.
    """
    rest = {name: value for name, value in record.items() if name != SEAL}
    if SEAL in record and record[SEAL] != _checksum(rest):
        raise ValueError("was changed after it was written: its seal does not fit")
    return rest


def _checksum(record: Mapping[str, Any]) -> str:
    return blake2b(json.dumps(record, sort_keys=True).encode(), digest_size=16).hexdigest()


def _values(value: dict[str, Any] | list[Any]) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"it names {next(name for name in names if names.count(name) > 1)!r:.60} twice")
    return fields


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text:.20} is not a finite number")
    return value


def _integer(text: str) -> int:
    value = int(text) if len(text) <= 20 else LARGEST
    if not -LARGEST <= value < LARGEST:
        raise ValueError(f"{text:.20} does not fit 64 bits")
    return value
