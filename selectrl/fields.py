"""Validators of config fields: each checks type and range and raises a :class:`FieldError`."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable
from typing import Any, TypeAlias

from selectrl.errors import FieldError, InputError, suggest

Validator: TypeAlias = Callable[[Any, Any, Any], None]

LARGEST = 2**63 - 1  # of 64 bits, as in arrays and files
WIDEST = 2**16  # units of a layer, and components of a latent
MOST_TASKS = 10**6  # tables by task are as long as the largest id
MOST = 10**7  # of objects in memory at the same time: rows of a batch, episodes, worlds

ADDED_LATER = {"added_later": True}
"""Metadata of a field that is younger than recorded runs: records and keys leave its default out and stay unchanged,
and a record without the field means the default."""


def shares(number: str) -> dict[str, str]:
    """Return the metadata of a field whose number is shared by all parts of a comparison.

    The field takes that number in every experiment, unless the method or a later layer binds it: the edge makes the
    lowest layer from the registry. A part that is swapped in is thus as large as the part that it replaces.

    Args:
        number: the macro in the environment's gin file: ``LATENT_DIM``, ``ENCODER_HIDDEN``, ``HIDDEN``,
            ``LEARNING_RATE``, ``DISCOUNT``, ``REWARD_SCALE``, ``TAU``, ``PRETRAIN_STEPS``, or a method's own.
    """
    return {"shared": number}


def _fail(instance: object, attribute: Any, value: object, expected: str) -> None:
    raise FieldError(type(instance), attribute.name, f"expected {expected}, got {_show(value)}")


def _show(value: object) -> str:
    try:
        text = repr(value)
    except ValueError:  # Python refuses to print ints of thousands of digits
        return "a number too long to print"
    return text if len(text) <= 80 else f"{text[:76]} ..."


def integer(low: int, high: int = LARGEST) -> Validator:
    """An ``int`` (never a ``bool``) between low and high, both included; without a high it fits 64 bits."""
    span = f">= {low}" if high == LARGEST else f"from {low} to {high}"

    def check(instance: object, attribute: Any, value: object) -> None:
        if isinstance(value, bool) or not isinstance(value, int):
            _fail(instance, attribute, value, "int")
        elif not low <= value <= high:
            _fail(instance, attribute, value, f"int {span}" if value <= LARGEST else "int below 2**63")

    return check


def number(low: float, high: float = math.inf, *, above: bool = False) -> Validator:
    """A finite number from low to high; with ``above`` low itself is excluded."""
    span = f"a number {'>' if above else '>='} {low:g}" + ("" if high == math.inf else f" and <= {high:g}")

    def check(instance: object, attribute: Any, value: object) -> None:
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not abs(value) <= sys.float_info.max  # neither NaN nor infinite nor an int that no float holds
            or not low <= value <= high
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
            _fail(instance, attribute, value, f"one of {', '.join(options)} ({suggest(_show(value), options)})")

    return check


def is_name(value: object) -> bool:
    """Return whether a value is fit for a folder's name: 1 to 100 letters, digits, ``_-.``, not only dots."""
    return isinstance(value, str) and bool(re.fullmatch(r"(?!\.*$)[A-Za-z0-9_.-]{1,100}", value))


def check_name(value: object, where: str) -> None:
    """Refuse a value that is not fit for a folder's name.

    Raises:
        InputError: the value is not fit; the sentence begins with ``where``.
    """
    if not is_name(value):
        expected = "a name of up to 100 letters, digits, '_', '-' and '.'"
        raise InputError(f"{where}: expected {expected}, got {_show(value)}")


def name() -> Validator:
    """A short name made of letters, digits, ``_``, ``-`` and ``.``, safe as a folder name."""

    def check(instance: object, attribute: Any, value: object) -> None:
        if not is_name(value):
            _fail(instance, attribute, value, "a name of letters, digits, '_', '-' and '.'")

    return check


def sizes() -> Validator:
    """A tuple of one or more widths up to 65,536, for example the hidden layers of a network."""

    def check(instance: object, attribute: Any, value: object) -> None:
        is_filled = isinstance(value, tuple) and len(value) > 0
        if not is_filled or any(isinstance(v, bool) or not isinstance(v, int) or not 1 <= v <= WIDEST for v in value):  # type: ignore[attr-defined]
            _fail(instance, attribute, value, f"a sequence of ints from 1 to {WIDEST}")

    return check


def names() -> Validator:
    """A tuple of strings, possibly empty."""

    def check(instance: object, attribute: Any, value: object) -> None:
        if not isinstance(value, tuple) or any(not isinstance(v, str) for v in value):
            _fail(instance, attribute, value, "a sequence of strings")

    return check


def optional(inner: Validator) -> Validator:
    """``None``, or a value that the inner validator accepts."""

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
    """Turn a list into a tuple; every other value is left to the validator."""
    return tuple(value) if isinstance(value, list) else value
