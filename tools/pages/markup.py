"""What becomes of equations and diagrams when the site is built: MathML and SVG, so that no page needs a script.

MkDocs calls the ``on_page`` functions for every page, and ``on_nav`` once.
"""

from __future__ import annotations

import html
import re
from typing import Any

import mmdr
from latex2mathml.converter import convert
from mkdocs.structure.files import InclusionLevel

FENCE = re.compile(r"^```mermaid\n(.*?)^```$", re.DOTALL | re.MULTILINE)
EQUATION = re.compile(r'<(span|div) class="arithmatex">(.*?)</\1>', re.DOTALL)


def on_nav(nav: Any, files: Any, **_: Any) -> None:
    """Leave out of the site the lists that the navigation was made of."""
    for file in files:
        if file.name == "SUMMARY":
            file.inclusion = InclusionLevel.EXCLUDED


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Keep the source of each diagram out of Markdown's way."""
    return FENCE.sub(lambda match: f'<pre class="mermaid-source">{html.escape(match[1])}</pre>', markdown)


def on_page_content(content: str, page: Any, **_: Any) -> str:
    """Draw the diagrams and set the equations of a page.

    Raises:
        ValueError: an equation is no LaTeX; the page is named.
    """
    stem = re.sub(r"\W", "", page.file.src_uri)
    sources = iter(range(1000))
    content = re.sub(
        r'<pre class="mermaid-source">(.*?)</pre>',
        lambda match: diagram(html.unescape(match[1]), f"{stem}{next(sources)}"),
        content,
        flags=re.DOTALL,
    )
    try:
        return EQUATION.sub(equation, content)
    except Exception as error:
        raise ValueError(f"{page.file.src_uri}: an equation cannot be set, {error!r}") from error


def diagram(source: str, name: str) -> str:
    """Return a Mermaid diagram as SVG; its ids and styles carry a name, so that a page may hold several."""
    svg = mmdr.render(source).svg().replace("merman", name).replace("hsl(-120, 0%, 80%)", "#fff")  # behind labels
    return f'<div class="diagram">{svg}</div>'


def equation(match: re.Match[str]) -> str:
    """Return an equation as MathML."""
    text = html.unescape(match[2]).strip()
    display = text.startswith("\\[")
    maths = convert(" ".join(text[2:-2].split()), display="block" if display else "inline")
    if "\\" in maths:  # the converter lets a command that it does not know stand as text
        raise ValueError(f"a command in {text} is not known")
    return f'<span class="equation">{maths}</span>' if display else maths
