"""`planner run`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from planner.cli.output import Json, Output, say, show_json, steps

if TYPE_CHECKING:
    from planner.cli.chain import Finished
    from planner.sweep.spec import Sweep

SweepPath = Annotated[str, typer.Argument(metavar="SWEEP", help="The question: a TOML file, as in sweeps/.")]
MaxFlops = Annotated[str | None, typer.Option(help="Stop when the plan needs more training FLOPs than this.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("run")(run)


def run(
    sweep: SweepPath,
    output: Output = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Use this seed, not the file's.")] = None,
    max_flops: MaxFlops = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Train anew, though the sweep names recorded logs.")] = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="The small variant of the sweep: NAME_quick.toml beside it.")
    ] = False,
    jobs: Annotated[
        int | None,
        typer.Option(min=1, max=1024, help="Worker processes of a local lab. Left out: one per GPU or core."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show the plan and its cost.")] = False,
    json: Json = False,
) -> None:
    """The whole chain in the sweep's lab: plan, train, fit, forecast, decide, report.

    A simulated lab trains nothing. A local one trains on this machine, or replays the logs that the sweep names.
    """
    from planner import store
    from planner.cli.propose import read, show_plan

    question = read(quick_of(sweep) if quick else sweep, seed)
    limit = parse_limit(max_flops)
    folder = store.Folder(
        default_output(question, fresh=fresh) if output is None else output,
        "run",
        {"sweep": question.sha256, **_lab_inputs(question, fresh=fresh)},
        seed=question.file.seed,
    )
    if dry_run:
        show_plan(question, limit, as_json=json)
        return
    folder.check()
    from functools import partial

    from planner.cli.chain import STEPS, run_chain
    from planner.cli.labs import Local, lab_of
    from planner.sweep.plan import propose

    plan = propose(question, max_flops=limit)
    with steps(STEPS) as progress:
        lab = partial(lab_of, plan, folder, fresh=fresh, local=Local(jobs))
        done = run_chain(plan, folder, lab, progress)
    if json:
        show_json(_record(done))
    else:
        say(_headline(done))
        say(f"report: {done.folder / store.REPORT_HTML}")


def quick_of(sweep: str) -> str:
    """The small variant that stands beside a sweep."""
    path = Path(sweep)
    return str(path.with_name(f"{path.stem}_quick{path.suffix}"))


def default_output(question: Sweep, *, fresh: bool) -> str:
    """Where a sweep's results go: never over a record that is replayed."""
    return f"results/{question.file.name}" + ("-fresh" if fresh and question.file.lab.logs else "")


def _lab_inputs(question: Sweep, *, fresh: bool) -> dict[str, str]:
    """What a local lab adds to the inputs of the results folder; InputError for --fresh in a lab that has nothing to train."""
    from planner.cli.labs import recorded_sha256
    from planner.errors import InputError

    if question.file.lab.kind == "simulated":
        if fresh:
            raise InputError("--fresh: this sweep's lab is simulated, nothing is trained", 'set [lab] kind = "local"')
        return {}
    recorded = None if fresh else recorded_sha256(question)
    return {"logs": recorded or "trained here"}


def parse_limit(text: str | None) -> float | None:
    """The --max-flops option as a number."""
    from planner.cli.table import number
    from planner.errors import InputError

    if text is None:
        return None
    limit = number("--max-flops", text)
    if limit <= 0:
        raise InputError(f"--max-flops {text} is not above zero", "give a count such as 1e24")
    return limit


def _record(done: Finished) -> dict[str, object]:
    from planner import store

    return {
        "plan": str(done.folder / store.PLAN),
        "runs": str(done.folder / store.RUNS),
        "fit": str(done.folder / store.FIT),
        "forecast": str(done.folder / store.FORECAST),
        "report": str(done.folder / store.REPORT_HTML),
        "headline": _headline(done),
        "ratio": done.report["ratio"],
        "exploration": done.report["exploration"],
        "final": done.report["final"],
        "prediction": done.forecast,
    }


def _headline(done: Finished) -> str:
    from planner.quantities import dollars, human, times

    spent, final, ratio = done.report["exploration"], done.report["final"], done.report["ratio"]
    low, high = done.forecast.interval_run
    return (
        f"Exploration : final run = {times(ratio['gpu_hours'])} in GPU-hours, {times(ratio['usd'])} in dollars, "
        f"{times(ratio['flops'])} in pretraining FLOPs "
        f"({spent['runs']:,} runs, {human(spent['gpu_hours'], 4)} GPU-hours, {dollars(spent['usd'])} : "
        f"{human(final['gpu_hours'], 4)} GPU-hours, {dollars(final['usd'])}).\n"
        f"The final run is forecast to reach a loss of {done.forecast.loss:.3f} ({low:.3f} to {high:.3f}, "
        f"{done.forecast.level:.0%} interval of one run, {'' if done.forecast.supported else 'NOT '}supported by the backtest)."
    )
