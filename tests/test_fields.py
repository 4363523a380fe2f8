"""Every field of every config is checked, and says in one sentence what it got and what it expected."""

from __future__ import annotations

import math
import re
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selectrl.behaviour.config import SacBehaviourConfig
from selectrl.encoders.sets.configs import CsroConfig, FocalConfig
from selectrl.errors import FieldError, InputError, suggest
from selectrl.experiment.config import config_classes
from selectrl.fields import (
    as_tuple,
    choice,
    config,
    flag,
    integer,
    is_name,
    name,
    names,
    number,
    optional,
    part,
    sizes,
)
from selectrl.gin_edge import Collection
from selectrl.protocols import Optim
from selectrl.registry import ENCODERS

CLASSES = {
    **config_classes(),
    "behaviour.sac": SacBehaviourConfig,
    "collection": Collection,
    "optim": Optim,
}
FIELDS = [(name, field.name) for name, cls in CLASSES.items() for field in attrs.fields(cls)]
HUGE = 1 << 40_000


def refusal(validator: Any, value: object) -> str | None:
    """Return the sentence with which a validator refuses a value, or None if it takes it."""

    @attrs.frozen
    class Holder:
        field: Any = attrs.field(validator=validator)

    try:
        Holder(value)
    except FieldError as error:
        caught = error
    else:
        return None
    assert (caught.owner, caught.field) == (Holder, "field")
    assert str(caught) == f"Holder.field: {caught.problem}"
    return caught.problem


