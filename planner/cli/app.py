"""The `planner` command: one file per command, errors told in one place."""

from __future__ import annotations

import sys
import traceback
from importlib import import_module

import typer

from planner.cli.output import show_error
from planner.errors import InputError, PlannerError, StoppedError, WorldError

COMMANDS = (
    "run", "propose", "next", "choose", "launch", "export", "schedule", "import_", "fit", "predict", "backtest", "allocate",
    "compare", "assess", "report", "ledgers", "init", "cost", "catalogs", "laws", "policy", "budget", "forecast",
)  # fmt: skip

app = typer.Typer(
    help="Plan the small runs that de-risk a large pretraining run: propose them, fit scaling laws, report what they cost.",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(version("scaling-planner"))
        raise typer.Exit


@app.callback()
def root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """Plan the small runs that de-risk a large pretraining run."""


for _name in COMMANDS:
    import_module(f"planner.cli.{_name}").register(app)


def main(arguments: list[str] | None = None) -> None:
    """Run one command and exit: 0 done, 2 wrong input, 3 the world failed, 130 interrupted, 1 our bug."""
    arguments = sys.argv[1:] if arguments is None else arguments
    as_json = "--json" in arguments
    try:
        code = app(arguments or ["--help"], prog_name="planner", standalone_mode=False)
        code = 2 if not arguments else code if isinstance(code, int) else 0
        if code == StoppedError.exit_code:  # typer's own way to tell of Ctrl-C
            raise KeyboardInterrupt
        sys.stdout.flush()
    except (Exception, KeyboardInterrupt) as error:
        try:
            code = _told(error, as_json=as_json)
        except OSError:  # nobody is left to tell
            code = WorldError.exit_code
    sys.exit(code)


def _told(error: BaseException, *, as_json: bool) -> int:
    """Tell the user what happened; returns the exit code."""
    if isinstance(error, BrokenPipeError):
        sys.stderr.close()  # the reader went away: nobody is left to tell
        return 141
    if isinstance(error, KeyboardInterrupt):
        told: PlannerError = StoppedError("interrupted", "start the same command again to go on")
    elif isinstance(error, PlannerError):
        told = error
    elif hasattr(error, "format_message"):  # typer's own usage errors, whichever click it carries
        told = InputError(error.format_message(), "see `planner --help`")
    elif isinstance(error, OSError):
        told = WorldError(
            f"{error.filename or 'the system'}: {error.strerror or error}", "check the disk and permissions"
        )
    else:
        traceback.print_exception(error)
        told = PlannerError(
            f"{type(error).__name__}: {error}", "this is a bug of ours: please report it with the lines above"
        )
    show_error(told, as_json=as_json)
    return told.exit_code
