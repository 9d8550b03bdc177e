"""`planner report`."""

from __future__ import annotations

from typing import Annotated

import typer

from planner.cli.output import Json, say, show_json


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("report")(report)


def report(
    folder: Annotated[str, typer.Argument(metavar="DIR", help="A folder that `planner run` wrote.")],
    redact: Annotated[
        bool, typer.Option("--redact", help="Also a copy to share in report/redacted: no names, prices or paths.")
    ] = False,
    json: Json = False,
) -> None:
    """Write the de-risking report of a finished sweep again: HTML, Markdown, JSON, and every table as csv."""
    from planner import store
    from planner.errors import InputError
    from planner.report.page import REDACTED, write_report

    opened = store.Folder.reopen(folder)
    if opened.command != "run":
        raise InputError(
            f"{folder}: was written by `planner {opened.command}`, which leaves no report",
            "give a folder of `planner run`",
        )
    summary = write_report(opened, redact=redact)
    opened.finish()
    paths = {"html": str(opened.path / store.REPORT_HTML), "markdown": str(opened.path / store.REPORT_MARKDOWN)}
    if redact:
        paths["redacted"] = str(opened.path / REDACTED / "index.html")
    if json:
        show_json({**summary, **paths})
    else:
        say(f"exploration : final run = {summary['ratio']['gpu_hours']:.2f} in GPU-hours")
        say(f"report: {paths['html']}")
        if redact:
            say(f"to share: {paths['redacted']}")
