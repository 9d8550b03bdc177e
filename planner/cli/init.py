"""`planner init`."""

from __future__ import annotations

from typing import Annotated

import typer

from planner.cli.output import Json, say, show_json

FIRST_SWEEP = """\
# What do we want to know before the final run? Edit, then: planner propose {name}.toml --dry-run

schema = 1
name = "{name}"
question = "Which small runs de-risk an 8B model on 2T tokens, and what do they cost against it?"
seed = 0

[final]
model = "llama-3-8b"          # `planner models` lists more; or a TOML file of your own
tokens = "2T"
accelerator = "h100"          # `planner hardware` lists more
count = 512
# gpu_hours_per_trillion_tokens = "100K"   # if you measured it; else it is modelled

[price]
usd_per_gpu_hour = 2.35

[exploration]
budget = "0.5x final"
params_active = ["300M", "2B"]
tokens = ["20 per param", "300B"]
count = 128

[[study]]
kind = "scaling"
share = 0.6

[[study]]
kind = "hyperparameters"
share = 0.4
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("init")(init)


def init(
    name: Annotated[str, typer.Argument(help="Name of the sweep; the file is NAME.toml.")] = "my_sweep",
    json: Json = False,
) -> None:
    """A first sweep file to edit, in the current folder."""
    import re
    from pathlib import Path

    from planner.errors import InputError
    from planner.store import write_bytes

    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,79}", name):
        raise InputError(f"{name!r} is not a name", "use letters, digits, _ . -")
    path = Path(f"{name}.toml")
    if path.exists():
        raise InputError(f"{path}: is there already", "choose another name: planner init NAME")
    write_bytes(path, FIRST_SWEEP.format(name=name).encode("utf-8"))
    if json:
        show_json({"sweep": str(path)})
    else:
        say(f"sweep: {path}\nnext: planner propose {path} --dry-run")
