"""`planner report`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from planner.cli.output import Json, Output, say, show_json

if TYPE_CHECKING:
    from planner.store import Folder


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("report")(report)


def report(
    place: Annotated[
        str, typer.Argument(metavar="DIR|SWEEP", help="A folder of `planner run` or `report`, or a lab's sweep file.")
    ],
    runs: Annotated[
        list[str] | None, typer.Option("--runs", help="What came back so far: runs.csv of `planner import`; repeat it.")
    ] = None,
    plan: Annotated[
        list[str] | None,
        typer.Option("--plan", help="Plans instead of the sweep's own: of `planner propose`, `next`; repeat it."),
    ] = None,
    fit: Annotated[str | None, typer.Option("--fit", help="The law so far: fit.json of `planner fit`.")] = None,
    forecasts: Annotated[
        str | None,
        typer.Option(
            "--forecasts", metavar="DIR", help="Registered forecasts to list; results/forecasts if there is one."
        ),
    ] = None,
    redact: Annotated[
        bool, typer.Option("--redact", help="Also a copy to share in report/redacted: no names, prices or paths.")
    ] = False,
    output: Output = None,
    json: Json = False,
) -> None:
    """The de-risking report: HTML, Markdown, JSON, and every table as csv. Of a sweep that is done, or of a lab under way.

    With a folder, its report again. With a sweep file, the plan against what came back so far, and what exploration will
    have cost at completion; with a fit also what the law says so far.
    """
    from planner.cli.forecast_record import write_record
    from planner.report.page import REDACTED, write_report
    from planner.store import REPORT_HTML, REPORT_MARKDOWN

    opened = _opened(place, runs or [], plan or [], fit, output)
    write_record(opened, forecasts)
    summary = write_report(opened, redact=redact)
    opened.finish()
    paths = {"html": str(opened.path / REPORT_HTML), "markdown": str(opened.path / REPORT_MARKDOWN)}
    if redact:
        paths["redacted"] = str(opened.path / REDACTED / "index.html")
    if json:
        show_json({**summary, **paths})
        return
    _tell(summary)
    say(f"report: {paths['html']}")
    if redact:
        say(f"to share: {paths['redacted']}")


def _opened(place: str, runs: list[str], plan: list[str], fit: str | None, output: str | None) -> Folder:
    from planner import store
    from planner.errors import InputError

    if Path(place).is_file() or place.endswith(".toml"):
        from planner.cli.report_folder import fill_report_folder
        from planner.cli.saved_fit import read_fit

        return fill_report_folder(place, runs, plan, read_fit(fit) if fit else None, output)
    given = {"--runs": runs, "--plan": plan, "--fit": fit, "--output": output}
    if extra := [name for name, value in given.items() if value]:
        raise InputError(
            f"{extra[0]} goes with a sweep file, and {place} is a folder", f"planner report SWEEP {extra[0]} ..."
        )
    opened = store.Folder.reopen(place)
    if opened.command not in ("run", "report"):
        raise InputError(
            f"{place}: was written by `planner {opened.command}`, which leaves no report",
            f"`planner report SWEEP --runs {place}/{store.RUNS}` reports on a lab under way"
            if opened.command == "import"
            else "give a folder of `planner run`, or a sweep file and --runs",
        )
    return opened


def _tell(summary: dict[str, Any]) -> None:
    from planner.quantities import human, times

    done, total = summary["completion"], summary["completion"]["total"]
    open_ = " so far" if total["runs_open"] else ""
    say(f"exploration : final run = {times(summary['ratio']['gpu_hours'] or 0.0)} in GPU-hours{open_}")
    if total["runs_open"]:
        low, middle, high = (done["ratio"][name] for name in ("p10", "p50", "p90"))
        say(
            f"{total['runs_open']:,} runs are open: {human(done['gpu_hours']['p50'], 4)} GPU-hours at completion, "
            f"{times(middle)} ({times(low)} to {times(high)}, P10 to P90)"
        )
