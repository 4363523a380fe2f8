"""Strict JSON: what was written is what is read, or an error; never something else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selectrl.json_text import DEEPEST, add_seal, parse_json, remove_seal

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
RECORDS = st.dictionaries(st.text(), VALUES, min_size=1, max_size=5)


def same(left: Any, right: Any) -> bool:
    return json.dumps(left, sort_keys=True) == json.dumps(right, sort_keys=True)  # 1 is not 1.0, 0.0 is not -0.0


@given(VALUES)
def test_what_was_written_is_read(value: Any) -> None:
    assert same(parse_json(json.dumps(value)), value)


@given(RECORDS, st.data())
def test_a_sealed_record_with_a_changed_byte_is_equal_or_refused(record: dict[str, Any], data: st.DataObject) -> None:
    record.pop("seal", None)
    content = bytearray(json.dumps(add_seal(record), indent=2).encode())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    try:
        content_read = remove_seal(parse_json(content.decode()))
    except ValueError:  # UnicodeDecodeError is one
        return
    added = content_read.keys() - record.keys()  # a name that was the seal's
    assert same({name: content_read[name] for name in content_read.keys() - added}, record)
    assert len(added) <= 1
    assert all(sum(a != b for a, b in zip(name, "seal", strict=False)) == 1 for name in added)


REFUSED = {
    "a name twice": ('{"a": {"b": 1, "b": 2}}', "it names 'b' twice"),
    "NaN": ("[NaN]", "NaN is not a finite number"),
    "infinity": ('{"a": -Infinity}', "-Infinity is not a finite number"),
    "a number that overflows": ("1e999", "1e999 is not a finite number"),
    "an int of 65 bits": (str(2**63), "does not fit 64 bits"),
    "an int of a million digits": ("9" * 10**6, "does not fit 64 bits"),
    "fifty-one levels": ("[" * (DEEPEST + 1) + "]" * (DEEPEST + 1), "nested deeper than 50 levels"),
    "a million levels": ("[" * 10**6, "nested too deeply"),
    "two values": ("1 2", "Extra data"),
    "nothing": ("", "Expecting value"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_is_refused(case: str) -> None:
    text, says = REFUSED[case]
    with pytest.raises(ValueError, match=says):
        parse_json(text)


def test_fifty_levels_and_the_largest_numbers_are_not() -> None:
    text = "[" * DEEPEST + "]" * DEEPEST
    assert json.dumps(parse_json(text)) == text
    assert parse_json("[9223372036854775807, -9223372036854775808, 1.7e308, -0.0]")[1] == -(2**63)
