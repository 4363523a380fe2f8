"""The registries: one per kind of part, refusing duplicates and knowing config and part of each entry.

Registration is a statement, ``ENCODERS.add("focal", FocalConfig, FocalEncoder, paper=…, summary=…)``. The type checker
rejects it when the part misses the protocol of its kind, or is built from another config. Nothing here imports torch: a
part that does is registered as a :class:`Deferred` reference::

    if TYPE_CHECKING:
        from selectrl.encoders.sets.focal import FocalEncoder
    else:
        FocalEncoder = Deferred("selectrl.encoders.sets.focal:FocalEncoder")
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

import attrs

from selectrl.errors import InputError, suggest
from selectrl.pieces import Aggregation, Negatives, Value, Weight
from selectrl.protocols import ActorLoss, ContextCollector, ContextEncoder, Critic, Policy, TaskFamily
from selectrl.structs import Spec

C = TypeVar("C")
P = ParamSpec("P")
T = TypeVar("T", covariant=True)


@attrs.frozen
class Deferred:
    """A class that is imported when it is first built, as Gymnasium's ``entry_point``.

    Attributes:
        path: module and name, ``"package.module:Name"``.
    """

    path: str

    def load(self) -> Any:
        """Import the class."""
        module, _, name = self.path.partition(":")
        return getattr(import_module(module), name)

    def __call__(self, *arguments: Any) -> Any:
        """Build the part."""
        return self.load()(*arguments)


@attrs.frozen
class Entry(Generic[P, T]):
    """A registered part.

    Attributes:
        name: how gin files name it.
        config: the class of its config, data alone.
        part: the class, or a reference to it; built from a config and the arguments of its kind.
        paper: where it comes from.
        summary: one line on it.
    """

    name: str
    config: type
    part: Callable[Concatenate[Any, P], T]
    paper: str
    summary: str


class Registry(Generic[P, T]):
    """Parts of one kind by name.

    ``P`` are the arguments of this kind besides the config, ``T`` is its protocol.

    Args:
        kind: the plural under which gin files name them, as in ``@encoders.focal``.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, Entry[P, T]] = {}

    def add(
        self, name: str, config: type[C], part: Callable[Concatenate[C, P], T], *, paper: str, summary: str
    ) -> None:
        """Register a config class and the part that is built from it.

        Args:
            name: how gin files name it.
            config: an attrs class, data alone.
            part: the part's class, whose constructor takes the config first; :class:`Deferred` if it imports torch.
            paper: where it comes from.
            summary: one line on it.

        Raises:
            InputError: the name is taken or is not one that gin reads, paper or summary is not text, the part cannot be
                called, or the config class is registered already or is not an attrs class.
        """
        if not (isinstance(name, str) and name.isascii() and name.isidentifier()):  # as gin files name parts
            raise InputError(f"{self.kind}: expected letters, digits and _ for a part's name, got {name!r}")
        if not (isinstance(paper, str) and isinstance(summary, str)):
            raise InputError(f"{self.kind}.{name}: expected text for paper and summary, got {paper!r}, {summary!r}")
        if name in self._entries:
            raise InputError(f"{self.kind}.{name} is registered already, by {self._entries[name].config.__qualname__}")
        if self.find(config) is not None or not attrs.has(config):
            raise InputError(f"{self.kind}.{name}: expected an attrs class that is not registered yet, got {config!r}")
        if not callable(part):
            raise InputError(f"{self.kind}.{name}: expected the part's class, or a Deferred of it, got {part!r}")
        self._entries[name] = Entry(name, config, part, paper, summary)

    def build(self, config: object, *arguments: P.args, **named: P.kwargs) -> T:
        """Build the part of a config.

        Raises:
            InputError: the config is not registered here.
        """
        entry = self.find(type(config))
        if entry is None:
            raise InputError(f"{self.kind}: {config!r} is not registered; register its class and its part")
        return entry.part(config, *arguments, **named)

    def __getitem__(self, name: str) -> Entry[P, T]:
        """Return an entry.

        Raises:
            InputError: no entry has this name.
        """
        if name not in self._entries:
            raise InputError(f"no {self.kind} part named {name!r}: {suggest(name, self._entries)}")
        return self._entries[name]

    def __iter__(self) -> Iterator[Entry[P, T]]:
        """Go through the entries in the order of their registration."""
        return iter(self._entries.values())

    def find(self, config: type) -> Entry[P, T] | None:
        """Return the entry of a config class, or None."""
        return next((entry for entry in self if entry.config is config), None)


ENCODERS: Registry[[Spec], ContextEncoder[Any]] = Registry("encoders")
CRITICS: Registry[[Spec, int], Critic] = Registry("critics")  #: spec and width of z
ACTORS: Registry[[Spec, int], ActorLoss] = Registry("actors")
POLICIES: Registry[[Spec, int], Policy] = Registry("policies")
COLLECTORS: Registry[[], ContextCollector] = Registry("collectors")
WEIGHTS: Registry[[], Weight] = Registry("weights")
VALUES: Registry[[], Value] = Registry("values")
AGGREGATIONS: Registry[[int], Aggregation[Any]] = Registry("aggregations")  #: width of an embedding
NEGATIVES: Registry[[Spec], Negatives] = Registry("negatives")
FAMILIES: Registry[[], TaskFamily] = Registry("envs")

REGISTRIES: tuple[Registry[..., Any], ...] = (
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
