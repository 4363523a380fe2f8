"""Validators of config fields: each checks type and range and raises one clear :class:`FieldError`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

from selectrl.errors import FieldError, suggest

Validator: TypeAlias = Callable[[Any, Any, Any], None]


def _fail(instance: object, attribute: Any, value: object, expected: str) -> None:
    raise FieldError(type(instance), attribute.name, f"expected {expected}, got {value!r}")


def integer(low: int, high: int | None = None) -> Validator:
    """An ``int`` (never a ``bool``) between low and high, both included."""
    span = f">= {low}" if high is None else f"from {low} to {high}"

    def check(instance: object, attribute: Any, value: object) -> None:
        if isinstance(value, bool) or not isinstance(value, int):
            _fail(instance, attribute, value, "int")
        elif value < low or (high is not None and value > high):
            _fail(instance, attribute, value, f"int {span}")

    return check


def number(low: float, high: float = math.inf, *, above: bool = False) -> Validator:
    """A finite number from low to high; with ``above`` low itself is excluded."""
    span = f"a number {'>' if above else '>='} {low:g}" + ("" if high == math.inf else f" and <= {high:g}")

    def check(instance: object, attribute: Any, value: object) -> None:
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not math.isfinite(value)
            or value < low
            or value > high
            or (above and value == low)
        ):
            _fail(instance, attribute, value, span)

    return check


def flag() -> Validator:
    """``True`` or ``False``."""

    def check(instance: object, attribute: Any, value: object) -> None:
        if not isinstance(value, bool):
            _fail(instance, attribute, value, "True or False")

    return check


def choice(*options: str) -> Validator:
    """One of the given strings."""

    def check(instance: object, attribute: Any, value: object) -> None:
        if value not in options:
            _fail(instance, attribute, value, f"one of {', '.join(options)} ({suggest(str(value), options)})")

    return check


def name() -> Validator:
    """A short name made of letters, digits, ``_``, ``-`` and ``.``, safe as a folder name."""

    def check(instance: object, attribute: Any, value: object) -> None:
        good = isinstance(value, str) and value.strip(".") and all(c.isalnum() or c in "_-." for c in value)
        if not good or not str(value).isascii():
            _fail(instance, attribute, value, "a name of letters, digits, '_', '-' and '.'")

    return check


def sizes() -> Validator:
    """A tuple of one or more positive widths, for example the hidden layers of a network."""

    def check(instance: object, attribute: Any, value: object) -> None:
        good = isinstance(value, tuple) and len(value) > 0
        if not good or any(isinstance(v, bool) or not isinstance(v, int) or v < 1 for v in value):  # type: ignore[attr-defined]
            _fail(instance, attribute, value, "a sequence of positive ints")

    return check


def names() -> Validator:
    """A tuple of strings, possibly empty."""

    def check(instance: object, attribute: Any, value: object) -> None:
        if not isinstance(value, tuple) or any(not isinstance(v, str) for v in value):
            _fail(instance, attribute, value, "a sequence of strings")

    return check


def optional(inner: Validator) -> Validator:
    """``None``, or what the inner validator accepts."""

    def check(instance: object, attribute: Any, value: object) -> None:
        if value is not None:
            inner(instance, attribute, value)

    return check


def part(registry: Any) -> Validator:
    """A config registered in the given registry."""

    def check(instance: object, attribute: Any, value: object) -> None:
        if registry.find(type(value)) is None:
            options = ", ".join(f"@{registry.kind}.{entry.name}" for entry in registry)
            _fail(instance, attribute, value, f"one of {options}")

    return check


def config(kind: type) -> Validator:
    """An instance of one config class."""

    def check(instance: object, attribute: Any, value: object) -> None:
        if not isinstance(value, kind):
            _fail(instance, attribute, value, f"a {kind.__name__}")

    return check


def as_tuple(value: object) -> object:
    """Turn a list into a tuple and leave everything else to the validator."""
    return tuple(value) if isinstance(value, list) else value
