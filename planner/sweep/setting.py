"""What every study needs to know: sizes with their shapes, prices, the final run, the budget in hours."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from planner.costs.accelerators import Accelerator, Precision
from planner.costs.final_run import FinalCost, final_cost
from planner.costs.planned import (
    TYPICAL,
    Offer,
    PlannedRun,
    Yardstick,
    kept_hours,
    measured_yardstick,
    planned_run,
)
from planner.costs.prices import Rent, find_rent
from planner.costs.search import Cluster
from planner.costs.throughput import Utilisation
from planner.errors import InputError
from planner.models.architecture import Architecture
from planner.models.parameters import ParameterCount, count_parameters
from planner.models.shape import shape_for, shape_of
from planner.quantities import Budget, Unit
from planner.runs.where import Where
from planner.sweep.file.studies import Study
from planner.sweep.prescription import Prescription, Rule, rule_of, step_law
from planner.sweep.request import Cell
from planner.sweep.size import Size
from planner.sweep.spec import Sweep

HIGHEST_UTILISATION = 2.0  # of the BF16 peak: dense FP8 has twice the peak, nothing has more
TOKEN_RATIO = 2**0.5  # between neighbouring amounts of data
SAME_SIZE = 0.02  # of a listed size: what a shape may be off and still be meant
MOST_EPOCHS = 4.0  # repeats up to here are nearly as good as new data (Muennighoff et al., arXiv 2305.16264)


@dataclass(frozen=True, eq=False)
class Setting:
    """A sweep with everything that follows from it before any run is chosen; one setting equals only itself."""

    sweep: Sweep
    accelerator: Accelerator
    rent: Rent
    final_params: ParameterCount
    final: FinalCost
    yardstick: Yardstick

    @cached_property
    def family(self) -> Architecture:
        """The model whose shape the small ones keep: the final run's, without its experts for a dense equivalent."""
        model = self.sweep.model
        return dense_of(model) if self.sweep.file.exploration.family == "dense-equivalent" else model

    @cached_property
    def sizes(self) -> tuple[Size, ...]:
        """The family from the smallest to the largest size of the exploration, equally spaced in logs."""
        exploration = self.sweep.file.exploration
        if exploration.params_active is None:
            shapes = [Size(shape_of(self.family, *shape)) for shape in exploration.shapes]
            return tuple(sorted(shapes, key=lambda size: size.active))
        targets = np.geomspace(*exploration.params_active, exploration.sizes)
        return tuple(Size(shape_for(self.family, float(target))) for target in targets)

    def size_of(self, params: float) -> Size:
        """The family's model of so many active parameters; of a sweep with shapes, one of these, or InputError."""
        if self.sweep.file.exploration.params_active is not None:
            return Size(shape_for(self.family, params))
        nearest = min(self.sizes, key=lambda size: abs(math.log(size.active / params)))
        if abs(nearest.active / params - 1) > SAME_SIZE:
            sizes = ", ".join(f"{size.active:,.0f}" for size in self.sizes)
            raise InputError(f"{params:,.0f} active parameters are none of the sweep's shapes", f"they have {sizes}")
        return nearest

    @property
    def target(self) -> tuple[float, float]:
        """(params, tokens) at which the law speaks for the final run: its active parameters, or their dense equivalent."""
        final = self.sweep.file.final
        if self.sweep.file.exploration.family == "dense-equivalent":
            if final.dense_equivalent_params is None:
                raise AssertionError("setting_of requires it")
            return final.dense_equivalent_params, final.tokens
        return float(self.final_params.active), final.tokens

    @property
    def usd_per_gpu_hour(self) -> float:
        """The rent of an accelerator-hour."""
        return self.rent.usd_per_gpu_hour

    @property
    def utilisation(self) -> Utilisation:
        """What the final run reaches, by which a budget of FLOPs becomes one of hours."""
        return self.final.utilisation

    @property
    def context_length(self) -> int:
        """Tokens of a sequence, where a study says nothing else."""
        return self.sweep.file.hyperparameters.context_length

    @cached_property
    def rule(self) -> Rule:
        """Where learning rate and batch come from."""
        return rule_of(self.sweep.file.hyperparameters, self.sweep.tuning)

    @property
    def budget_gpu_hours(self) -> float:
        """The exploration's budget in accelerator-hours."""
        return to_gpu_hours(self.sweep.file.exploration.budget, self)

    def budget_of(self, study: Study) -> float:
        """A study's own budget, its share of the whole, or all of it for one whose runs are listed; in accelerator-hours."""
        if study.budget is not None:
            return to_gpu_hours(study.budget, self)
        return (1.0 if study.share is None else study.share) * self.budget_gpu_hours

    def cell(self, size: Size, tokens: float) -> Cell:
        """A run of the sweep's main line."""
        return Cell(size, tokens, self.context_length)

    def prescribed(self, cell: Cell) -> Prescription:
        """The rule's settings for a cell, times its factors; all branches of a trunk take the trunk's."""
        tokens = cell.trunk.tuned_for if cell.trunk else cell.tokens
        found, factors = self.rule(cell.size, tokens, cell.context_length), cell.factors
        return replace(
            found,
            lr_peak=found.lr_peak * factors.lr,
            batch_tokens=found.batch_tokens * factors.batch,
            weight_decay=found.weight_decay * factors.weight_decay,
            warmup_steps=max(1, round(found.warmup_steps * factors.warmup)),
        )

    def planned(self, cell: Cell) -> PlannedRun:
        """Accelerators, hours, whole batch, layout and memory of one run; a branch runs where its trunk does."""
        exploration = self.sweep.file.exploration
        offer = Offer(self.accelerator, exploration.count, exploration.max_days_per_run)
        tokens = cell.trunk.tokens if cell.trunk else cell.tokens
        batch = self.prescribed(cell).batch_tokens
        return planned_run(cell.size.model, tokens, offer, batch, cell.context_length, self.yardstick)

    def steps(self, cell: Cell) -> int:
        """Steps from the first token to the last, those of a trunk included."""
        return max(1, round(cell.tokens / self.planned(cell).batch_tokens))

    def gpu_hours(self, cell: Cell) -> float:
        """Modelled hours of the tokens that a run trains itself."""
        return self.planned(cell).gpu_hours_per_token * trained_tokens(cell)

    def tokens_between(self, size: Size, ratio: float = TOKEN_RATIO) -> list[float]:
        """Amounts of data for one size, from the lower bound up in steps of `ratio`, the upper bound last."""
        low, high = (bound.tokens(size.active) for bound in self.sweep.file.exploration.tokens)
        steps = max(0, int(np.floor(np.log(high / low) / np.log(ratio) + 1e-9)))
        amounts = [low * ratio**step for step in range(steps + 1)]
        return amounts if high / amounts[-1] < ratio**0.5 else [*amounts, high]

    def allowed(self, cells: list[Cell]) -> list[Cell]:
        """The cells that neither `exclude`, `min_steps`, the length of a run nor four epochs of the unique tokens rule out."""
        exploration = self.sweep.file.exploration
        if not cells:
            return cells
        keep = np.ones(len(cells), bool)
        table = pd.DataFrame(
            {"params_active": [cell.size.active for cell in cells], "tokens": [cell.tokens for cell in cells]}
        )
        table["tokens_per_param"] = table["tokens"] / table["params_active"]
        table["flops"] = 6 * table["params_active"] * table["tokens"]
        for text in exploration.exclude:
            keep &= ~Where.parse(text).keep(table).to_numpy(bool)
        if exploration.unique_tokens:
            keep &= (table["tokens"] <= MOST_EPOCHS * exploration.unique_tokens).to_numpy(bool)
        if exploration.min_steps:
            keep &= np.array([self.steps(cell) >= exploration.min_steps for cell in cells])
        longest = exploration.max_days_per_run * 24 * 1.005  # whole steps round tokens up
        return [
            cell
            for cell, kept in zip(cells, keep, strict=True)
            if kept and self.gpu_hours(cell) / self.planned(cell).count <= longest
        ]


