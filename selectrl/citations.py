"""BibTeX for an experiment: the papers of its parts and this library, and nothing else."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any

import attrs

from selectrl.bibliography import bibtex_entry, find_papers
from selectrl.errors import InputError
from selectrl.experiment.config import Experiment, walk_parts
from selectrl.registry import REGISTRIES, Entry
from selectrl.version import __version__

TITLE = "{SELECT-RL}: Offline Meta-Reinforcement Learning from Interchangeable Parts"


@attrs.frozen
class Citation:
    """An entry to cite, and the parts that it is cited for.

    Attributes:
        key: its BibTeX key.
        parts: the parts, ``encoders.csro``; ``selectrl`` stands for the library.
        bibtex: the entry.
    """

    key: str
    parts: tuple[str, ...]
    bibtex: str


def walk_entries(config: Any) -> Iterator[tuple[str, Entry[..., Any]]]:
    """Yield the registered parts of a config, itself and the parts inside it, in the order of its fields.

    Args:
        config: an experiment, or a part.

    Yields:
        ``kind.name`` and the registry's entry.
    """
    for part in walk_parts(config):
        for registry in REGISTRIES:
            entry = registry.find(type(part))
            if entry is not None:
                yield f"{registry.kind}.{entry.name}", entry


def citations(experiment: Experiment) -> tuple[Citation, ...]:
    """Return the citations for an experiment: the library, then each paper once, in the order of the parts.

    A paper outside the bibliography (of a part from another package) is cited by the string with which its part was
    registered.

    Args:
        experiment: the composition.

    Raises:
        InputError: the argument is not an experiment.
    """
    if not isinstance(experiment, Experiment):
        raise InputError(f"cannot cite {experiment!r:.60}: expected an Experiment; get one from selectrl.compose")
    note = {"title": TITLE, "author": "{The SELECT-RL maintainers}", "note": f"Version {__version__}"}
    cited = {"selectrl": (bibtex_entry("misc", "selectrl", note), ["selectrl"])}
    for name, part in walk_entries(experiment):
        papers = find_papers(part.paper)
        entries = [(paper.key, paper.bibtex) for paper in papers or ()]
        if papers is None and part.paper:
            entries = [(part.name, bibtex_entry("misc", part.name, {"title": part.name, "note": part.paper}))]
        for key, bibtex in entries:
            parts = cited.setdefault(key, (bibtex, []))[1]
            parts.extend([name] if name not in parts else [])
    return tuple(Citation(key, tuple(parts), bibtex) for key, (bibtex, parts) in cited.items())


def citation(experiment: Experiment) -> str:
    """Return the BibTeX of :func:`citations`; a comment above each entry names the parts.

    Args:
        experiment: the composition, as :func:`selectrl.compose` returns it.
    """
    return "\n\n".join(f"{comment_of(entry)}\n{entry.bibtex}" for entry in citations(experiment))


def comment_of(entry: Citation) -> str:
    """Return the comment above an entry: the parts that it is cited for, wrapped to the width of the entry."""
    return textwrap.fill(", ".join(entry.parts), 79, initial_indent="% ", subsequent_indent="% ")
