"""`planner allocate`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

import typer

from planner.cli.money import AcceleratorName, ChipCount, Like, MaxDays, Purse, RentPrice, Utilisation
from planner.cli.output import Json, show_json
from planner.cli.plots import Plot, check_plot, write_plot
from planner.cli.saved_fit import FitPath, Force, read_fit
from planner.cli.show_allocation import Answer, Goal, answer_json, show_answer

if TYPE_CHECKING:
    from planner.decisions.allocation import Allocation
    from planner.decisions.terms import Terms
    from planner.fitting.fit import Fit

ONE_NODE = ("one node", "one-node", "node")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("allocate")(allocate)


def allocate(
    fit: FitPath,
    flops: Annotated[str | None, typer.Option(help="A budget in training FLOPs: 3.3e24.")] = None,
    gpu_hours: Annotated[str | None, typer.Option(help="A budget in accelerator-hours: 2.7M.")] = None,
    usd: Annotated[str | None, typer.Option(help="A budget in dollars: 5.6M.")] = None,
    loss: Annotated[float | None, typer.Option(help="A loss to reach, in the fit's unit: gives the FLOPs.")] = None,
    accelerator: AcceleratorName = None,
    utilisation: Utilisation = None,
    like: Like = None,
    count: ChipCount = 1024,
    max_days: MaxDays = 60.0,
    price: RentPrice = None,
    serve: Annotated[str | None, typer.Option(help="Tokens to be served over the model's life: 10T.")] = None,
    serve_price: Annotated[
        str | None, typer.Option(help="USD per million served tokens at a size: 0.30@8B; else FLOP for FLOP.")
    ] = None,
    unique_tokens: Annotated[str | None, typer.Option(help="Tokens there are without repeats: 500B.")] = None,
    max_params: Annotated[str | None, typer.Option(help="Largest size: 70B, or 'one node' of --accelerator.")] = None,
    sizes: Annotated[str | None, typer.Option(help="The only sizes to be had: 1B,3B,7B.")] = None,
    plot: Plot = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Best size and tokens for a budget, or the least budget for a loss, and what being wrong about it costs.

    Serving, limited data and limits of size are counted in when they are given.
    """
    check_plot(plot)
    goal = _goal(flops, gpu_hours, usd, loss)
    purse = Purse.of(
        accelerator, utilisation, like, count, max_days, price,
        needed_for="--gpu-hours" if gpu_hours else None,
        dollars_for="--usd" if usd else "--serve-price" if serve_price else None,
    )  # fmt: skip
    terms = _terms(purse, serve, unique_tokens, max_params, sizes)
    cost = _serve_price(serve_price, serve)
    if plot is not None:
        _refuse_picture(terms)
    answer = _answer(read_fit(fit, force=force), goal, purse, terms, cost)
    if plot is not None:
        _draw(plot, answer.fit, answer.found.best)
    if json:
        show_json(answer_json(answer, goal))
        return
    show_answer(answer, goal)


def _goal(flops: str | None, gpu_hours: str | None, usd: str | None, loss: float | None) -> Goal:
    from planner.cli.table import number
    from planner.errors import InputError

    given = {"--flops": flops, "--gpu-hours": gpu_hours, "--usd": usd, "--loss": loss}
    if sum(value is not None for value in given.values()) != 1:
        wanted = "give one of --flops and --loss (or --gpu-hours, or --usd)"
        raise InputError(wanted, "--flops 3.3e24 splits a budget, --loss 1.9 finds one")
    parsed = {option: number(option, value) for option, value in given.items() if isinstance(value, str)}
    for option, value in parsed.items():
        if value <= 0:
            raise InputError(f"{option} {value:g} is not above zero", "give the budget as a plain count: 3.3e24")
    return Goal(parsed.get("--flops"), parsed.get("--gpu-hours"), parsed.get("--usd"), loss)


def _terms(
    purse: Purse, serve: str | None, unique_tokens: str | None, max_params: str | None, sizes: str | None
) -> Terms:
    from planner.cli.table import number
    from planner.decisions.inference import Served
    from planner.decisions.repeats import Repeats
    from planner.decisions.terms import Terms
    from planner.errors import InputError

    for option, text in (("--serve", serve), ("--unique-tokens", unique_tokens)):
        if text is not None and not number(option, text) > 0:
            raise InputError(f"{option} {text} is not above zero", "give a plain count of tokens: 10T")
    return Terms(
        served=Served(number("--serve", serve)) if serve else Served(),
        repeats=Repeats(number("--unique-tokens", unique_tokens)) if unique_tokens else None,
        most_params=math.inf if max_params is None else _most(max_params, purse),
        sizes=tuple(number("--sizes", each.strip()) for each in sizes.split(",")) if sizes else (),
    )


def _most(text: str, purse: Purse) -> float:
    """The --max-params option."""
    from planner.cli.table import number
    from planner.decisions.budget import most_on_one_node
    from planner.errors import InputError

    if text.strip().lower() not in ONE_NODE:
        return number("--max-params", text)
    if purse.chip is None:
        raise InputError("--max-params 'one node' needs an accelerator", "--accelerator h100")
    return most_on_one_node(purse.chip)


def _serve_price(text: str | None, serve: str | None) -> tuple[float, float] | None:
    """Dollars of one served token, and the params it is served with."""
    from planner.cli.table import number
    from planner.errors import InputError

    if text is None:
        return None
    if serve is None:
        raise InputError("--serve-price prices nothing without --serve", "--serve 10T: tokens over the model's life")
    dollars, at, params = text.lstrip("$ ").partition("@")
    if not at:
        raise InputError(f"--serve-price {text!r} names no size", "0.30@8B: dollars per million tokens, at a size")
    return number("--serve-price", dollars) / 1e6, number("--serve-price", params)


def _refuse_picture(terms: Terms) -> None:
    from planner.errors import InputError

    if terms != terms.free or terms.repeats is not None or terms.served.tokens:
        raise InputError(
            "--plot draws the split of a budget alone", "leave out --serve, --unique-tokens and limits of size"
        )


def _answer(fit: Fit, goal: Goal, purse: Purse, terms: Terms, cost: tuple[float, float] | None) -> Answer:
    from planner.cli.money import price_spread, with_price
    from planner.decisions.waste import price_of_error
    from planner.decisions.within import allocate_within

    hours, hardware, flops, spread = goal.gpu_hours, None, goal.flops, 0.0
    if goal.usd is not None and purse.rent:
        hours, spread = goal.usd / purse.rent.usd_per_gpu_hour, price_spread(purse.rent)
    if purse.known:
        for _ in range(1 if cost is None or purse.like is None else 3):  # each change of price moves the size a little
            hardware = purse.hardware(fit, terms, hours, goal.flops, goal.loss)
            terms = with_price(terms, cost, hardware, purse.rent) if purse.rent else terms
        if hardware and hours is not None:
            flops, spread = hardware.flops(hours), math.hypot(spread, hardware.spread)
    found = allocate_within(fit, terms, flops=flops, loss=goal.loss, spread=spread)
    price = price_of_error(fit, params=found.best.params, total=found.total_flops, terms=terms)
    return Answer(fit, found, terms, price, purse, hardware, spread)


def _draw(plot: str, fit: Fit, found: Allocation) -> None:
    from planner.report.forecast_figures import allocation_figure

    write_plot(plot, "allocation", lambda: allocation_figure(fit, found))