def trained_tokens(cell: Cell) -> float:
    """Tokens that a run processes itself: a branch of a trunk only its cooldown."""
    return cell.tokens * cell.trunk.cooldown if cell.trunk and not cell.is_trunk else cell.tokens


def dense_of(model: Architecture) -> Architecture:
    """The model without experts, its MLP as wide as what one token uses."""
    experts = model.experts
    if experts is None:
        return model
    width = experts.d_ff * experts.experts_per_token + (experts.shared_d_ff or experts.d_ff) * experts.n_shared
    return replace(model, name=f"{model.name}-dense", experts=None, d_ff=width)


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
    _require_family(sweep)
    measured = final.gpu_hours_per_trillion_tokens is not None
    yardstick = measured_yardstick(cost.pretraining_gpu_hours, kept) if measured else TYPICAL
    setting = Setting(sweep, accelerator, rent, params, cost, yardstick)
    asked = sweep.file.exploration.params_active
    _require_larger_targets(sweep, params, asked[1] if asked else setting.sizes[-1].active)
    if asked is None:
        _require_data(setting)
    return setting


def _require_family(sweep: Sweep) -> None:
    """A dense sweep speaks for a mixture of experts only under an assumption that is written down."""
    family, final = sweep.file.exploration.family, sweep.file.final
    mixture = sweep.model.experts is not None
    if family == "dense" and mixture:
        raise InputError(
            f"{sweep.source}: exploration.family: dense runs say nothing of {sweep.model.name}, a mixture of experts",
            'family = "same" keeps its sparsity; "dense-equivalent" with final.dense_equivalent_params names the assumption',
        )
    if family == "dense-equivalent" and not mixture:
        raise InputError(
            f"{sweep.source}: exploration.family: {sweep.model.name} is dense, it has no dense equivalent",
            'set family = "same"',
        )
    if (family == "dense-equivalent") != (final.dense_equivalent_params is not None):
        raise InputError(
            f'{sweep.source}: final.dense_equivalent_params and exploration.family = "dense-equivalent" go together',
            "give the dense size that you take to reach the same loss, as in dense_equivalent_params = "
            f'"{np.sqrt(float(count_parameters(sweep.model).total) * count_parameters(sweep.model).active) / 1e9:.3g}B" '
            "(root of total x active, a rule of thumb)",
        )


