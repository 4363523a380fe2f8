"""A table as data, written as HTML for the page, as LaTeX (booktabs) for a paper, and as Markdown for a README."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import NamedTuple

import attrs

from selectrl.report.figures.style import Mark

NONE = "–"


class Cell(NamedTuple):
    """One cell.

    Attributes:
        text: its text.
        small: small print below, one or several lines: intervals, a remark.
        method: whose line stands before the text.
        strong: whether it stands out.
        code: whether it is code.
    """

    text: str
    small: str = ""
    method: str = ""
    strong: bool = False
    code: bool = False


@attrs.frozen(kw_only=True, eq=False)
class Table:
    """A table.

    Attributes:
        name: stem of its files.
        title: its heading.
        note: how to read it.
        head: names of the columns.
        rows: a cell a column.
        words: how many columns at the left hold words and not numbers.
        lit: numbers of the rows that are lit.
    """

    name: str
    title: str
    note: str
    head: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    words: int = 1
    lit: frozenset[int] = frozenset()


def swatch(mark: Mark) -> str:
    """Return the line of a method as a small drawing."""
    dash = f' stroke-dasharray="{" ".join(f"{1.8 * part:g}" for part in mark.dash)}"' if mark.dash else ""
    line = f'<line x1="0" y1="4" x2="26" y2="4" stroke="var(--{mark.variable})" stroke-width="2.6"{dash}/>'
    return f'<svg class="swatch" viewBox="0 0 26 8" aria-hidden="true">{line}</svg>'


def named(method: str, marks: Mapping[str, Mark]) -> str:
    """Return a method's name behind its line, as HTML."""
    return f'<span class="method">{swatch(marks[method])}{escape(method)}</span>'


def html(table: Table, marks: Mapping[str, Mark]) -> str:
    """Return the table in a scroller of its own, every cell escaped."""

    def filled(cell: Cell) -> str:
        text = named(cell.text, marks) if cell.method else escape(cell.text)
        text = f"<strong>{text}</strong>" if cell.strong else f"<code>{text}</code>" if cell.code else text
        small = "<br>".join(map(escape, cell.small.splitlines()))
        return text + (f" <small>{small}</small>" if small else "")

    kinds = ["" if i < table.words else ' class="n"' for i in range(len(table.head))]
    top = "".join(f'<th scope="col"{kind}>{escape(name)}</th>' for name, kind in zip(table.head, kinds, strict=True))
    body = []
    for i, (first, *others) in enumerate(table.rows):
        cells = "".join(f"<td{kind}>{filled(cell)}</td>" for kind, cell in zip(kinds[1:], others, strict=True))
        body.append(f'<tr{" class=lit" if i in table.lit else ""}><th scope="row">{filled(first)}</th>{cells}</tr>')
    inner = f"<table><thead><tr>{top}</tr></thead><tbody>{''.join(body)}</tbody></table>"
    return f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(table.title)}">{inner}</div>'


def latex(table: Table) -> str:
    """Return a ``table`` environment for the packages booktabs and, for intervals, makecell."""

    def filled(cell: Cell) -> str:
        text = _tex(cell.text)
        text = rf"\textbf{{{text}}}" if cell.strong else text
        lines = r" \\ ".join([text, *(rf"{{\scriptsize {_tex(line)}}}" for line in cell.small.splitlines())])
        return rf"\makecell[tr]{{{lines}}}" if cell.small else text

    columns = "l" * table.words + "r" * (len(table.head) - table.words)
    head = " & ".join(map(_tex, table.head))
    lines = [" & ".join(map(filled, row)) + r" \\" for row in table.rows]
    return "\n".join(
        [
            r"% \usepackage{booktabs, makecell}",
            r"\begin{table}",
            r"  \centering",
            rf"  \caption{{{_tex(table.title)}. {_tex(table.note)}}}",
            rf"  \begin{{tabular}}{{{columns}}}",
            r"    \toprule",
            rf"    {head} \\",
            r"    \midrule",
            *(f"    {line}" for line in lines),
            r"    \bottomrule",
            r"  \end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def markdown(table: Table) -> str:
    """Return a table in GitHub's Markdown."""

    def filled(cell: Cell) -> str:
        text = _mark(cell.text)
        text = f"**{text}**" if cell.strong else text
        return f"{text} ({' / '.join(map(_mark, cell.small.splitlines()))})" if cell.small else text

    rules = ["---" if i < table.words else "---:" for i in range(len(table.head))]
    rows = [[_mark(name) for name in table.head], rules, *([filled(cell) for cell in row] for row in table.rows)]
    return "\n".join([f"**{table.title}.** {table.note}", "", *(f"| {' | '.join(row)} |" for row in rows), ""])


TEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "−": "$-$",
    "–": "--",
    "±": r"$\pm$",
    "×": r"$\times$",
    **{item: f"\\{item}" for item in "&%$#_{}"},
}


def _tex(text: str) -> str:
    return "".join(TEX.get(item, item) for item in text)


def _mark(text: str) -> str:
    return re.sub(r"([\\`*_|<>\[\]])", r"\\\1", text)
