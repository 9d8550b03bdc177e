"""`planner init`."""

from __future__ import annotations

from typing import Annotated

import typer

from planner.cli.output import Json, say, show_json


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("init")(init)


def init(
    name: Annotated[str, typer.Argument(help="Name of the sweep; the file is NAME.toml.")] = "my_sweep",
    lab: Annotated[
        str,
        typer.Option(
            help="simulated (a large run, losses simulated) or local (small models, trained on this machine)."
        ),
    ] = "simulated",
    json: Json = False,
) -> None:
    """A first sweep file to edit, in the current folder; for a local lab also a model and a core beside it."""
    import re
    from pathlib import Path

    from planner.cli.first_sweeps import FIRST
    from planner.errors import InputError
    from planner.store import write_bytes

    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,79}", name):
        raise InputError(f"{name!r} is not a name", "use letters, digits, _ . -")
    if lab not in FIRST:
        raise InputError(f"--lab {lab!r} is unknown", f"one of: {', '.join(FIRST)}")
    files = {Path(file.format(name=name)): text for file, text in FIRST[lab].items()}
    for path in files:
        if path.exists():
            raise InputError(f"{path}: is there already", "choose another name: planner init NAME")
    for path, text in files.items():
        write_bytes(path, text.replace("NAME", name).encode("utf-8"))
    sweep = f"{name}.toml"
    if json:
        show_json({"sweep": sweep})
    else:
        say(f"sweep: {', '.join(map(str, files))}\nnext: planner propose {sweep} --dry-run")
