"""What every study needs to know: sizes with their shapes, prices, the final run, the budget in hours."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from planner.costs.accelerators import Accelerator
from planner.costs.final_run import FinalCost, final_cost
from planner.costs.planned import TYPICAL, Offer, Yardstick, kept_hours, measured_yardstick, planned_hours
from planner.costs.prices import Rent, find_rent
from planner.costs.search import Cluster
from planner.costs.throughput import Utilisation
from planner.errors import InputError
from planner.models.architecture import Architecture
from planner.models.parameters import ParameterCount, count_parameters
from planner.models.shape import shape_for
from planner.quantities import Budget, Unit
from planner.sweep.prescription import step_law
from planner.sweep.spec import Sweep

CONTEXT_LENGTH = 4096
N_SIZES = 7  # between the smallest and the largest, equally spaced in logs
HIGHEST_UTILISATION = 2.0  # of the BF16 peak: dense FP8 has twice the peak, nothing has more
TOKEN_RATIO = 2**0.5  # between neighbouring amounts of data


@dataclass(frozen=True)
class Size:
    """One model size of the sweep."""

    model: Architecture
    count: ParameterCount

    @property
    def active(self) -> float:
        """Active parameters, raw."""
        return float(self.count.active)

    @property
    def active_non_embedding(self) -> float:
        """Active parameters without embedding and head, raw: what hyperparameter rules count."""
        return float(self.count.active - self.count.embedding - self.count.head)


@dataclass(frozen=True)
class Setting:
    """A sweep with everything that follows from it before any run is chosen."""

    sweep: Sweep
    accelerator: Accelerator
    rent: Rent
    final_params: ParameterCount
    final: FinalCost
    yardstick: Yardstick

    @cached_property
    def sizes(self) -> tuple[Size, ...]:
        """The final model's family from the smallest to the largest size of the exploration."""
        low, high = self.sweep.file.exploration.params_active
        shapes = [shape_for(self.sweep.model, float(target)) for target in np.geomspace(low, high, N_SIZES)]
        return tuple(Size(shape, count_parameters(shape)) for shape in shapes)

    @property
    def usd_per_gpu_hour(self) -> float:
        """The rent of an accelerator-hour."""
        return self.rent.usd_per_gpu_hour

    @property
    def utilisation(self) -> Utilisation:
        """What the final run reaches, by which a budget of FLOPs becomes one of hours."""
        return self.final.utilisation

    @property
    def budget_gpu_hours(self) -> float:
        """The exploration's budget in accelerator-hours."""
        return to_gpu_hours(self.sweep.file.exploration.budget, self)

    def gpu_hours(self, size: Size, tokens: float) -> float:
        """Modelled hours of one run."""
        return self.planned(size, tokens)[1]

    def planned(self, size: Size, tokens: float) -> tuple[int, float]:
        """Accelerators and modelled hours of one run at the batch that its hyperparameter rule gives."""
        exploration = self.sweep.file.exploration
        offer = Offer(self.accelerator, exploration.count, exploration.max_days_per_run)
        batch = step_law(size.active_non_embedding, tokens).batch_tokens
        return planned_hours(size.model, tokens, offer, batch, CONTEXT_LENGTH, self.yardstick)

    def tokens_between(self, size: Size, ratio: float = TOKEN_RATIO) -> list[float]:
        """Amounts of data for one size, from the lower bound up in steps of `ratio`, the upper bound last."""
        low, high = (bound.tokens(size.active) for bound in self.sweep.file.exploration.tokens)
        steps = max(0, int(np.floor(np.log(high / low) / np.log(ratio) + 1e-9)))
        amounts = [low * ratio**step for step in range(steps + 1)]
        return amounts if high / amounts[-1] < ratio**0.5 else [*amounts, high]


def setting_of(sweep: Sweep) -> Setting:
    """Price the final run and read what the studies need from the sweep."""
    final = sweep.file.final
    accelerator = sweep.accelerator
    rent = find_rent(accelerator, usd_per_gpu_hour=sweep.file.price.usd_per_gpu_hour)
    params = count_parameters(sweep.model)
    kept = _kept_hours(sweep, accelerator)
    cost = final_cost(
        params.active,
        final.tokens,
        accelerator,
        count=final.count,
        usd_per_gpu_hour=rent.usd_per_gpu_hour,
        modelled_gpu_hours=kept * TYPICAL.factor,
        gpu_hours_per_trillion_tokens=final.gpu_hours_per_trillion_tokens,
        context_extension_gpu_hours=final.context_extension_gpu_hours,
        post_training_gpu_hours=final.post_training_gpu_hours,
    )
    if cost.utilisation.fraction > HIGHEST_UTILISATION:
        raise InputError(
            f"{sweep.source}: final.gpu_hours_per_trillion_tokens = {cost.gpu_hours_per_trillion_tokens:.4g} means "
            f"{cost.utilisation.fraction:.3g} times the BF16 peak of {accelerator.name}",
            "give accelerator-hours for 1e12 tokens: 180K for DeepSeek-V3",
        )
    largest = sweep.file.exploration.params_active[1]
    if largest > params.active:
        raise InputError(
            f"{sweep.source}: exploration.params_active reaches {largest:.4g}, beyond the final run's {params.active:.4g}",
            "small runs are for less than the final run: lower it",
        )
    measured = final.gpu_hours_per_trillion_tokens is not None
    yardstick = measured_yardstick(cost.pretraining_gpu_hours, kept) if measured else TYPICAL
    return Setting(sweep, accelerator, rent, params, cost, yardstick)


def _kept_hours(sweep: Sweep, accelerator: Accelerator) -> float:
    """The final run's hours on its fastest layout, as the step-time model has them."""
    final = sweep.file.final
    batch = step_law(count_parameters(sweep.model).active_non_embedding, final.tokens).batch_tokens
    try:
        return kept_hours(sweep.model, final.tokens, Cluster(accelerator, final.count), batch, CONTEXT_LENGTH)
    except InputError as error:
        raise InputError(f"{sweep.source}: final: {error.message}", error.hint) from None


def to_gpu_hours(budget: Budget, setting: Setting) -> float:
    """A budget of any unit in accelerator-hours of the sweep's accelerator, at its price and utilisation."""
    match budget.unit:
        case Unit.GPU_HOURS:
            return budget.amount
        case Unit.USD:
            return budget.amount / setting.usd_per_gpu_hour
        case Unit.FLOPS:
            return setting.utilisation.gpu_hours(budget.amount, setting.accelerator)
        case Unit.FINAL:
            return budget.amount * setting.final.gpu_hours