def _require_data(setting: Setting) -> None:
    """Refuse a range of data that is empty at some shape (`Exploration` itself sees to sizes that are counts)."""
    for size in setting.sizes:
        least, most = (bound.tokens(size.active) for bound in setting.sweep.file.exploration.tokens)
        if least >= most:
            raise InputError(
                f"{setting.sweep.source}: exploration.tokens: the range {least:.4g} to {most:.4g} is empty at "
                f"{size.active:,.0f} active parameters",
                "give the smaller amount first, or leave out the shape",
            )


def _require_larger_targets(sweep: Sweep, params: ParameterCount, largest: float) -> None:
    if largest > params.active:
        sizes = "params_active" if sweep.file.exploration.params_active else "shapes"
        raise InputError(
            f"{sweep.source}: exploration.{sizes} reaches {largest:.4g}, beyond the final run's {params.active:.4g}",
            "small runs are for less than the final run: lower it",
        )
    for number, target in enumerate(sweep.file.target, 1):
        if largest > target.params_active:
            raise InputError(
                f"{sweep.source}: target.{number}.params_active = {target.params_active:.4g} is smaller than the sweep's "
                f"{largest:.4g}",
                "a target is a run beyond the sweep: raise it, or lower the sizes",
            )


def _kept_hours(sweep: Sweep, accelerator: Accelerator) -> float:
    """The final run's hours on its fastest layout, as the step-time model has them."""
    final = sweep.file.final
    context = sweep.file.hyperparameters.context_length
    batch = step_law(count_parameters(sweep.model).active_non_embedding, final.tokens).batch_tokens
    # Measured hours are held against the BF16 model: their yardstick is for small runs in BF16.
    known = Precision(final.precision) if final.precision in list(Precision) else Precision.BF16
    precision = Precision.BF16 if final.gpu_hours_per_trillion_tokens is not None else known
    try:
        accelerator.peak(known)
        return kept_hours(sweep.model, final.tokens, Cluster(accelerator, final.count, precision), batch, context)
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
