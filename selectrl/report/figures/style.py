"""Colours and dashes: one pair per method throughout a report, readable on light and dark ground and in grey."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import attrs

LIGHT = {
    "ground": "#fcfcfa",
    "ink": "#1b2026",
    "muted": "#5d6670",
    "rule": "#dadde1",
    "m0": "#0b6bb3",
    "m1": "#cc4c0c",
    "m2": "#0a8a66",
    "m3": "#b04a8c",
    "m4": "#96700a",
    "m5": "#2a93c9",
    "m6": "#6a5acd",
    "m7": "#727a83",
}
"""Named colours on light ground; figures are drawn with them, and the page replaces each by its CSS variable."""

DARK = {
    "ground": "#15181c",
    "ink": "#e7e9ec",
    "muted": "#9ba5b0",
    "rule": "#333a42",
    "m0": "#58b0f0",
    "m1": "#ff8d4d",
    "m2": "#35c99c",
    "m3": "#e890c4",
    "m4": "#dcb13c",
    "m5": "#9ad8f7",
    "m6": "#a99cf5",
    "m7": "#a6aeb7",
}
"""The same names on dark ground."""

DASHES: tuple[tuple[float, ...], ...] = ((), (5, 2), (1.2, 1.6), (7, 2, 1.5, 2), (3, 1.5), (9, 2.5))
"""On and off lengths in line widths; the first is solid."""

ARC = ("#3f6fdc", "#8a5bd6", "#cf4d96", "#e56a4b", "#c8921b")
"""Hues along the half circle of goals, for paths: mid tones that read on light and dark ground."""

CYCLE = (*ARC, "#4f9a57", ARC[0])
"""Hues around a whole circle, for tasks whose first and last are neighbours."""

METHOD_COLOURS = sum(name.startswith("m") and name != "muted" for name in LIGHT)


@attrs.frozen
class Mark:
    """The style of one method.

    Attributes:
        variable: its colour's name.
        dash: on and off lengths of its line.
    """

    variable: str
    dash: tuple[float, ...]

    @property
    def colour(self) -> str:
        """The colour on light ground."""
        return LIGHT[self.variable]


def marks(methods: Iterable[str]) -> Mapping[str, Mark]:
    """Give every method its colour and dash, by alphabet; the pairs repeat after twenty-four methods."""
    names = sorted(set(methods))
    return {name: Mark(f"m{i % METHOD_COLOURS}", DASHES[i % len(DASHES)]) for i, name in enumerate(names)}


def hue(position: float, *, cyclic: bool = False) -> str:
    """Return the hue at a position from 0 to 1 along :data:`ARC`, or around :data:`CYCLE`."""
    hues = CYCLE if cyclic else ARC
    place = min(max(position, 0.0), 1.0) * (len(hues) - 1)
    left = min(int(place), len(hues) - 2)
    share = place - left
    ends = [[int(hue[i : i + 2], 16) for i in (1, 3, 5)] for hue in hues[left : left + 2]]
    return "#" + "".join(f"{round((1 - share) * a + share * b):02x}" for a, b in zip(*ends, strict=True))


def variables(colours: Mapping[str, str]) -> str:
    """Return CSS declarations of the named colours."""
    return " ".join(f"--{name}: {value};" for name, value in colours.items())
