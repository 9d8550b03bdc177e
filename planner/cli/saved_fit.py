"""The FIT argument: a fit.json, or the folder it stands in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from planner.cli.output import warn

if TYPE_CHECKING:
    from planner.fitting.fit import Fit

FitPath = Annotated[str, typer.Argument(metavar="FIT", help="A fit.json, or the folder that `planner fit` wrote.")]


Force = Annotated[bool, typer.Option("--force", help="Use a fit file that was changed after it was written.")]


def read_fit(path: str, *, force: bool = False) -> Fit:
    """The saved fit; with `force` also one that was changed, and that is said."""
    from planner.errors import InputError
    from planner.fitting.saved import fit_from_record, seal
    from planner.store import FIT, read_json, require_unchanged

    place = Path(path)
    if place.is_dir():
        several = sorted(file.name for file in place.glob("fit-*.json"))
        if several and not (place / FIT).exists():
            raise InputError(f"{place}: holds one fit per group: {', '.join(several)}", "name one of those files")
        place = place / FIT
    if not place.is_file():
        raise InputError(f"{place}: no such file", "`planner fit RUNS` makes one and prints its path")
    if place.suffix != ".json":
        raise InputError(f"{place}: not a fit", "`planner fit RUNS` makes one from a table of runs and prints its path")
    record = read_json(place)
    if force and record.get("sha256") != seal(record):
        warn(f"{place}: was changed after it was written; used all the same (--force)")
    made = fit_from_record(record, str(place), force=force)
    if not force:
        require_unchanged(place)
    return made
