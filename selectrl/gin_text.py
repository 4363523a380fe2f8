"""Gin text: one layer of bindings becomes a tuple of statements, each with its place; nothing in it is executed."""

from __future__ import annotations

import re
import tokenize
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

import attrs
import gin
from gin import config_parser

from selectrl.errors import InputError
from selectrl.files import read_text

#: The end of every sentence on a line that cannot be read.
BINDING = (
    "write selector.field = value, where value is a number such as 5, -0.5 or 1e-3, a text in quotes, True, False, "
    "None, a list of those, @part() or %NAME"
)


@attrs.frozen
class Layer:
    """A gin file or a group of ``--set`` bindings."""

    name: str
    text: str
    own: bool
    numbered: bool = True  # whether its lines have numbers that a reader can look up


@attrs.frozen
class Binding:
    """One statement of a layer: ``selector.field = value``, or a macro without a field."""

    statement: Any
    where: str
    own: bool  # ours, not the user's

    @property
    def selector(self) -> str:
        """The part, or the macro's name."""
        return str(self.statement.selector)

    @property
    def field(self) -> str:
        """The field, empty for a macro."""
        return str(self.statement.arg_name or "")

    @property
    def path(self) -> str:
        """The binding as the user writes it."""
        return f"{self.selector}.{self.field}" if self.field else self.selector


@attrs.frozen
class Part:
    """A reference to a part, as a binding holds it until gin makes one of its own of it."""

    selector: str
    called: bool

    def __str__(self) -> str:
        return f"@{self.selector}()"

    @property
    def gins(self) -> Any:
        """The reference that gin evaluates."""
        return gin.config.ConfigurableReference(self.selector, True)


@attrs.frozen
class Macro:
    """A reference to a macro."""

    name: str

    def __str__(self) -> str:
        return f"%{self.name}"

    @property
    def gins(self) -> Any:
        """The reference that gin evaluates."""
        return gin.config.ConfigurableReference(f"{self.name}/gin.macro", True)


def text_of(file: Path) -> str:
    """Return the text of a gin file.

    Raises:
        InputError: it cannot be read, or is not UTF-8.
    """
    try:
        return read_text(file, "utf-8-sig")
    except UnicodeDecodeError as error:
        line, byte = error.object.count(b"\n", 0, error.start) + 1, error.object[error.start]
        raise InputError(f"{file}:{line}: byte 0x{byte:02x} is not UTF-8 text; save the file as UTF-8") from error


@cache
def parse(layer: Layer) -> tuple[Binding, ...]:
    """Read the bindings of one layer."""
    parser: Any = None
    bindings: list[Binding] = []
    try:
        parser = config_parser.ConfigParser(layer.text, _Delegate())
        for statement in parser:
            where = f"{layer.name}:{statement.location.line_num}" if layer.numbered else layer.name
            if isinstance(statement, config_parser.ImportStatement | config_parser.IncludeStatement):
                raise InputError(f"{where}: a gin file here can bind values, not import or include; remove the line")
            if isinstance(statement, config_parser.BindingStatement):
                bindings.append(Binding(statement, where, layer.own))
        return bound_once(bindings)
    except (SyntaxError, tokenize.TokenError, ValueError, TypeError, RecursionError) as error:
        line = getattr(error, "lineno", None) or (parser.current_token.start[0] if parser else 1)
        reason = str(error.args[0]).strip().splitlines()[0] if error.args else str(error)
        reason = re.sub("malformed node.*", "the value is not plain", reason).partition(" (<unknown>")[0]
        at = f"{layer.name}:{line}" if layer.numbered else layer.name
        raise InputError(f"{at}: not a gin binding ({reason.rstrip('.')}); {BINDING}") from error


def bound_once(bindings: Iterable[Binding]) -> tuple[Binding, ...]:
    """Return the bindings of one layer, each once.

    Raises:
        InputError: two of them bind the same to different values, of which one would win in silence.
    """
    by_path: dict[str, Binding] = {}
    for binding in bindings:
        before = by_path.setdefault(binding.path, binding)
        values = before.statement.value, binding.statement.value
        if type(values[0]) is not type(values[1]) or values[0] != values[1]:
            raise InputError(
                f"{binding.where}: {binding.path} is bound to something else in {before.where}; keep one of the two"
            )
    return tuple(by_path.values())


class _Delegate(config_parser.ParserDelegate):  # type: ignore[misc]
    """Keeps references as data while a layer is read."""

    def configurable_reference(self, scoped_configurable_name: str, evaluate: bool) -> Part:
        return Part(scoped_configurable_name, evaluate)

    def macro(self, macro_name: str) -> Macro:
        return Macro(macro_name)


def swapped(value: Any, swap: Callable[[Part | Macro], Any]) -> Any:
    """Return a bound value with each reference inside it replaced by the result of the function."""
    if isinstance(value, Part | Macro):
        return swap(value)
    if isinstance(value, list | tuple):
        return type(value)(swapped(item, swap) for item in value)
    if isinstance(value, dict):
        return {swapped(key, swap): swapped(item, swap) for key, item in value.items()}
    return value


def references(value: Any) -> list[Part | Macro]:
    """Return the references inside a bound value."""
    references: list[Part | Macro] = []
    swapped(value, references.append)
    return references
