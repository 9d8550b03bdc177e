"""`planner policy`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from planner.cli.output import Json, Seed, say, show_json, show_table
from planner.cli.plots import Plot, check_plot, write_plot
from planner.cli.saved_fit import Force

if TYPE_CHECKING:
    from planner.decisions.policy import IdeaWorld, Outcome, Policy

# The numbers that planner.decisions.policy has too, where numpy need not be imported to show the help.
Ideas = Annotated[int, typer.Option(help="How many ideas there are to test.")]
Noise = Annotated[float, typer.Option(help="Sd of ln loss between seeds at 1B parameters.")]
Correlation = Annotated[float, typer.Option(help="Correlation of that noise in two runs of one seed and data order.")]
Gates = Annotated[
    str | None,
    typer.Option(help="Your policy: params:pairs:probability that lets an idea on; 0.37B:8:0.35,1B:3:0.45,7B:1:0.8."),
]
Budget = Annotated[str | None, typer.Option(help='Compute for all of it: 1e23, "0.05x final".')]
MostFalse = Annotated[float, typer.Option("--max-false", help="Share of harmful ideas that may slip through.")]
FitName = Annotated[
    str | None, typer.Option("--fit", help="A fit.json or its folder, for the slope of loss in compute.")
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("policy")(policy)


def policy(
    ideas: Ideas = 100,
    noise: Noise = 0.003,
    correlation: Correlation = 0.5,
    final_params: Annotated[str, typer.Option(help="Parameters of the final run.")] = "70B",
    final_tokens: Annotated[str, typer.Option(help="Tokens of the final run.")] = "15T",
    largest: Annotated[str, typer.Option(help="The largest size at which ideas can be tested.")] = "7B",
    tokens_per_param: Annotated[float, typer.Option(help="Of the small runs.")] = 20.0,
    useful_share: Annotated[float, typer.Option(help="Share of ideas thought to be useful.")] = 0.25,
    useful_gain: Annotated[float, typer.Option(help="Mean ln gain of those, for example 0.12.")] = 0.12,
    gates: Gates = None,
    budget: Budget = None,
    max_false: MostFalse = 0.025,
    fit: FitName = None,
    repeats: Annotated[int, typer.Option(help="Simulated pools of ideas.")] = 300,
    seed: Seed = 0,
    plot: Plot = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Which ideas go how far: gates judged by simulation on your number of ideas, noise and budget."""
    from planner.decisions.policies import default_policy, operating_curve, parse_policy, rivals
    from planner.decisions.policy import LAW, IdeaWorld, simulate

    check_plot(plot)
    world = IdeaWorld(
        ideas=ideas,
        noise=noise,
        correlation=correlation,
        final=(_count("--final-params", final_params), _count("--final-tokens", final_tokens)),
        tokens_per_param=tokens_per_param,
        smallest=_count("--largest", largest) / 70,
        law=LAW if fit is None else _law(fit, force=force),
        useful_share=useful_share,
        useful_mean=useful_gain,
    )
    _require_share(max_false)
    top = _count("--largest", largest)
    mine = default_policy(top) if gates is None else parse_policy(gates)
    shown = [simulate(each, world, reference=top, repeats=repeats, seed=seed) for each in (mine, *rivals(top))]
    curve = operating_curve(world, largest=top, repeats=repeats, seed=seed, most_false=max_false)
    within = None if budget is None else _within(budget, curve, world, top, repeats, seed)
    chosen = within or shown[0]
    if plot is not None:
        from planner.report.policy_figures import policy_figure

        write_plot(plot, "policy", lambda: policy_figure(curve, shown[1:], chosen))
    if json:
        show_json({"world": _world(world), "policy": chosen, "rivals": shown if within else shown[1:], "curve": curve})
        return
    _print(chosen, shown if within else shown[1:], curve, world)


def _within(budget: str, curve: list[Outcome], world: IdeaWorld, largest: float, repeats: int, seed: int) -> Outcome:
    from planner.decisions.policies import best_within

    return best_within(curve, world, flops=_flops(budget, world), largest=largest, repeats=repeats, seed=seed)


