"""Strict reading of JSON objects: no field is missing or unknown, each has its exact type, nothing is converted."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import TypeAlias, TypeGuard, TypeVar

from selectrl.errors import DataError
from selectrl.fields import MOST_TASKS

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
T = TypeVar("T")
LARGEST_FLOAT = (2 - 2**-23) * 2.0**127  # of 32 bits, the precision in which parts read numbers
_REMEDY = "restore the file or collect the data again"


class Fields:
    """A JSON object whose fields are taken in turn, each with a check.

    Attributes:
        where: the object's name in errors, for example a path and a field in it.
    """

    def __init__(self, value: object, where: str) -> None:
        self.where = where
        if not is_object(value):
            raise DataError(f"{where}: expected a JSON object, got {shorten(value)}; {_REMEDY}")
        self._left: dict[str, Json] = dict(value)

    def take(
        self, name: str, expected: str, is_valid: Callable[[object], TypeGuard[T]], *, default: T | None = None
    ) -> T:
        """Take a field out and return it; a field with a default may be missing, as in files older than the field.

        Raises:
            DataError: it is missing or invalid.
        """
        if name not in self._left and default is not None:
            return default
        if name not in self._left:
            raise DataError(f"{self.where}: field {name} is missing, expected {expected}; {_REMEDY}")
        value: object = self._left.pop(name)
        if not is_valid(value):
            raise self.error(name, expected, value)
        return value

    def inner(self, name: str) -> Fields:
        """Take out a field that is an object."""
        return Fields(self.take(name, "an object", is_object), f"{self.where}: {name}")

    def each(self, name: str) -> list[Fields]:
        """Take out a field that is a list of objects."""
        values = self.take(name, "a list of objects", is_list)
        return [Fields(value, f"{self.where}: {name}[{i}]") for i, value in enumerate(values)]

    def end(self) -> None:
        """Check that no field is left.

        Raises:
            DataError: a field is left, which is unknown.
        """
        if self._left:
            raise DataError(f"{self.where}: unknown field {min(self._left)!r}; remove it or collect the data again")

    def error(self, name: str, expected: str, value: object) -> DataError:
        """Return the error about a field's value."""
        got = f"expected {expected}, got {shorten(value)}"
        return DataError(f"{self.where}: {name}: {got}; {_REMEDY}")


def is_int(value: object) -> TypeGuard[int]:
    """An int, never a bool."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_count(value: object) -> TypeGuard[int]:
    """An int from 0."""
    return is_int(value) and value >= 0


def is_task(value: object) -> TypeGuard[int]:
    """The id of a task, below a million."""
    return is_count(value) and value < MOST_TASKS


def is_size(value: object) -> TypeGuard[int]:
    """An int from 1."""
    return is_int(value) and value >= 1


def is_float(value: object) -> TypeGuard[float]:
    """A finite float; an int does not count."""
    return isinstance(value, float) and math.isfinite(value)


def is_bool(value: object) -> TypeGuard[bool]:
    """True or false."""
    return isinstance(value, bool)


def is_text(value: object) -> TypeGuard[str]:
    """A string that is not empty."""
    return isinstance(value, str) and value != ""


def is_file(value: object) -> TypeGuard[str]:
    """A plain name that ends in ``.safetensors``: no folder, not hidden."""
    return isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\.safetensors", value) is not None


def is_hash(value: object) -> TypeGuard[str]:
    """A SHA-256 in lower-case hexadecimal."""
    return isinstance(value, str) and re.fullmatch(r"[0-9a-f]{64}", value) is not None


def is_list(value: object) -> TypeGuard[list[Json]]:
    """A list of anything."""
    return isinstance(value, list)


def is_object(value: object) -> TypeGuard[dict[str, Json]]:
    """An object of anything."""
    return isinstance(value, dict)


def is_floats(value: object) -> TypeGuard[list[float]]:
    """A list of floats that are finite also in 32 bits."""
    return isinstance(value, list) and all(is_float(v) and abs(v) <= LARGEST_FLOAT for v in value)


def is_strings(value: object) -> TypeGuard[dict[str, str]]:
    """An object of strings."""
    return isinstance(value, dict) and all(isinstance(v, str) for v in value.values())


def is_split(value: object) -> TypeGuard[dict[str, list[int]]]:
    """An object of lists of task ids."""
    return isinstance(value, dict) and all(isinstance(v, list) and all(map(is_task, v)) for v in value.values())


def shorten(value: object) -> str:
    """Return a value as errors show it."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:76]} ..."
