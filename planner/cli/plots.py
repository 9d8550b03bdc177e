"""Options that draw."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Plots = Annotated[str, typer.Option("--plots", help="Pictures beside the fit: svg, png or none.")]
Plot = Annotated[str | None, typer.Option("--plot", metavar="FILE", help="Draw it: a file ending in .svg or .png.")]

KINDS = ("svg", "png")


def plot_kind(plots: str) -> str | None:
    """The --plots option; None for none."""
    from planner.errors import InputError

    if plots not in (*KINDS, "none"):
        raise InputError(f"--plots {plots!r} is unknown", "one of: svg, png, none")
    return None if plots == "none" else plots


def check_plot(path: str | None) -> None:
    """Refuse a --plot that cannot be drawn before any work is done."""
    from planner.errors import InputError

    if path is not None and Path(path).suffix[1:].lower() not in KINDS:
        raise InputError(f"--plot {path!r}: a picture's name ends in .svg or .png", "for example --plot loss.svg")


def write_plot(path: str, name: str, draw: Callable[[], Figure | None]) -> None:
    """Draw one picture into a file."""
    from planner.report.fit_figures import picture
    from planner.store import write_bytes

    content = picture(name, draw, Path(path).suffix[1:].lower())
    if content is not None:
        write_bytes(Path(path), content)
