"""Matplotlib without its global state: figures that come out the same every time, and as SVG that the page can tint."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from io import BytesIO
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from selectrl.report.figures.style import LIGHT

FORMATS = ("png", "pdf", "svg")

_RC: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9.0,
    "text.parse_math": False,
    "text.color": LIGHT["ink"],
    "axes.edgecolor": LIGHT["rule"],
    "axes.linewidth": 0.8,
    "axes.labelcolor": LIGHT["muted"],
    "axes.titlecolor": LIGHT["muted"],
    "axes.titlesize": 9.0,
    "axes.titlelocation": "left",
    "axes.titlepad": 8.0,
    "axes.unicode_minus": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.facecolor": "none",
    "axes.axisbelow": True,
    "figure.facecolor": "none",
    "grid.color": LIGHT["rule"],
    "grid.linewidth": 0.6,
    "xtick.color": LIGHT["rule"],
    "ytick.color": LIGHT["rule"],
    "xtick.labelcolor": LIGHT["muted"],
    "ytick.labelcolor": LIGHT["muted"],
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.frameon": False,
    "legend.fontsize": 9.0,
    "legend.handlelength": 2.6,
    "lines.linewidth": 1.8,
    "lines.dash_capstyle": "butt",
    "lines.scale_dashes": True,
    "path.simplify": True,
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
    "svg.hashsalt": "selectrl",
    "savefig.dpi": 200,
}


@contextmanager
def drawing() -> Iterator[None]:
    """Draw and render under this package's settings, independent of the caller's; a missing glyph is ignored."""
    with mpl.rc_context(), warnings.catch_warnings():
        mpl.rcdefaults()
        mpl.rcParams.update(_RC)
        warnings.filterwarnings("ignore", message="Glyph")
        yield


def blank(width: float, height: float) -> Figure:
    """Return an empty figure of a size in inches, with constrained layout."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def settle(figure: Figure) -> None:
    """Lay the figure out now, once for all the formats that it is rendered in."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")


def render(figure: Figure, kind: str) -> bytes:
    """Return the file that holds the figure as PNG, PDF or SVG, free of dates; PNG and PDF on white."""
    metadata: dict[str, dict[str, Any]] = {
        "png": {"Software": None},
        "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
        "svg": {"Date": None, "Creator": None},
    }
    buffer = BytesIO()
    ground = {"png": "white", "pdf": "white", "svg": "none"}[kind]
    figure.savefig(buffer, format=kind, metadata=metadata[kind], facecolor=ground)
    return buffer.getvalue()


def inline(svg: bytes, name: str, alt: str) -> str:
    """Return SVG to stand inside a page: colours as CSS variables, the page's fonts, unique ids, an aria-label."""
    text = svg.decode("utf-8")
    box = re.search(r'viewBox="[^"]*"', text)
    body = text[text.index("</defs>") + len("</defs>") :]  # the first holds matplotlib's style, which the page has
    body = re.sub(r'<g id="[^"]*"', "<g", body)
    body = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", body)
    body = re.sub(r' (?:d|points|transform|x|y|width|height)="[^"]*"', _rounded, body)
    body = re.sub(r"\s*\n\s*", "\n", body).replace("font-family: 'DejaVu Sans', sans-serif; ", "")
    for variable, value in LIGHT.items():
        body = body.replace(value, f"var(--{variable})")
    return f'<svg {box.group() if box else ""} role="img" aria-label="{escape(alt)}">{body}'.strip()


def _rounded(match: re.Match[str]) -> str:
    """Round the numbers of one attribute to a hundredth of a point."""
    return re.sub(r"-?\d+\.\d{3,}", lambda n: f"{float(n.group()):.2f}".rstrip("0").rstrip("."), match.group())
