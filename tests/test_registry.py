"""The registries refuse doubles, know what each entry is for, and answer typing errors with a suggestion."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import attrs
import pytest

import selectrl.experiment.config  # noqa: F401  the rooms register their parts
from selectrl.encoders.sets.configs import FocalConfig
from selectrl.errors import InputError
from selectrl.registry import ENCODERS, REGISTRIES, Deferred, Registry, tag

ENTRIES = [(registry.kind, entry) for registry in REGISTRIES for entry in registry]


@attrs.frozen(kw_only=True)
class Mine:
    """A config."""


@attrs.frozen(kw_only=True)
class Other(Mine):
    """Another config."""


class Part:
    """A part, which keeps what it is built from."""

    def __init__(self, config: Any, width: int) -> None:
        self.config, self.width = config, width


@pytest.fixture
def registry() -> Registry[[int], Part]:
    registry: Registry[[int], Part] = Registry("encoders")
    registry.add("mine", Mine, Part, paper="none", summary="builds little")
    return registry


class TestAdding:
    def test_an_entry_is_found_by_name_and_by_class(self, registry: Registry[[int], Part]) -> None:
        assert registry["mine"].config is Mine
        assert registry.find(Mine) is registry["mine"]
        assert [entry.name for entry in registry] == ["mine"]

    def test_a_taken_name_is_refused(self, registry: Registry[[int], Part]) -> None:
        with pytest.raises(InputError, match=r"^encoders\.mine is registered already, by Mine$"):
            registry.add("mine", Other, Part, paper="none", summary="another")
        assert registry["mine"].config is Mine

    def test_a_registered_class_is_refused_under_a_second_name(self, registry: Registry[[int], Part]) -> None:
        with pytest.raises(InputError, match=r"^encoders\.again: .* not registered yet, got .*Mine"):
            registry.add("again", Mine, Part, paper="none", summary="the same")

    @pytest.mark.parametrize("wrong", [int, object, type("Plain", (), {})])
    def test_what_is_no_attrs_class_is_refused(self, registry: Registry[..., Any], wrong: type) -> None:
        with pytest.raises(InputError, match=r"^encoders\.wrong: expected an attrs class"):
            registry.add("wrong", wrong, Part, paper="none", summary="no config")
        assert registry.find(wrong) is None

    def test_a_child_of_an_entry_is_no_entry(self, registry: Registry[[int], Part]) -> None:
        assert registry.find(Other) is None
        registry.add("other", Other, Part, paper="none", summary="another")
        assert registry.find(Other) is registry["other"]

    @pytest.mark.parametrize("wrong", [None, 5, "selectrl.encoders.sets.focal:FocalEncoder"])
    def test_what_builds_nothing_is_refused(self, registry: Registry[[int], Part], wrong: Any) -> None:
        with pytest.raises(InputError, match=r"^encoders\.other: expected the part's class, or a Deferred of it, got "):
            registry.add("other", Other, wrong, paper="none", summary="no part")


class TestBuilding:
    def test_a_part_gets_its_config_and_the_rest(self, registry: Registry[[int], Part]) -> None:
        config = Mine()
        part = registry.build(config, 3)
        assert (type(part), part.config, part.width) == (Part, config, 3)

    def test_a_deferred_part_is_imported_when_it_is_built(self) -> None:
        registry: Registry[..., Any] = Registry("encoders")
        registry.add("late", Mine, Deferred("fractions:Fraction"), paper="none", summary="a class of another module")
        registry.add("never", Other, Deferred("no.such.module:Part"), paper="none", summary="a class of no module")
        assert registry["late"].part.load() is Fraction
        with pytest.raises(ModuleNotFoundError, match=r"'no'"):
            registry.build(Other())

    def test_what_is_not_registered_is_refused(self, registry: Registry[[int], Part]) -> None:
        with pytest.raises(InputError, match=r"^encoders: Other\(\) is not registered; register its class"):
            registry.build(Other(), 3)


class TestLookingUp:
    def test_an_unknown_name_is_answered_with_a_suggestion(self, registry: Registry[[int], Part]) -> None:
        with pytest.raises(
            InputError, match=r"^no encoders part named 'mime': did you mean 'mine'\? choose from: mine$"
        ):
            registry["mime"]

    def test_the_tag_of_a_config_is_its_name_in_gin_files(self) -> None:
        assert tag(FocalConfig()) == "encoders.focal"

    @pytest.mark.parametrize("value", [None, 5, "encoders.focal", FocalConfig, Mine()])
    def test_what_is_not_registered_has_no_tag(self, value: object) -> None:
        assert tag(value) is None


class TestEntries:
    @pytest.mark.parametrize("registry", REGISTRIES, ids=lambda one: one.kind)
    def test_no_registry_is_empty(self, registry: Registry[[int], Part]) -> None:
        assert list(registry)

    def test_kinds_differ(self) -> None:
        assert len({registry.kind for registry in REGISTRIES}) == len(REGISTRIES)

    def test_a_class_has_one_place(self) -> None:
        classes = [entry.config for _, entry in ENTRIES]
        assert len(set(classes)) == len(classes)

    @pytest.mark.parametrize(("kind", "entry"), ENTRIES, ids=lambda one: getattr(one, "name", one))
    def test_each_says_its_paper_and_what_it_does(self, kind: str, entry: Any) -> None:
        assert entry.name.isidentifier()
        assert entry.name.islower()
        assert entry.paper.strip()
        assert entry.summary.strip()
        assert "\n" not in entry.paper + entry.summary
        assert not entry.summary.endswith(".")
        assert tag(entry.config()) == f"{kind}.{entry.name}"

    def test_the_global_registry_stays_as_it_is(self) -> None:
        with pytest.raises(InputError):
            ENCODERS.add("focal", Mine, object, paper="none", summary="steals a name")
        assert ENCODERS["focal"].config is FocalConfig
