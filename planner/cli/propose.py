"""`planner propose`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from planner.cli.output import Json, Output, say, show_json, show_table

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
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show the plan and its cost.")] = False,
    formats: Annotated[str, typer.Option("--format", help="csv, jsonl, parquet, or several joined by commas.")] = "csv",
    json: Json = False,
) -> None:
    """The plan: every run to do, complete, with what it costs."""
    from planner import store
    from planner.cli.run import parse_limit
    from planner.encode import FORMATS
    from planner.errors import InputError

    kinds = list(dict.fromkeys(kind.strip() for kind in formats.split(",")))
    for kind in kinds:
        if kind not in FORMATS:
            raise InputError(f"--format {kind!r} is unknown", f"one of: {', '.join(FORMATS)}")
    question, limit = read(sweep, seed), parse_limit(max_flops)
    folder = store.Folder(
        output or f"results/{question.file.name}-plan", "propose", {"sweep": question.sha256},
        seed=question.file.seed, replace=True,
    )  # fmt: skip
    folder.check()
    plan = show_plan(question, limit, as_json=json and dry_run, quiet=json)
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
    from planner.quantities import dollars, human
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
    say(f"exploration : final run = {hours:.2f} in GPU-hours, {flops:.2f} in pretraining FLOPs")
    if plan.design:
        say(
            f"optimal design: expected sd of the final run's ln loss {plan.design.expected_sd:.2%}, variance within "
            f"{plan.design.gap:.2%} of the best possible"
        )
    return plan


def plan_record(plan: Plan) -> dict[str, object]:
    """The JSON of a plan."""
    final = plan.setting.final
    return {
        "n_runs": len(plan.runs),
        "flops": plan.flops,
        "gpu_hours": plan.gpu_hours,
        "usd": plan.usd,
        "by_study": plan.by_study,
        "final": {"flops": final.flops, "gpu_hours": final.gpu_hours, "usd": final.usd, "days": final.days,
                  "days_per_trillion_tokens": final.days_per_trillion_tokens},
        "ratio": {"flops": plan.flops / final.flops, "gpu_hours": plan.gpu_hours / final.gpu_hours, "usd": plan.usd / final.usd},
        "design": plan.design and {"expected_sd": plan.design.expected_sd, "gap": plan.design.gap},
    }  # fmt: skip
