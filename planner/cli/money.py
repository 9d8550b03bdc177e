"""Options that say what hours are of and what they cost."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from planner.costs.accelerators import Accelerator
    from planner.costs.prices import Rent
    from planner.decisions.budget import Hardware
    from planner.decisions.terms import Choice, Terms
    from planner.fitting.fit import Fit

AcceleratorName = Annotated[str | None, typer.Option("--accelerator", help="Of hours: a catalog name or TOML file.")]
Utilisation = Annotated[
    float | None, typer.Option("--utilisation", help="Share of the BF16 peak over all paid hours: 0.4.")
]
Like = Annotated[
    str | None, typer.Option("--like", metavar="MODEL", help="Have utilisation modelled, for shapes like this one.")
]
ChipCount = Annotated[int, typer.Option("--count", min=1, max=10_000_000, help="Accelerators at hand, with --like.")]
MaxDays = Annotated[float, typer.Option("--max-days", help="Days that a run may take, with --like.")]
RentPrice = Annotated[float | None, typer.Option("--price", help="Rent, USD per GPU-hour; else the catalog's.")]


@dataclass(frozen=True)
class Purse:
    """What the options say of accelerators and their price."""

    chip: Accelerator | None
    utilisation: float | None
    like: str | None
    count: int
    max_days: float
    rent: Rent | None

    @classmethod
    def of(
        cls, accelerator: str | None, utilisation: float | None, like: str | None, count: int, max_days: float,
        price: float | None, *, needed_for: str | None, dollars_for: str | None,
    ) -> Purse:  # fmt: skip
        """The options as one; `needed_for` and `dollars_for` name the options that cannot do without hours, and a price."""
        from planner.cli.files import named_accelerator
        from planner.errors import InputError

        if utilisation is not None and like is not None:
            raise InputError("--utilisation and --like both say what an hour yields", "give one of them")
        needed = needed_for or dollars_for
        if accelerator is None:
            for option, given in (("--price", price), ("--utilisation", utilisation), ("--like", like)):
                needed = needed or (option if given is not None else None)
            if needed:
                raise InputError(f"{needed} needs an accelerator", "--accelerator h100; `planner hardware` lists them")
            return cls(None, None, None, count, max_days, None)
        if needed and utilisation is None and like is None:
            raise InputError(
                f"{needed} needs to know what an hour of {accelerator} yields",
                "--utilisation 0.4 (of the BF16 peak), or --like llama-3-8b to have it modelled",
            )
        for option, value in (("--price", price), ("--max-days", max_days)):
            if value is not None and not (math.isfinite(value) and value > 0):
                raise InputError(f"{option} {value:g} is not above zero", "give a positive number")
        chip = named_accelerator(accelerator)
        return cls(chip, utilisation, like, count, max_days, _rent(chip, price, dollars_for))

    @property
    def known(self) -> bool:
        """Whether FLOPs can be told in hours."""
        return self.chip is not None and (self.utilisation is not None or self.like is not None)

    def hardware(
        self, fit: Fit, terms: Terms, hours: float | None, flops: float | None, loss: float | None
    ) -> Hardware:
        """What an hour yields for the run that is chosen under `terms`."""
        from planner.cli.files import named_model
        from planner.costs.planned import Offer
        from planner.decisions.budget import Modelled, given
        from planner.decisions.terms import best_for_budget, best_for_loss
        from planner.errors import InputError

        def run(choice: Choice | None) -> tuple[float, float]:
            if choice is None:
                raise InputError(
                    "no size meets these terms, whatever an hour yields", "raise the budget, or ask for less"
                )
            return choice.params, choice.tokens

        chip = self.chip
        if chip is None or not self.known:
            raise InputError("no accelerator is named", "--accelerator h100 --utilisation 0.4")
        if self.utilisation is not None:
            return given(chip, self.utilisation)
        family, _ = named_model(self.like or "")
        model = Modelled(Offer(chip, self.count, self.max_days), family, fit.counted)
        if hours is not None:
            return model.of_hours(hours, lambda budget: run(best_for_budget(fit.law, budget, terms)))
        found = best_for_loss(fit.law, loss, terms) if loss is not None else best_for_budget(fit.law, flops or 0, terms)
        return model.of_run(*run(found))


def _rent(chip: Accelerator, price: float | None, dollars_for: str | None) -> Rent | None:
    from planner.costs.prices import find_rent
    from planner.errors import InputError

    try:
        return find_rent(chip, None, price)
    except InputError as error:
        if dollars_for is None:
            return None
        raise InputError(f"{dollars_for}: {error.message}", "--price 2.00: dollars per GPU-hour") from None


def price_spread(rent: Rent) -> float:
    """Sd of ln price, its low and high taken for P10 and P90."""
    from planner.costs.run_cost import P90

    return math.log(rent.high / rent.low) / (2 * P90)


def with_price(terms: Terms, price: tuple[float, float] | None, hardware: Hardware, rent: Rent) -> Terms:
    """The terms with serving at so many dollars a token of a model of so many params."""
    from planner.decisions.inference import price_of_serving

    if price is None:
        return terms
    usd_per_flop = rent.usd_per_gpu_hour / hardware.flops_per_hour
    return replace(terms, served=replace(terms.served, flop_price=price_of_serving(*price, usd_per_flop)))