def _flops(budget: str, world: IdeaWorld) -> float:
    """The --budget option in FLOPs."""
    from planner.errors import InputError
    from planner.quantities import Unit, parse_budget, parse_count

    try:
        flops = parse_count(budget)
    except InputError:
        said = parse_budget(budget)
        if said.unit not in (Unit.FINAL, Unit.FLOPS):
            raise InputError(
                f"--budget {budget!r} is in {said.unit.value}, and no price of compute is known here",
                'give it in FLOPs or against the final run: "0.05x final"',
            ) from None
        flops = said.amount * (world.final_flops if said.unit is Unit.FINAL else 1.0)
    if flops <= 0:
        raise InputError(f"--budget {budget!r} is not above zero", 'for example "0.05x final"')
    return flops


def _count(option: str, text: str) -> float:
    from planner.cli.table import number
    from planner.errors import InputError

    value = number(option, text)
    if value <= 0:
        raise InputError(f"{option} {text} is not above zero", "give a count such as 7B")
    return value


def _require_share(most_false: float) -> None:
    from planner.errors import InputError

    if not 0 < most_false <= 1:
        raise InputError(f"--max-false {most_false:g} is not a share above 0", "0.025 is the default")


def _law(path: str, *, force: bool) -> Any:  # noqa: ANN401 - any law of params and tokens
    from planner.cli.saved_fit import read_fit
    from planner.errors import InputError

    saved = read_fit(path, force=force)
    if saved.law.variables != ("params", "tokens"):
        raise InputError(f"{path}: its law takes {', '.join(saved.law.variables)}", "give a law of params and tokens")
    return saved.law


def _world(world: IdeaWorld) -> dict[str, object]:
    """What was assumed, for a program to read."""
    return {name: value for name, value in vars(world).items() if name != "law"} | {
        "law": type(world.law).__name__.lower(),
        "final_flops": world.final_flops,
        "law_parameters": vars(world.law),
    }


def _print(chosen: Outcome, others: list[Outcome], curve: list[Outcome], world: IdeaWorld) -> None:
    header = ("policy", "promoted", "gain kept", "+-", "false promotion", "harmful among promoted", "power at 1.1x",
              "of final run", "of everything")  # fmt: skip
    title = f"{world.ideas} ideas, simulated; costs in compute, against the final run and one pair of every idea at the largest"
    show_table(title, header, [_row(outcome) for outcome in (chosen, *others)])
    if curve:
        show_table("what more compute would keep", header, [_row(outcome) for outcome in curve])
    else:
        say("None of the gates lets through so few harmful ideas: --max-false is too strict.\n")
    say(f"{chosen.policy.name}:")
    for line in _steps(chosen.policy):
        say(f"  {line}")
    say(
        f"Assumed, not measured: {world.useful_share:.0%} of ideas useful (mean ln gain {world.useful_mean:g}), the rest near "
        f"nothing; gains drift by {world.walk:g} per square root of a nat of compute and {world.slope:g} per nat."
    )


def _steps(policy: Policy) -> list[str]:
    """The gates in words."""
    from planner.decisions.policy import Above
    from planner.quantities import human

    lines = []
    for number, gate in enumerate(policy.gates, start=1):
        rule, last = gate.rule, number == len(policy.gates)
        after = (
            f"P(helps at the final run) > {rule.probability:g}" if isinstance(rule, Above) else f"top {rule.share:.0%}"
        )
        pairs = f"{gate.pairs} pair{'s' if gate.pairs > 1 else ''}"
        lines.append(
            f"{number}. {human(gate.params)}: {pairs} of each idea left; {'promote' if last else 'go on'} if {after}"
        )
    return lines


def _row(outcome: Outcome) -> tuple[str, ...]:
    return (
        outcome.policy.name,
        f"{outcome.promoted:.1f}",
        f"{outcome.gain_kept:.1%}",
        f"{outcome.gain_kept_error:.1%}",
        f"{outcome.false_promotion:.2%}",
        f"{outcome.harmful:.1%}",
        f"{outcome.power:.0%}",
        f"{outcome.of_final:.2%}",
        f"{outcome.of_everything:.2f}x",
    )