class TestValidators:
    @pytest.mark.parametrize("value", [2, 3, 7])
    def test_integer_takes(self, value: int) -> None:
        assert refusal(integer(2, 7), value) is None

    @pytest.mark.parametrize(
        ("value", "problem"),
        [
            (1, "expected int from 2 to 7, got 1"),
            (8, "expected int from 2 to 7, got 8"),
            (2.0, "expected int, got 2.0"),
            ("3", "expected int, got '3'"),
            (True, "expected int, got True"),
            (None, "expected int, got None"),
            ([3], "expected int, got [3]"),
        ],
    )
    def test_integer_refuses(self, value: object, problem: str) -> None:
        assert refusal(integer(2, 7), value) == problem

    def test_integer_without_a_high_fits_64_bits(self) -> None:
        assert refusal(integer(0), 2**63 - 1) is None
        assert refusal(integer(0), 2**63) == f"expected int below 2**63, got {2**63}"
        assert refusal(integer(0), -1) == "expected int >= 0, got -1"
        assert refusal(integer(0), HUGE) == "expected int below 2**63, got a number too long to print"
        assert refusal(integer(0), -HUGE) == "expected int >= 0, got a number too long to print"

    @pytest.mark.parametrize("value", [0, 0.0, 1, 1.0, 0.5, 5e-324])
    def test_number_takes(self, value: float) -> None:
        assert refusal(number(0, 1), value) is None

    @pytest.mark.parametrize(
        "value",
        [-0.1, 1.1, math.nan, math.inf, -math.inf, True, False, "0.5", None, 1j, [0.5], pytest.param(HUGE, id="huge")],
    )
    def test_number_refuses(self, value: object) -> None:
        problem = refusal(number(0, 1), value)
        assert problem is not None
        assert problem.startswith("expected a number >= 0 and <= 1, got ")

    def test_number_above_leaves_its_low_end_out(self) -> None:
        assert refusal(number(0, above=True), 0) == "expected a number > 0, got 0"
        assert refusal(number(0, above=True), 0.0) == "expected a number > 0, got 0.0"
        assert refusal(number(0, above=True), 5e-324) is None
        assert refusal(number(0, above=True), 1.7e308) is None
        assert refusal(number(0, above=True), 10**308) is None
        assert refusal(number(0, above=True), 10**309) is not None

    @given(value=st.one_of(st.integers(), st.floats(), st.integers(0, 4000).map(lambda n: 2**n)))
    def test_what_number_takes_is_a_finite_float(self, value: float) -> None:
        if refusal(number(-math.inf), value) is None:
            assert math.isfinite(float(value))
        else:
            assert not (isinstance(value, float) and math.isfinite(value))

    def test_flag(self) -> None:
        assert refusal(flag(), True) is None
        assert refusal(flag(), False) is None
        assert refusal(flag(), 1) == "expected True or False, got 1"
        assert refusal(flag(), "True") == "expected True or False, got 'True'"

    def test_choice(self) -> None:
        assert refusal(choice("dataset", "policy"), "policy") is None
        problem = refusal(choice("dataset", "policy"), "polcy")
        assert problem is not None
        assert "one of dataset, policy" in problem
        assert "did you mean 'policy'?" in problem
        assert problem.endswith("got 'polcy'")

    @pytest.mark.parametrize("value", [None, 1, True, [], {}, ["policy"], pytest.param(HUGE, id="huge"), object()])
    def test_choice_refuses_what_is_no_text(self, value: object) -> None:
        assert refusal(choice("dataset", "policy"), value) is not None

    @pytest.mark.parametrize("value", ["a", "A-b_c.d", "3", ".a", "a.", "_", "-", 100 * "a"])
    def test_name_takes(self, value: str) -> None:
        assert refusal(name(), value) is None
        assert is_name(value)

    @pytest.mark.parametrize(
        "value", ["", ".", "..", "...", "a/b", "/a", "a b", "a\n", "ä", "a\0", "²", 101 * "a", None, 5, b"a", ["a"]]
    )
    def test_name_refuses(self, value: object) -> None:
        assert refusal(name(), value) is not None
        assert not is_name(value)

    @given(value=st.text())
    def test_a_name_is_one_folder(self, value: str) -> None:
        if is_name(value):
            assert "/" not in value
            assert value not in (".", "..")
            assert value.isascii()
            assert value.isprintable()

    @pytest.mark.parametrize("value", [(1,), (256, 256), (2**16,)])
    def test_sizes_takes(self, value: tuple[int, ...]) -> None:
        assert refusal(sizes(), value) is None

    @pytest.mark.parametrize(
        "value", [(), (0,), (8, -1), (8.0,), (True,), ("8",), [8], 8, None, "88", (2**16 + 1,), (HUGE,), {8: 8}]
    )
    def test_sizes_refuses(self, value: object) -> None:
        problem = refusal(sizes(), value)
        assert problem is not None
        assert problem.startswith("expected a sequence of ints from 1 to 65536, got ")

    def test_names(self) -> None:
        assert refusal(names(), ()) is None
        assert refusal(names(), ("critic", "actor")) is None
        for wrong in ("critic", ["critic"], ("critic", 1), (None,), None, {"critic"}):
            assert refusal(names(), wrong) is not None

    def test_optional(self) -> None:
        assert refusal(optional(integer(1)), None) is None
        assert refusal(optional(integer(1)), 1) is None
        assert refusal(optional(integer(1)), 0) == "expected int >= 1, got 0"

    def test_part(self) -> None:
        assert refusal(part(ENCODERS), FocalConfig()) is None
        for wrong in (None, "focal", FocalConfig, 5):
            problem = refusal(part(ENCODERS), wrong)
            assert problem is not None
            assert problem.startswith("expected one of @encoders.focal, @encoders.csro")

    def test_part_wants_a_registered_class_and_no_child_of_one(self) -> None:
        @attrs.frozen(kw_only=True)
        class Mine(CsroConfig):
            """Not registered."""

        assert refusal(part(ENCODERS), Mine()) is not None

    def test_config(self) -> None:
        assert refusal(config(FocalConfig), FocalConfig()) is None
        assert refusal(config(FocalConfig), None) == "expected a FocalConfig, got None"

    def test_as_tuple_changes_lists_alone(self) -> None:
        assert as_tuple([1, 2]) == (1, 2)
        for value in ((1, 2), "12", 5, None, {1}):
            assert as_tuple(value) is value

    def test_a_long_value_is_cut(self) -> None:
        problem = refusal(integer(0), "x" * 5000)
        assert problem is not None
        assert len(problem) < 120
        assert problem.endswith(" ...")


