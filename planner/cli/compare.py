"""`planner compare`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from planner.cli.output import Json, say, show_json, show_table
from planner.cli.saved_fit import Force, read_fit
from planner.cli.table import Columns, RunsPath, WhereText, number, read_table

if TYPE_CHECKING:
    from planner.decisions.attribution import Attribution
    from planner.decisions.gains import Comparison, IdeaGain
    from planner.decisions.power import More, RungPower
    from planner.fitting.fit import Fit
    from planner.runs import RunTable


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("compare")(compare)


def compare(
    runs: RunsPath,
    fit: Annotated[str, typer.Option(help="The law to measure gains with: a fit.json or its folder.")],
    flops: Annotated[str, typer.Option(help="Compute of the final run, at which gains are wanted: 3.3e24.")],
    where: WhereText = None,
    column: Columns = None,
    level: Annotated[float, typer.Option(help="Nominal coverage of the intervals.")] = 0.9,
    joint: Annotated[
        bool, typer.Option("--joint", help="Measure against the law too: also runs without a baseline beside them.")
    ] = False,
    drift: Annotated[
        bool, typer.Option("--drift/--no-drift", help="Let gains change with scale; without, only at tested sizes.")
    ] = True,
    wanted: Annotated[
        float, typer.Option("--wanted-gain", help="The gain for which pairs per size are told: 1.05.")
    ] = 1.05,
    force: Force = False,
    json: Json = False,
) -> None:
    """Compute-equivalent gain of each variant; promote, hold or drop; who bought what; what more pairs would settle."""
    from planner.decisions.attribution import attribute
    from planner.decisions.power import finding_out, rung_power
    from planner.errors import InputError

    saved, table = read_fit(fit, force=force), read_table(runs, where, column)
    target = number("--flops", flops)
    if target <= 0:
        raise InputError(f"--flops {flops} is not above zero", "give the final run's compute: 3.3e24")
    if not 0 < level < 1:
        raise InputError(f"--level {level} is not between 0 and 1", "0.9 is the default")
    if saved.law.variables != ("params", "tokens"):
        raise InputError(f"{fit}: its law takes {', '.join(saved.law.variables)}", "give a law of params and tokens")
    found = _measured(table, saved, runs, target=target, level=level, joint=joint, drift=drift)
    more, bought = finding_out(found, saved.law), attribute(found, level=level)
    power = rung_power(found, saved.law, wanted=wanted)
    if json:
        attribution = bought if bought.bought else None
        show_json({"ideas": found.ideas, "attribution": attribution, "more": more, "power": power})
        return
    header = ("idea", "runs", "tested at", "face value", "gain there", "gain", f"{level:.0%} from", "to", "P(gain > 1)",
              "decision")  # fmt: skip
    show_table(f"compute-equivalent gain at {target:.3g} FLOPs", header, [_row(idea) for idea in found.ideas])
    _say_broken(found)
    if bought.bought:
        _print_attribution(bought)
    if more:
        _print_more(more, target)
    _print_power(power, wanted)


def _measured(
    table: RunTable, saved: Fit, runs: str, *, target: float, level: float, joint: bool, drift: bool
) -> Comparison:
    """The gains, from pairs or from all runs."""
    from planner.decisions.belief import Belief
    from planner.decisions.gains import compare_pairs, compare_runs
    from planner.decisions.pairs import arms_of, pairs_of
    from planner.errors import InputError

    paired = pairs_of(table, saved.counted)
    if joint:
        known = saved.uncertainty
        belief = Belief(type(saved.law), saved.centre, saved.theta, known.covariance)
        arms = arms_of(table, saved.counted)
        return compare_runs(arms, belief, sd=known.scale, target_flops=target, level=level, drift=drift)
    if paired.untested:
        raise InputError(
            f"{runs}: idea {paired.untested[0]!r} has no run beside a baseline run",
            "run the baseline with the same size, tokens and seed, leave the idea out: --where variant!=..., or measure it "
            "against the law: --joint",
        )
    return compare_pairs(paired.pairs, saved.law, target_flops=target, level=level, drift=drift)


def _row(idea: IdeaGain) -> tuple[str, ...]:
    gains = (idea.gain_face, idea.gain_tested, idea.gain, *idea.interval)
    tested = f"{idea.flops_tested:.2e}"
    return (
        idea.variant,
        str(idea.n_pairs),
        tested,
        *map("{:.3f}".format, gains),
        f"{idea.probability:.0%}",
        idea.decision,
    )


def _say_broken(found: Comparison) -> None:
    broken = int((found.joint.broken > 0.5).sum())
    if broken:
        say(
            f"{broken} of {found.joint.broken.size} runs look broken (their loss is far from their pair's) and count for little.\n"
        )


def _print_attribution(bought: Attribution) -> None:
    from planner.quantities import human

    low, high = bought.interval
    header = ("idea", "gain", f"{bought.level:.0%} from", "to", "share of the total")
    rows = [
        (row.variant, f"{row.gain:.3f}", f"{row.interval[0]:.3f}", f"{row.interval[1]:.3f}", f"{row.share:.0%}")
        for row in bought.bought
    ]
    show_table(
        f"the promoted together: {bought.total:.2f}x the compute ({low:.2f} to {high:.2f}), or {human(bought.flops_saved)} "
        "FLOPs that the baseline would need more",
        header,
        rows,
    )
    if bought.interactions:
        said = ("combination", "beyond its parts", f"{bought.level:.0%} from", "to")
        show_table("interactions: 1 where gains multiply", said, [
            (row.variant, f"{row.factor:.3f}", f"{row.interval[0]:.3f}", f"{row.interval[1]:.3f}")
            for row in bought.interactions
        ])  # fmt: skip
    if bought.pairs_untested:
        alone = f"{bought.pairs_untested} of {bought.pairs} pairs of these ideas were not tested together"
        say(f"{alone}: their gains are taken to multiply.\n")


def _print_power(power: list[RungPower], wanted: float) -> None:
    from planner.quantities import human

    header = ("params", "tokens", "sd of ln gain, one pair", "pairs", "FLOPs")
    rows = [
        (human(r.params), human(r.tokens), f"{r.sd_of_pair:.3f}", f"{r.pairs_wanted:.1f}", human(r.flops))
        for r in power
    ]
    show_table(f"pairs of one idea that show a gain of {wanted:g} (80% power, one-sided 5%, no drift)", header, rows)


def _print_more(more: list[More], target: float) -> None:
    from planner.quantities import human

    header = ("idea on hold", "pairs", "params", "tokens", "FLOPs", "of final run", "sd of ln gain", "then", "P(verdict)",
              "P(promote)")  # fmt: skip
    show_table(
        "what would settle the ideas on hold, at the tested sizes",
        header,
        [
            (
                row.variant if row.settles else f"{row.variant} (nothing tested here settles it)",
                str(row.pairs),
                human(row.params),
                human(row.tokens),
                human(row.flops),
                f"{row.flops / target:.2%}",
                f"{row.sd_now:.3f}",
                f"{row.sd_after:.3f}",
                f"{row.probability:.0%}",
                f"{row.promote:.0%}",
            )
            for row in more
        ],
    )
