"""The registries: one per kind of part, refusing duplicates and knowing what each entry is for.

Registration is a statement, ``ENCODERS.add("focal", FocalConfig, paper=…, summary=…)``. The type checker rejects it
when what the config builds misses the protocol. Nothing here imports torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Generic, TypeVar, cast

import attrs

from selectrl.errors import InputError, suggest
from selectrl.protocols import (
    ActorConfig,
    AggregationConfig,
    CollectorConfig,
    CriticConfig,
    EncoderConfig,
    FamilyConfig,
    NegativesConfig,
    PolicyConfig,
    ValueConfig,
    WeightConfig,
)

C = TypeVar("C", covariant=True)


@attrs.frozen
class Entry(Generic[C]):
    """One registered part: its name, its config class, the paper it comes from and one line on what it does."""

    name: str
    config: type[C]
    paper: str
    summary: str


class Registry(Generic[C]):
    """Parts of one kind by name.

    Args:
        kind: the plural under which gin files name them, as in ``@encoders.focal``.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, Entry[C]] = {}

    def add(self, name: str, config: type[C], *, paper: str, summary: str) -> None:
        """Register a config class.

        Raises:
            InputError: the name is taken or is not one that gin reads, paper or summary is not text, or the class is
                registered already or is not an attrs class.
        """
        if not (isinstance(name, str) and name.isascii() and name.isidentifier()):  # as gin files name parts
            raise InputError(f"{self.kind}: expected letters, digits and _ for a part's name, got {name!r}")
        if not (isinstance(paper, str) and isinstance(summary, str)):
            raise InputError(f"{self.kind}.{name}: expected text for paper and summary, got {paper!r}, {summary!r}")
        if name in self._entries:
            raise InputError(f"{self.kind}.{name} is registered already, by {self._entries[name].config.__qualname__}")
        if self.find(config) is not None or not attrs.has(config):
            raise InputError(f"{self.kind}.{name}: expected an attrs class that is not registered yet, got {config!r}")
        self._entries[name] = Entry(name, cast(type[C], config), paper, summary)

    def __getitem__(self, name: str) -> Entry[C]:
        """Return an entry.

        Raises:
            InputError: no entry has this name.
        """
        if name not in self._entries:
            raise InputError(f"no {self.kind} part named {name!r}: {suggest(name, self._entries)}")
        return self._entries[name]

    def __iter__(self) -> Iterator[Entry[C]]:
        """Go through the entries in the order of their registration."""
        return iter(self._entries.values())

    def find(self, config: type) -> Entry[C] | None:
        """Return the entry of a config class, or None."""
        return next((entry for entry in self if entry.config is config), None)


ENCODERS: Registry[EncoderConfig] = Registry("encoders")
CRITICS: Registry[CriticConfig] = Registry("critics")
ACTORS: Registry[ActorConfig] = Registry("actors")
COLLECTORS: Registry[CollectorConfig] = Registry("collectors")
POLICIES: Registry[PolicyConfig] = Registry("policies")
WEIGHTS: Registry[WeightConfig] = Registry("weights")
VALUES: Registry[ValueConfig] = Registry("values")
AGGREGATIONS: Registry[AggregationConfig] = Registry("aggregations")
NEGATIVES: Registry[NegativesConfig] = Registry("negatives")
FAMILIES: Registry[FamilyConfig] = Registry("envs")

REGISTRIES: tuple[Registry[Any], ...] = (
    ENCODERS,
    AGGREGATIONS,
    NEGATIVES,
    CRITICS,
    VALUES,
    ACTORS,
    WEIGHTS,
    POLICIES,
    COLLECTORS,
    FAMILIES,
)


def tag(config: object) -> str | None:
    """Return ``kind.name`` of a registered config, or None."""
    for registry in REGISTRIES:
        entry = registry.find(type(config))
        if entry is not None:
            return f"{registry.kind}.{entry.name}"
    return None


def registered_name(config: object) -> str:
    """Return the name under which a config is registered, ``proximal``."""
    return str(tag(config)).partition(".")[2]
