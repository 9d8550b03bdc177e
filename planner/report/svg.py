"""A matplotlib figure as SVG to stand in a page: same bytes every time, ids of its own, text as text."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib
from matplotlib.figure import Figure

# Okabe and Ito's colours, told apart by the colour-blind.
BLUE, ORANGE, GREEN, RED, PURPLE, SKY, GREY = (
    "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#6b7280",
)  # fmt: skip
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.grid": True,
    "grid.color": "#e5e7eb",
    "grid.linewidth": 0.8,
    "axes.axisbelow": True,
    "legend.frameon": False,
}


@contextmanager
def styled(name: str) -> Iterator[None]:
    """The report's look; `name` seeds the ids, so that two figures on a page never share one."""
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": name}):
        yield


def to_svg(figure: Figure, name: str, title: str) -> str:
    """The figure's svg element with a title for screen readers and no style of its own; call inside `styled(name)`.

    What is black takes the page's text colour, so that it can be read in dark mode.
    """
    buffer = io.StringIO()
    with warnings.catch_warnings():  # text stays text: the viewer's fonts have the glyphs that ours lack
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = buffer.getvalue()
    body = text[text.index("<svg") :]
    body = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', body)
    body = re.sub(r'(href="#|url\(#)', rf"\g<1>{name}-", body)
    body = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<defs>\s*</defs>", "", body, flags=re.DOTALL)
    body = re.sub(r'\sstyle="([^"]*)"', lambda found: _presented(found.group(1)), body)
    body = re.sub(r'\s(?:x|y|d|points|transform)="[^"]*"', lambda found: _shortened(found.group(0)), body)
    start, rest = body.split(">", 1)
    start = re.sub(r'\s(width|height)="[^"]*"', "", start)
    look = 'fill="currentColor" stroke-linejoin="round" stroke-linecap="butt"'
    return f'{start} {look} role="img" aria-label="{_attribute(title)}">{rest.strip()}'


def _presented(style: str) -> str:
    """A style attribute as presentation attributes, which a Content-Security-Policy without unsafe-inline allows."""
    said: dict[str, str] = {}
    for part in filter(None, (piece.strip() for piece in style.split(";"))):
        key, value = (text.strip() for text in part.split(":", 1))
        if key == "font":
            size, family = re.fullmatch(r"(?:.*?\s)?([\d.]+px)\s+(.*)", value, re.DOTALL).groups()  # type: ignore[union-attr]
            said |= {"font-size": size, "font-family": family}
        else:
            said[key] = "currentColor" if value == "#000000" else value
    return "".join(f' {key}="{value}"' for key, value in said.items())


def _shortened(places: str) -> str:
    """Coordinates to a hundredth of a point: nobody sees more, and a page carries thousands of them."""
    return re.sub(r"-?\d+\.\d{3,}", lambda found: f"{float(found.group(0)):.2f}", places)


def _attribute(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;").replace(">", "&gt;")
