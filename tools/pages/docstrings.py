"""Docstrings on their way into the site: reStructuredText's roles and equations become Markdown's."""

from __future__ import annotations

import re
from textwrap import dedent
from typing import Any

import griffe

MATH_BLOCK = re.compile(r"^( *)\.\. math:: ?(.*(?:\n(?:\1 +\S.*| *$))*)", re.MULTILINE)
MATH = re.compile(r":math:`([^`]+)`")
ROLE = re.compile(r":(?:class|func|meth|mod|data|attr):`~?([^`]+)`")
LITERAL_BLOCK = re.compile(r"::\n(\n(?: *\n)*(?: {4,}.*\n?|\n)+)")


class Markdown(griffe.Extension):
    """Rewrites the docstring of every object that is loaded."""

    def on_object(self, *, obj: Any, **_: Any) -> None:
        """Rewrite one docstring."""
        if obj.docstring is not None:
            obj.docstring.value = to_markdown(obj.docstring.value)


def to_markdown(text: str) -> str:
    """Return a docstring as Markdown."""
    text = MATH_BLOCK.sub(lambda match: f"\n{match[1]}$$ {' '.join(dedent(match[2]).split())} $$\n", text)
    text = MATH.sub(r"$\1$", text)
    text = ROLE.sub(r"`\1`", text)
    return LITERAL_BLOCK.sub(r":\n\1", text)
