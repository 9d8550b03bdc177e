"""How commands speak: one JSON object on stdout, or text for people; progress and errors on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated

import typer

from planner.errors import PlannerError
from planner.text import visible

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
Output = Annotated[str | None, typer.Option("--output", "-o", metavar="DIR", help="Folder to write to.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Seed of everything random.")]

EngineName = Annotated[
    str,
    typer.Option(
        "--engine", metavar="ENGINE", help="Who computes: processes (:N), or dask://host:port (docs/engines.md)."
    ),
]


def show_json(value: object) -> None:
    """The one object that `--json` promises."""
    from planner.encode import to_json

    print(to_json(value))


def show_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table on a terminal: first column left, the others right; nothing in a cell is markup."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for index, name in enumerate(header):
        table.add_column(Text(name), justify="left" if index == 0 else "right")
    for row in rows:
        table.add_row(*(Text(visible(cell)) for cell in row))
    console = Console()
    if not console.is_terminal:
        console = Console(width=200)  # a file has no width to fit
    if title:
        console.print(Text(visible(title), style="bold"))
    console.print(table)


def say(text: str = "") -> None:
    """A line for people."""
    print("\n".join(visible(line) for line in text.split("\n")))


def warn(text: str) -> None:
    """A line that people should not overlook and that no program reads: on stderr."""
    print(f"planner: {visible(text)}", file=sys.stderr)


@contextmanager
def steps(names: Sequence[str]) -> Iterator[Callable[[str], None]]:
    """Progress over named steps: a bar on a terminal, a line a step elsewhere; always on stderr."""
    if not sys.stderr.isatty():

        def line(name: str) -> None:
            print(f"[{list(names).index(name) + 1}/{len(names)}] {name}", file=sys.stderr, flush=True)

        yield line
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description:<20}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=len(names), completed=-1)

        def move(name: str) -> None:
            bar.update(task, description=name, advance=1)

        yield move


def show_error(error: PlannerError, *, as_json: bool) -> None:
    """What is wrong and what to try, in one line each; as JSON on stdout when that was asked for."""
    if as_json:
        print(json.dumps({"error": {"kind": error.kind, "message": error.message, "try": error.hint}}))
        return
    print(f"planner: {visible(error.message)}", file=sys.stderr)
    if error.hint:
        print(f"  try: {visible(error.hint)}", file=sys.stderr)