class TestSuggest:
    def test_close_words_are_offered_before_the_list(self) -> None:
        assert suggest("selct", ["select", "csro"]) == "did you mean 'select'? choose from: csro, select"

    def test_far_words_are_not(self) -> None:
        assert suggest("zzz", ["select", "csro"]) == "choose from: csro, select"


class TestEveryConfig:
    """Holds for every registered part and every other config, whoever wrote it."""

    @pytest.mark.parametrize(("name", "field"), FIELDS)
    def test_each_field_has_a_validator(self, name: str, field: str) -> None:
        assert getattr(attrs.fields(CLASSES[name]), field).validator is not None

    @pytest.mark.parametrize(("name", "field"), FIELDS)
    def test_a_value_of_the_wrong_type_raises_a_field_error(self, name: str, field: str) -> None:
        cls = CLASSES[name]
        attribute = getattr(attrs.fields(cls), field)
        instance = object.__new__(cls)
        wrong: list[object] = [object(), {}, {"a": 1}, b"bytes", 1j, set(), lambda: None, int]
        kind = str(attribute.type)
        wrong += [] if "float" in kind or "int" in kind else [1.5, -7]
        wrong += [] if "str" in kind else ["words of text"]
        wrong += [] if "tuple" in kind else [(), ("a",), (1,), [1]]
        wrong += [] if "None" in kind else [None]
        wrong += [] if "bool" in kind else [True]
        wrong += [1.5] if kind == "int" else []
        for value in wrong:
            with pytest.raises(FieldError) as caught:
                attribute.validator(instance, attribute, value)
            assert caught.value.owner is cls
            assert caught.value.field == field

    @pytest.mark.parametrize("name", CLASSES)
    def test_is_frozen_hashable_and_built_by_keyword(self, name: str) -> None:
        cls = CLASSES[name]
        assert all(field.kw_only for field in attrs.fields(cls))
        if all(field.default is not attrs.NOTHING for field in attrs.fields(cls)):
            built = cls()
            assert built == cls()
            assert hash(built) == hash(cls())
            for field in attrs.fields(cls):
                with pytest.raises(attrs.exceptions.FrozenInstanceError):
                    setattr(built, field.name, getattr(built, field.name))

    @pytest.mark.parametrize("name", CLASSES)
    def test_sequences_are_converted_from_lists(self, name: str) -> None:
        for field in attrs.fields(CLASSES[name]):
            if "tuple" in str(field.type):
                assert field.converter is as_tuple, f"{name}.{field.name} lacks converter=as_tuple"

    @pytest.mark.parametrize("name", CLASSES)
    def test_types_are_written_so_that_records_know_floats(self, name: str) -> None:
        """Records turn whole floats into floats by the name of the type, which needs annotations kept as text."""
        assert all(isinstance(field.type, str) for field in attrs.fields(CLASSES[name]))

    @pytest.mark.parametrize("name", CLASSES)
    def test_the_docstring_lists_every_attribute_and_no_other(self, name: str) -> None:
        cls = CLASSES[name]
        documented = set().union(*(attributes_of(base.__doc__ or "") for base in cls.__mro__))
        assert documented == {field.name for field in attrs.fields(cls)}

    @pytest.mark.parametrize("name", CLASSES)
    def test_an_unknown_argument_is_refused(self, name: str) -> None:
        with pytest.raises(TypeError):
            CLASSES[name](no_such_field=1)

    def test_field_errors_are_input_errors(self) -> None:
        with pytest.raises(InputError, match=r"^FocalConfig\.latent_dim: expected int from 1 to 65536, got 0$"):
            FocalConfig(latent_dim=0)


def attributes_of(docstring: str) -> set[str]:
    """Return the names listed in a Google-style Attributes section."""
    section = re.search(r"^ *Attributes:\n(.*?)(?:\n\s*\n|\Z)", docstring, re.DOTALL | re.MULTILINE)
    return set(re.findall(r"^ {8}(\w+): \S", section[1], re.MULTILINE)) if section else set()
