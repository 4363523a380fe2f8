"""The strict reader of all records, and their writer. Free of torch and NumPy.

A record is a frozen attrs class. Its annotations declare the content of its file: ``int`` is a whole number from 0,
``float`` a finite number, ``str`` a text, in which control characters are replaced, ``tuple`` a list, ``Mapping`` and
another record an object; ``X | None`` may be null. A field without a default is required. Names that the class does
not have are ignored. A file of another schema cannot be read, and is not damaged.

A file has one of three states: it is absent (``None``), it can be read, or it cannot be read (``InputError``, which
names file and field).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Self, TypeAlias, TypeGuard, cast, get_args, get_origin, get_type_hints

import attrs

from selectrl.errors import DamageWarning, InputError, RecordError, UnreadableError, printable
from selectrl.files import is_there, read_json, write_json
from selectrl.json_text import add_seal

Bindings: TypeAlias = Mapping[str, Any]
JsonObject: TypeAlias = dict[str, Any]
Reader: TypeAlias = Callable[[Any], Any]

SCHEMA = 1

LARGEST = 1e100
"""Numbers of a larger size are not used in figures: sums of their squares are no longer finite."""

LEFT_OUT = {"left_out": True}
"""Metadata of a field that a file lacks where it has no value; others are written as null."""


def json_key(key: str) -> dict[str, Any]:
    """Return the metadata of a field with another name in files."""
    return {"key": key}


@attrs.frozen(kw_only=True)
class FileRecord:
    """The content of a JSON file, or of an object in it."""

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Read a record from a JSON value.

        Raises:
            RecordError: the value is not such a record; the sentence begins with the field.
        """
        return cast(Self, _reader(cast(Any, cls))(value))

    def to_json(self) -> JsonObject:
        """Return the record as JSON values, in the order of its fields."""
        record = {}
        for field in attrs.fields(type(self)):
            value = getattr(self, field.name)
            if value is not None or not field.metadata.get("left_out"):
                record[_key(field)] = _to_json(value)
        return record

    def check(self) -> None:
        """Check that the fields agree.

        Raises:
            RecordError: they do not agree; the sentence begins with the field.
        """

    @classmethod
    def read_file(cls, file: Path) -> Self:
        """Read the record in a file.

        Raises:
            UnreadableError: the file exists, but cannot be read.
            InputError: it is missing or damaged; the sentence names file and field.
        """
        return cast(Self, read_value(cls, file))

    @classmethod
    def read_file_if_there(cls, file: Path) -> Self | None:
        """Read the record in a file, None where there is no such file; errors as :meth:`read_file`."""
        return cls.read_file(file) if is_there(file) else None

    @classmethod
    def read_file_if_sound(cls, file: Path) -> Self | None:
        """Read a record that can be made again; None if it is absent, or damaged, with a warning.

        Raises:
            UnreadableError: the file exists, but cannot be read, or is of another version of selectrl; it may be
                sound and must not be replaced.

        Warns:
            DamageWarning: the record is damaged.
        """
        try:
            return cls.read_file_if_there(file)
        except UnreadableError:
            raise
        except InputError as error:
            warnings.warn(f"{error}; it counts as missing", DamageWarning, 2)
            return None

    def write_file(self, file: Path, *, seal: bool = True) -> None:
        """Write the record to a file, atomically, by default with a checksum that detects changes.

        Raises:
            InputError: the folder cannot be written to, or the file exists and cannot be read.
        """
        record = self.to_json()
        write_json(file, add_seal(record) if seal else record)


def is_usable(value: object) -> TypeGuard[int | float]:
    """Return whether a value is a number that figures use."""
    return isinstance(value, int | float) and not isinstance(value, bool) and -LARGEST <= value <= LARGEST


def read_value(kind: Any, file: Path) -> Any:
    """Read a JSON file with a value of a type.

    Args:
        kind: a record, or another annotation such as ``Mapping[str, str]``.
        file: the file.

    Raises:
        UnreadableError: the file exists, but cannot be read, or is of another version of selectrl.
        InputError: it is missing or damaged; the sentence names file and field.
    """
    value = read_json(file)
    try:
        return _reader(kind)(value)
    except UnreadableError as error:
        raise UnreadableError(with_file(file, error)) from error
    except RecordError as error:
        raise RecordError(with_file(file, error)) from error


def with_file(file: Path, error: InputError) -> str:
    """Return the sentence of an error, with its file."""
    return f"{file}: {error}; restore it or make it again"


def _key(field: attrs.Attribute[Any]) -> str:
    return str(field.metadata.get("key", field.name))


def _to_json(value: Any) -> Any:
    if isinstance(value, FileRecord):
        return value.to_json()
    if isinstance(value, tuple):
        return [_to_json(item) for item in value]
    return {name: _to_json(item) for name, item in value.items()} if isinstance(value, Mapping) else value


@cache
def _reader(kind: Any) -> Reader:
    """Return the reader of values of a type."""
    simple: dict[Any, Reader] = {
        Any: lambda value: value,
        int: _read_integer,
        float: _read_number,
        str: _read_text,
        bool: _read_flag,
    }
    if kind in simple:
        return simple[kind]
    if isinstance(kind, type) and issubclass(kind, FileRecord):
        return _record_reader(kind)
    origin, inner = get_origin(kind), get_args(kind)
    if origin is UnionType:
        (other,) = (_reader(alternative) for alternative in inner if alternative is not NoneType)
        return lambda value: None if value is None else other(value)
    if origin is tuple:
        return _list_reader(_reader(inner[0]), None if inner[-1] is ... else len(inner))
    of_values = _reader(inner[1])
    return lambda value: {printable(name): of_values(item) for name, item in _read_object(value).items()}


def _record_reader(kind: type[FileRecord]) -> Reader:
    hints = get_type_hints(kind)
    readers = {_key(field): (field, _reader(hints[field.name])) for field in attrs.fields(kind)}

    def read(value: Any) -> FileRecord:
        entries, values = _read_object(value), {}
        if "schema" in readers and entries.get("schema", SCHEMA) != SCHEMA:
            raise UnreadableError(f"schema: expected {SCHEMA}, got {_quote(entries['schema'])} of another selectrl")
        for key, (field, reader) in readers.items():
            if key in entries:
                try:
                    values[field.name] = reader(entries[key])
                except RecordError as error:
                    raise RecordError(f"{key}: {error}") from error
            elif field.default is attrs.NOTHING:
                raise RecordError(f"{key}: it is missing")
        record = kind(**values)
        record.check()
        return record

    return read


def _list_reader(reader: Reader, length: int | None) -> Reader:
    def read(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list) or (length is not None and len(value) != length):
            raise RecordError(f"expected a list{'' if length is None else f' of {length}'}, got {_quote(value)}")
        return tuple(map(reader, value))

    return read


def _read_object(value: Any) -> JsonObject:
    if not isinstance(value, dict):
        raise RecordError(f"expected a JSON object, got {_quote(value)}")
    return value


def _read_integer(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise RecordError(f"expected a whole number from 0, got {_quote(value)}")
    return value


def _read_number(value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise RecordError(f"expected a finite number, got {_quote(value)}")
    return float(value)


def _read_text(value: Any) -> str:
    if not isinstance(value, str):
        raise RecordError(f"expected text, got {_quote(value)}")
    return printable(value)


def _read_flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise RecordError(f"expected true or false, got {_quote(value)}")
    return value


def _quote(value: Any) -> str:
    return f"{value!r:.80}"
