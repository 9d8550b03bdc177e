"""`planner propose`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from planner.cli.output import Json, Output, say, show_json, show_table
from planner.cli.plots import Plot, check_plot, write_plot

if TYPE_CHECKING:
    from planner.sweep.plan import Plan
    from planner.sweep.spec import Sweep


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("propose")(propose)


def propose(
    sweep: Annotated[str, typer.Argument(metavar="SWEEP", help="The question: a TOML file, as in sweeps/.")],
    output: Output = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Use this seed, not the file's.")] = None,
    max_flops: Annotated[
        str | None, typer.Option(help="Stop when the plan needs more training FLOPs than this.")
    ] = None,
    against: Annotated[
        str | None, typer.Option(metavar="SWEEP", help="Show another sweep's plan beside it; writes nothing.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show the plan and its cost.")] = False,
    formats: Annotated[str, typer.Option("--format", help="csv, jsonl, parquet, or several joined by commas.")] = "csv",
    plot: Plot = None,
    json: Json = False,
) -> None:
    """The plan: every run to do, complete, with what it costs and is expected to tell."""
    from planner import store
    from planner.cli.run import parse_limit
    from planner.encode import FORMATS
    from planner.errors import InputError

    check_plot(plot)
    kinds = list(dict.fromkeys(kind.strip() for kind in formats.split(",")))
    for kind in kinds:
        if kind not in FORMATS:
            raise InputError(f"--format {kind!r} is unknown", f"one of: {', '.join(FORMATS)}")
    question, limit = read(sweep, seed), parse_limit(max_flops)
    if against is not None:
        show_both(question, read(against, seed), limit, as_json=json, plot=plot)
        return
    folder = store.Folder(
        output or f"results/{question.file.name}-plan", "propose", {"sweep": question.sha256},
        seed=question.file.seed, replace=True,
    )  # fmt: skip
    folder.check()
    plan = show_plan(question, limit, as_json=json and dry_run, quiet=json)
    if plot is not None:
        _draw(plot, plan)
    if dry_run:
        return
    folder.start()
    paths = [folder.write_table(f"plan.{kind}", plan.runs) for kind in kinds]
    folder.finish()
    if json:
        show_json({**plan_record(plan), "plan": str(paths[0])})
    else:
        say(f"plan: {', '.join(map(str, paths))}")


def read(path: str, seed: int | None) -> Sweep:
    """The sweep file, with another seed if one was given."""
    from dataclasses import replace

    from planner.sweep.spec import read_sweep

    sweep = read_sweep(path)
    return sweep if seed is None else replace(sweep, file=sweep.file.model_copy(update={"seed": seed}))


def show_plan(sweep: Sweep, max_flops: float | None, *, as_json: bool, quiet: bool = False) -> Plan:
    """Propose and show: what would run, what it would cost against the final run."""
    from planner.quantities import dollars, human, times
    from planner.sweep.plan import propose as make_plan

    plan = make_plan(sweep, max_flops=max_flops)
    if as_json:
        show_json({**plan_record(plan), "plan": None})
    if as_json or quiet:
        return plan
    final = plan.setting.final
    rows = [
        (name, f"{part['n_runs']:,.0f}", human(part["flops"]), human(part["gpu_hours"], 4), dollars(part["usd"]))
        for name, part in plan.by_study.items()
    ]
    rows.append(("all", f"{len(plan.runs):,}", human(plan.flops), human(plan.gpu_hours, 4), dollars(plan.usd)))
    rows.append(("final run", "1", human(final.flops), human(final.gpu_hours, 4), dollars(final.usd)))
    show_table(sweep.file.question, ("study", "runs", "FLOPs", "GPU-hours", "dollars"), rows)
    hours, flops = plan.gpu_hours / final.gpu_hours, plan.flops / final.flops
    say(f"exploration : final run = {times(hours)} in GPU-hours, {times(flops)} in pretraining FLOPs")
    _say_gates(plan)
    _say_expected(plan)
    _say_extrapolated(plan)
    return plan


def _say_gates(plan: Plan) -> None:
    from planner.quantities import human

    behind = plan.runs[plan.runs["chance"] < 1]
    if len(behind):
        say(
            f"gates: {len(behind):,} runs wait for earlier ones and are counted by their chance; if every idea passed every "
            f"gate, all would take {human(plan.most_gpu_hours, 4)} GPU-hours"
        )


def _say_expected(plan: Plan) -> None:
    from planner.quantities import human
    from planner.sweep.expectation import expected_sd, spend_to_confidence

    say(f"expected sd of ln loss at the final run: {expected_sd(plan):.2%}, before any run is seen")
    if plan.design is None:
        return
    curve = spend_to_confidence(plan)
    say(
        f"optimal design: variance within {plan.design.gap:.2%} of what fractions of runs could reach, which is known to "
        f"{plan.design.relaxed_gap:.2%}"
    )
    say(
        f"what money buys: sd {curve.expected_sd[0]:.2%} with a tenth of the scaling hours "
        f"({human(float(curve.gpu_hours[0]), 3)}), {curve.expected_sd[-1]:.2%} with ten times, never below {curve.floor:.2%}"
    )


def _say_extrapolated(plan: Plan) -> None:
    beyond = int(plan.runs["hyperparameters_extrapolated"].sum())
    if beyond:
        rule = plan.runs["hyperparameter_source"].iloc[0]
        say(f"learning rate and batch: {rule}; {beyond:,} of {len(plan.runs):,} runs lie beyond its calibrated range")


def show_both(first: Sweep, second: Sweep, max_flops: float | None, *, as_json: bool, plot: str | None) -> None:
    """Two plans side by side: runs, cost, expected error."""
    from planner.errors import InputError
    from planner.sweep.plan import propose as make_plan

    if plot is not None:
        raise InputError("--plot draws one plan, --against shows two", "draw each on its own")
    plans = [make_plan(sweep, max_flops=max_flops) for sweep in (first, second)]
    records = [plan_record(plan) for plan in plans]
    names = [plan.setting.sweep.file.name for plan in plans]
    if as_json:
        show_json({"plans": [{"name": name, **record} for name, record in zip(names, records, strict=True)]})
        return
    show_table("two plans", ("", *names), _rows(plans))
    better = min(range(2), key=lambda index: float(str(records[index]["expected_sd"])))
    say(f"{names[better]} is expected to know the final run's loss better")


def _rows(plans: list[Plan]) -> list[tuple[str, ...]]:
    from planner.quantities import dollars, human
    from planner.sweep.expectation import expected_sd

    def row(name: str, show: list[str]) -> tuple[str, ...]:
        return (name, *show)

    studies = list(dict.fromkeys(name for plan in plans for name in plan.by_study))
    shares = [
        row(
            f"runs: {name}",
            [f"{plan.by_study[name]['n_runs']:,.0f}" if name in plan.by_study else "-" for plan in plans],
        )
        for name in studies
    ]
    return [
        *shares,
        row("runs", [f"{len(plan.runs):,}" for plan in plans]),
        row("FLOPs", [human(plan.flops) for plan in plans]),
        row("GPU-hours", [human(plan.gpu_hours, 4) for plan in plans]),
        row("dollars", [dollars(plan.usd) for plan in plans]),
        row("of the final run's hours", [f"{plan.gpu_hours / plan.setting.final.gpu_hours:.3g}x" for plan in plans]),
        row("largest run, FLOPs", [human(float(plan.runs["flops"].max())) for plan in plans]),
        row("expected sd of final loss", [f"{expected_sd(plan):.2%}" for plan in plans]),
    ]


def plan_record(plan: Plan) -> dict[str, object]:
    """The JSON of a plan."""
    from planner.sweep.expectation import expected_sd

    final = plan.setting.final
    return {
        "n_runs": len(plan.runs),
        "flops": plan.flops,
        "gpu_hours": plan.gpu_hours,
        "most_gpu_hours": plan.most_gpu_hours,
        "usd": plan.usd,
        "by_study": plan.by_study,
        "final": {"flops": final.flops, "gpu_hours": final.gpu_hours, "usd": final.usd, "days": final.days,
                  "days_per_trillion_tokens": final.days_per_trillion_tokens},
        "ratio": {"flops": plan.flops / final.flops, "gpu_hours": plan.gpu_hours / final.gpu_hours, "usd": plan.usd / final.usd},
        "expected_sd": expected_sd(plan),
        "design": plan.design and {"expected_sd": plan.design.expected_sd, "gap": plan.design.gap},
    }  # fmt: skip


def _draw(path: str, plan: Plan) -> None:
    from planner.report.plan_figures import plan_figure

    write_plot(path, "plan", lambda: plan_figure(plan))
