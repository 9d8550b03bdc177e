"""`planner budget`: how much exploration a final run is worth."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from planner.cli.money import AcceleratorName, ChipCount, Like, MaxDays, Purse, RentPrice, Utilisation
from planner.cli.output import Json, say, show_json, show_table
from planner.cli.saved_fit import FitPath, Force, read_fit

if TYPE_CHECKING:
    from planner.decisions.budget import Hardware
    from planner.decisions.exploration import Confidence, IdeaPool, Implied, Learning, LossValue, Searched, StopRule
    from planner.fitting.fit import Fit

POWERS = (0.25, 0.5, 1.0)  # how waste may fall with spending: slower than assumed, as assumed, statistics alone


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("budget")(budget)


def budget(
    fit: FitPath,
    flops: Annotated[str, typer.Option(help="Compute of the final run: 3.3e24.")],
    spent: Annotated[
        str | None, typer.Option(help="FLOPs of all runs behind the fit: 2e22. Gives the stop rule.")
    ] = None,
    multiple: Annotated[float | None, typer.Option(help="Exploration wanted, in final runs: 3.")] = None,
    reuse: Annotated[float, typer.Option(help="Final runs' worth of training that ideas will serve.")] = 1.0,
    idea_cost: Annotated[float, typer.Option(help="Testing an idea, as a fraction of the final run.")] = 0.003,
    idea_gain: Annotated[float, typer.Option(help="The best idea's worth, in nats of compute.")] = 0.15,
    idea_decay: Annotated[float, typer.Option(help="The k-th idea is worth k^-this of it.")] = 0.8,
    idea_kept: Annotated[float, typer.Option(help="What testing keeps of the ideas' worth.")] = 0.75,
    accelerator: AcceleratorName = None,
    utilisation: Utilisation = None,
    like: Like = None,
    count: ChipCount = 1024,
    max_days: MaxDays = 60.0,
    price: RentPrice = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """How much exploration pays: the value of loss, what is worth learning, what a multiple implies, when to stop."""
    from planner.cli.table import number
    from planner.decisions.exploration import IdeaPool
    from planner.decisions.terms import PLAIN
    from planner.errors import InputError

    purse = Purse.of(
        accelerator, utilisation, like, count, max_days, price,
        needed_for="--accelerator" if accelerator else None, dollars_for="--price" if price is not None else None,
    )  # fmt: skip
    final, already = number("--flops", flops), None if spent is None else number("--spent", spent)
    for option, value in (("--flops", final), ("--spent", already), ("--multiple", multiple), ("--reuse", reuse)):
        if value is not None and not 0 < value < float("inf"):
            raise InputError(
                f"{option} {value:g} is not above zero", "--flops 3.3e24 --spent 2e22 --multiple 3 --reuse 2"
            )
    pool = IdeaPool(idea_cost, idea_gain, idea_decay, idea_kept)
    saved = read_fit(fit, force=force)
    hardware = purse.hardware(saved, PLAIN, None, final, None) if purse.known else None
    found = _found(saved, final, already, multiple, reuse, pool)
    money = Money(final, hardware, purse)
    if json:
        show_json(_json(found, money))
        return
    _show(found, money)


@dataclass(frozen=True)
class Found:
    """Everything that is shown; spending is in final runs."""

    level: float
    elasticity: float
    values: list[LossValue]
    learning: tuple[Learning, ...]
    pool: IdeaPool
    reuse: float
    fixed: Searched
    saved: Searched
    implied: Implied | None
    stop: StopRule | None
    confidence: list[Confidence]
    supported: bool
    reason: str


@dataclass(frozen=True)
class Money:
    """The final run in FLOPs and, where an accelerator is named, hours and dollars."""

    flops: float
    hardware: Hardware | None
    purse: Purse

    @property
    def gpu_hours(self) -> float | None:
        """Of the final run."""
        return self.hardware.gpu_hours(self.flops) if self.hardware else None

    @property
    def usd(self) -> float | None:
        """Of the final run."""
        hours, rent = self.gpu_hours, self.purse.rent
        return None if hours is None or rent is None else hours * rent.usd_per_gpu_hour

    def cells(self, fraction: float) -> tuple[str, ...]:
        """A fraction of the final run in FLOPs and what else is known."""
        from planner.quantities import dollars, human

        told = [human(fraction * self.flops)]
        if self.gpu_hours is not None:
            told.append(human(fraction * self.gpu_hours))
        if self.usd is not None:
            told.append(dollars(fraction * self.usd))
        return tuple(told)

    @property
    def header(self) -> tuple[str, ...]:
        """Names of those cells."""
        return ("FLOPs", "GPU-hours", "USD")[: len(self.cells(1.0))]


def _found(
    fit: Fit, final: float, already: float | None, multiple: float | None, reuse: float, pool: IdeaPool
) -> Found:
    from planner.decisions.exploration import (
        LAW,
        TUNING,
        best_of_fixed_total,
        best_saved,
        frontier_elasticity,
        implied,
        law_learning,
        spend_to_confidence,
        stop_rule,
        value_of_loss,
    )
    from planner.fitting.predict import support

    law = LAW if already is None else law_learning(fit, flops=final, spent=already / final)
    supported, reason = support(fit, *fit.law.optimum(final))
    return Found(
        level=fit.level,
        elasticity=frontier_elasticity(fit.law, final),
        values=value_of_loss(fit, flops=final),
        learning=(law, TUNING),
        pool=pool,
        reuse=reuse,
        fixed=best_of_fixed_total(pool),
        saved=best_saved(pool, reuse),
        implied=None if multiple is None else implied(multiple, reuse, pool),
        stop=None if already is None else stop_rule(law),
        confidence=[] if already is None else spend_to_confidence(fit, flops=final, spent=already / final),
        supported=supported,
        reason=reason,
    )


def _share(found: Found, power: float) -> tuple[float, float]:
    """The optimum of learning, and that plus the waste left, if waste falls with this power of spending."""
    parts = [replace(each, power=power) for each in found.learning]
    spent = sum(each.best for each in parts)
    return spent, spent + sum(each.left(each.best) for each in parts)


def _json(found: Found, money: Money) -> dict[str, Any]:
    stop, implied = found.stop, found.implied
    return {
        "final": {"flops": money.flops, "gpu_hours": money.gpu_hours, "usd": money.usd},
        "level": found.level,
        "supported": found.supported,
        "reason": found.reason,
        "elasticity": found.elasticity,
        "value_of_loss": found.values,
        "learning": [
            {**asdict(each), "best": each.best, "waste_at_best": each.left(each.best)} for each in found.learning
        ],
        "best_share": _share(found, found.learning[0].power)[0],
        "best_share_by_power": {str(power): _share(found, power)[0] for power in POWERS},
        "ideas": {**asdict(found.pool), "reuse": found.reuse, "fixed_total": found.fixed, "saved": found.saved},
        "implied": None if implied is None else {**asdict(implied), "sentence": implied.sentence},
        "stop_rule": stop,
        "confidence": found.confidence,
        "utilisation": money.hardware.utilisation if money.hardware else None,
        "utilisation_source": money.hardware.source if money.hardware else None,
        "rent": asdict(money.purse.rent) if money.purse.rent else None,
    }


def _show(found: Found, money: Money) -> None:
    from planner.quantities import percent

    named = zip(money.cells(1.0), money.header, strict=True)
    said = " = ".join(cell if name == "USD" else f"{cell} {name}" for cell, name in named)
    say(f"the final run: {said}; {'supported' if found.supported else 'NOT supported'}: {found.reason}")
    if money.hardware:
        say(f"  {money.hardware.utilisation:.1%} of {money.hardware.chip.name}'s peak: {money.hardware.source}")
    if money.purse.rent:
        say(f"  price: {money.purse.rent}")
    say()
    show_table(
        f"the value of loss: compute wasted by so much too high a loss (it falls as compute^-{found.elasticity:.4f})",
        ("loss too high by", "of the final run", f"{found.level:.0%} from", "to", *money.header),
        [(percent(each.excess, 1), *(percent(part, 1) for part in (each.waste, *each.interval)), *money.cells(each.waste))
         for each in found.values],
    )  # fmt: skip
    show_table(
        "what is worth learning: spending x leaves a waste that falls as x^-0.5",
        ("", "spend", "waste left", *money.header, "from"),
        [(each.name, percent(each.best), percent(each.left(each.best)), *money.cells(each.best), each.source)
         for each in found.learning],
    )  # fmt: skip
    assumed = found.learning[0].power
    spent, cost = _share(found, assumed)
    others = ", ".join(f"x^-{power:g}: {percent(_share(found, power)[0], 1)}" for power in POWERS if power != assumed)
    say(f"together {percent(spent, 1)} of the final run, cost and waste {percent(cost, 1)} (if waste fell as {others})")
    say()
    if found.confidence:
        show_table(
            "how the forecast narrows if the design behind the fit grows by new configurations (replicates narrow it less)",
            ("", "spend", f"{found.level:.0%} interval of the mean", "floor", *money.header),
            [(f"{each.spent / found.confidence[0].spent:g}x", percent(each.spent), f"+-{percent(each.half_width)}",
              f"+-{percent(each.floor)}", *money.cells(each.spent)) for each in found.confidence],
        )  # fmt: skip
    _show_ideas(found, money)
    if found.implied:
        say(found.implied.sentence)
    if found.stop:
        say(found.stop.sentence)
    else:
        say("no stop rule: --spent says what the runs behind the fit cost")


def _show_ideas(found: Found, money: Money) -> None:
    pool = found.pool
    title = (
        f"what ideas are worth (assumed: {pool.cost:.3g} of the final run each, the k-th worth {pool.first:g} x k^-{pool.decay:g} "
        f"nats of compute, {pool.kept:.0%} of it kept)"
    )
    goals = (
        ("most effective compute of a fixed total", found.fixed, f"{found.fixed.net:.2f} nats"),
        (f"most compute saved, reuse {found.reuse:g}", found.saved, f"{found.saved.net:.2f} final runs"),
    )
    show_table(
        title, ("goal", "spend", "ideas", "gain", "net", *money.header),
        [(name, f"{best.multiple:.2f}x", str(best.ideas), f"{best.log_gain:.2f} nats", net, *money.cells(best.multiple))
         for name, best, net in goals],
    )  # fmt: skip
