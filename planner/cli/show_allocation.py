"""What `planner allocate` prints."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from planner.cli.output import say, show_table

if TYPE_CHECKING:
    from planner.cli.money import Purse
    from planner.decisions.budget import Hardware
    from planner.decisions.terms import Terms
    from planner.decisions.waste import PriceOfError, Wrong
    from planner.decisions.within import Within
    from planner.fitting.fit import Fit


@dataclass(frozen=True)
class Goal:
    """What was asked for: one of these is given."""

    flops: float | None
    gpu_hours: float | None
    usd: float | None
    loss: float | None


@dataclass(frozen=True)
class Answer:
    """What is shown; `spread` is the sd of ln FLOPs that the hours or dollars buy."""

    fit: Fit
    found: Within
    terms: Terms
    price: PriceOfError
    purse: Purse
    hardware: Hardware | None
    spread: float


def answer_json(answer: Answer, goal: Goal) -> dict[str, Any]:
    """The keys that `--json` promises."""
    found, hardware, rent = answer.found, answer.hardware, answer.purse.rent
    hours = hardware.gpu_hours(found.total_flops) if hardware else None
    told: dict[str, Any] = {
        **vars(found.best),
        "total_flops": found.total_flops,
        "served_share": found.served_share,
        "epochs": found.epochs,
        "epochs_interval": found.epochs_interval,
        "training_alone": found.unaware,
        "training_alone_waste": found.unaware_waste,
        "limit_waste": found.limit_waste,
        "sizes": found.listed,
        "terms": answer.terms,
        "wrong": answer.price.wrong,
        "expected_waste": answer.price.expected,
        "waste_seldom_above": answer.price.seldom_above,
        "gpu_hours": hours,
        "usd": hours * rent.usd_per_gpu_hour if hours and rent else None,
        "utilisation": hardware.utilisation if hardware else None,
        "utilisation_source": hardware.source if hardware else None,
        "budget_spread": answer.spread,
        "rent": asdict(rent) if rent else None,
    }
    if goal.loss is not None:
        told |= {"loss_wanted": goal.loss, "flops_interval": found.total_interval}
    return told


def show_answer(answer: Answer, goal: Goal) -> None:
    """The same for people."""
    from planner.quantities import human

    found, best = answer.found, answer.found.best
    if goal.loss is not None and found.total_interval is not None:
        low, high = (f"{end:.3g}" for end in found.total_interval)
        what = "the best split" if not answer.terms.served.tokens else "the best split, serving included"
        say(f"a loss of {goal.loss:g} takes {found.total_flops:.3g} FLOPs at {what}")
        say(f"  {best.level:.0%} interval: {low} to {'more than any' if high == 'inf' else high}")
    _show_money(answer)
    values = {"params": best.params, "tokens": best.tokens, "tokens_per_param": best.tokens_per_param}
    rows = [(name, human(value), *(human(edge) for edge in best.intervals[name])) for name, value in values.items()]
    rows.append(("loss", f"{best.loss:.4f}", *(f"{edge:.4f}" for edge in best.intervals["loss"])))
    if found.epochs is not None and found.epochs_interval is not None:
        rows.append(("epochs", f"{found.epochs:.3g}", *(f"{edge:.3g}" for edge in found.epochs_interval)))
    part = "" if not answer.terms.served.tokens else " for training"
    show_table(
        f"best split of {human(best.flops)} FLOPs{part} (6 x {best.count} x tokens)",
        ("", "best", f"{best.level:.0%} from", "to"), rows,
    )  # fmt: skip
    say(f"{'supported' if best.supported else 'NOT supported'}: {best.reason}")
    _show_terms(answer)
    _show_wrong(answer)


def _show_money(answer: Answer) -> None:
    from planner.quantities import dollars, human

    hardware, rent, total = answer.hardware, answer.purse.rent, answer.found.total_flops
    if hardware is None:
        return
    hours = hardware.gpu_hours(total)
    paid = f" = {dollars(hours * rent.usd_per_gpu_hour)}" if rent else ""
    say(
        f"{total:.3g} FLOPs = {human(hours)} hours of {hardware.chip.name} at {hardware.utilisation:.1%} of its peak{paid}"
    )
    say(f"  utilisation: {hardware.source}")
    if rent:
        say(f"  price: {rent}")
    if answer.spread:
        say(
            f"  what that buys is known to a factor of {math.exp(1.645 * answer.spread):.2f} (90%); the intervals count it in"
        )


def _show_terms(answer: Answer) -> None:
    from planner.decisions.budget import WEIGHTS_SHARE, most_on_one_node
    from planner.quantities import human, percent

    found, terms = answer.found, answer.terms
    alone = found.unaware
    if terms.served.tokens:
        rate = (
            "" if terms.served.flop_price == 1 else f", a FLOP of it at {terms.served.flop_price:.3g} times training's"
        )
        say(
            f"serving {human(terms.served.tokens)} tokens is {percent(found.served_share, 0)} of {human(found.total_flops)} "
            f"FLOPs (2 x params a token{rate}; arXiv 2401.00448)"
        )
    if terms.repeats:
        say(
            f"data: {human(terms.repeats.unique_tokens)} unique tokens; repeats by R_D = {terms.repeats.R_D:.3g}, params they "
            f"cannot feed by R_N = {terms.repeats.R_N:.3g} ({terms.repeats.source})"
        )
    if terms.served.tokens or terms.repeats:
        wasted = (
            f"would waste {percent(found.unaware_waste, 1)} of the total under these terms"
            if math.isfinite(found.unaware_waste)
            else "cannot meet these terms at all (serving it alone costs more, or data do not suffice)"
        )
        say(f"training alone would choose {human(alone.params)} params on {human(alone.tokens)} tokens: that {wasted}")
    chip = answer.purse.chip
    if chip and terms.most_params == most_on_one_node(chip):
        say(
            f"one node of {chip.name} serves up to {human(terms.most_params)} params: BF16 weights in {WEIGHTS_SHARE:.0%} of its "
            "memory (assumed); of a mixture of experts all params count"
        )
    if found.limit_waste:
        say(
            f"the limit of size costs {percent(found.limit_waste, 1)} of the total: without it "
            f"{percent(1 - found.limit_waste, 1)} of it would reach the same loss"
        )
    if found.listed:
        show_table(
            "the listed sizes", ("size", "tokens", "loss", "FLOPs", "wasted by its size", "best in draws"),
            [(human(each.params), human(each.tokens), f"{each.loss:.4f}", human(each.total_flops),
              percent(each.waste, 1), f"{each.best_in:.0%}") if math.isfinite(each.loss)
             else (human(each.params), "cannot be had", "-", "-", "-", f"{each.best_in:.0%}") for each in found.listed],
        )  # fmt: skip


def _show_wrong(answer: Answer) -> None:
    from planner.quantities import dollars, human, percent

    hardware, rent, price = answer.hardware, answer.purse.rent, answer.price
    hours = hardware.gpu_hours(answer.found.total_flops) if hardware else math.nan

    def row(wrong: Wrong, way: str) -> tuple[str, ...]:
        value = wrong.too_small if way == "small" else wrong.too_large
        interval = wrong.too_small_interval if way == "small" else wrong.too_large_interval
        if not math.isfinite(value):
            return (f"{wrong.factor:g}x too {way}", "more than all", "-", "-", *("-" for _ in priced))
        amounts = (human(value * hours), dollars(value * hours * rent.usd_per_gpu_hour) if rent else "-")
        return (
            f"{wrong.factor:g}x too {way}",
            *(percent(each, 1) for each in (value, *interval)),
            *amounts[: len(priced)],
        )

    priced = ("GPU-hours", "USD")[: 0 if hardware is None else 1 if rent is None else 2]
    level = f"{price.level:.0%} from"
    rows = [row(wrong, way) for way in ("small", "large") for wrong in price.wrong]
    show_table("the price of being wrong: of the budget, wasted", ("a size", "wasted", level, "to", *priced), rows)
    limited = ", its limit of size included" if answer.found.limit_waste else ""
    say(
        f"this choice{limited}, by what the fit leaves open: {percent(price.expected, 2)} wasted on average, seldom above "
        f"{percent(price.seldom_above, 2)} ({price.level:.0%} of the fit's draws; if the law's form is right)"
    )
