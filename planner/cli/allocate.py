"""`planner allocate`."""

from __future__ import annotations

from typing import Annotated

import typer

from planner.cli.output import Json, say, show_json, show_table
from planner.cli.saved_fit import FitPath, read_fit


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("allocate")(allocate)


def allocate(
    fit: FitPath,
    flops: Annotated[str, typer.Option(help="Training FLOPs to split: 3.3e24.")],
    json: Json = False,
) -> None:
    """Best size and tokens for a compute budget, with intervals."""
    from planner.cli.table import number
    from planner.decisions.allocation import allocate as split
    from planner.quantities import human

    found = split(read_fit(fit), flops=number("--flops", flops))
    if json:
        show_json(found)
        return
    values = {"params": found.params, "tokens": found.tokens, "tokens_per_param": found.tokens_per_param}
    rows = [(name, human(value), *(human(edge) for edge in found.intervals[name])) for name, value in values.items()]
    rows.append(("loss", f"{found.loss:.4f}", *(f"{edge:.4f}" for edge in found.intervals["loss"])))
    show_table(
        f"best split of {human(found.flops)} FLOPs (6 x {found.count} x tokens)",
        ("", "best", f"{found.level:.0%} from", "to"), rows,
    )  # fmt: skip
    say(f"{'supported' if found.supported else 'NOT supported'}: {found.reason}")
