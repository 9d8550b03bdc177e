"""`planner assess`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from planner.cli.output import EngineName, Json, Seed, say, show_json, show_table, steps, warn
from planner.cli.plots import Plot, check_plot, write_plot

if TYPE_CHECKING:
    from planner.assess.assessment import Assessment
    from planner.assess.gates import GateErrors
    from planner.assess.scores import DesignScore

Designs = Annotated[
    str | None,
    typer.Option("--designs", metavar="NAMES",
                 help="Rivals, with commas between: isoflop, ladder, overtrain, ray, random, biggest."),
]  # fmt: skip


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("assess")(assess)


def assess(
    sweep: Annotated[str, typer.Argument(metavar="SWEEP", help="The question: a TOML file, as in sweeps/.")],
    worlds: Annotated[int, typer.Option(min=2, max=10_000, help="Simulated worlds of each kind.")] = 100,
    designs: Designs = None,
    seed: Seed = 0,
    engine: EngineName = "processes",
    plot: Plot = None,
    json: Json = False,
) -> None:
    """Before spending: the plan in many simulated worlds, beside rival designs at equal GPU-hours and at other budgets."""
    from planner.assess.assessment import assess_plan, steps_of
    from planner.assess.designs import RIVALS
    from planner.assess.verdict import verdict
    from planner.engines import opened
    from planner.sweep.spec import read_sweep

    check_plot(plot)
    question = read_sweep(sweep)
    rivals = RIVALS if designs is None else tuple(name.strip() for name in designs.split(",") if name.strip())
    with opened(engine, warn) as chosen, steps(steps_of(question, rivals)) as progress:
        found = assess_plan(question, worlds=worlds, seed=seed, rivals=rivals, engine=chosen, progress=progress)
    if plot is not None:
        from planner.report.assess_figures import assess_figure

        write_plot(plot, "assess", lambda: assess_figure(found))
    if json:
        show_json({
            "worlds": worlds, "level": found.level, "own": found.own, "designs": found.designs, "curve": found.curve,
            "gates": found.gates, "skipped": found.skipped, "verdict": verdict(found),
        })  # fmt: skip
        return
    _show_designs(question.file.name, found, worlds)
    _show_curve(found)
    if found.gates is not None:
        _show_gates(found.gates)
    for what, why in found.skipped.items():
        warn(f"{what} is left out: {why}")
    for one in (*found.designs, *found.curve):
        if one.worlds < worlds:
            few = f"too few runs finished for a fit in {worlds - one.worlds} of {worlds} {one.kind} worlds"
            warn(f"{one.name} at {one.fraction:.2g}x of the budget: {few}")
    say(verdict(found))


def _show_designs(name: str, found: Assessment, worlds: int) -> None:
    """One table a kind of world, the sweep's own design first."""
    from planner.assess.truths import MEANING, Kind
    from planner.quantities import human

    header = ("design", "runs", "GPU-hours", "median error", "90th pct", "rms", "over own", f"inside {found.level:.0%}",
              "median width", "waste", "mean waste")  # fmt: skip
    say(f"{name}: scaling study in {worlds} worlds of each kind, error of the final run's loss")
    for kind in Kind:
        show_table(
            f"{kind}: {MEANING[kind]}",
            header,
            [
                (f"{one.name}{' (own)' if one.name == found.own else ''}", f"{one.n_runs:,}", human(one.gpu_hours, 4),
                 _percents(one.median_error, 2), _percents(one.p90_error, 2), _percents(one.rms_error, 2),
                 _times(one, found.own), _percents(one.coverage, 0),
                 _percents(one.median_width, 2), _percents(one.waste, 1), _percents(one.mean_waste, 1))
                for one in found.designs if one.kind is kind
            ],
        )  # fmt: skip
    say("over own: rms error over that of the sweep's own design in the same worlds, with its standard error")
    say("waste: fraction of the final compute that the best size needs less than the size chosen from the fit")
    say()


def _times(one: DesignScore, own: str) -> str:
    """A rival's rms error over the own design's, with its standard error."""
    if one.name == own:
        return ""
    return f"{one.ratio:.2f} ± {one.ratio_error:.2f}" if one.ratio == one.ratio else "-"


def _percents(fraction: float, digits: int) -> str:
    """A fraction as per cent; missing is a dash."""
    return f"{fraction:.{digits}%}" if fraction == fraction else "-"


def _show_curve(found: Assessment) -> None:
    """The own design's error at every budget, a column a kind of world."""
    from planner.assess.truths import Kind
    from planner.quantities import human

    budgets = sorted({one.fraction for one in found.curve})
    at = {(one.fraction, one.kind): one for one in found.curve}
    show_table(
        f"{found.own} design at other budgets: rms error of the final run's loss",
        ("of the study's budget", "GPU-hours", "runs", *map(str, Kind)),
        [
            (f"{part:.2g}x", human(at[part, Kind.COUPLED].gpu_hours, 4), f"{at[part, Kind.COUPLED].n_runs:,}",
             *(_percents(at[part, kind].rms_error, 2) for kind in Kind)) for part in budgets
        ],
    )  # fmt: skip


def _show_gates(gates: GateErrors) -> None:
    say(
        f"ideas: {gates.ideas} ideas, {gates.pairs} pairs each; {gates.promoted:.1f} promoted a world. Of harmful ideas "
        f"{gates.false_promotion:.1%} are promoted; of what helpful ones gain {gates.missed_gain:.1%} is missed, of gains above "
        f"1.1 {gates.missed_worthwhile:.1%}."
    )
