"""The cost of one run from names and numbers: defaults filled in, each one told."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial

from planner.costs.accelerators import Accelerator, Precision, find_accelerator
from planner.costs.calibration import AttentionKernel
from planner.costs.ownership import Ownership
from planner.costs.prices import Basis, Purchase, find_grid, find_purchase, find_rent
from planner.costs.run_cost import RunCost, Terms, run_cost
from planner.costs.search import Cluster
from planner.errors import InputError
from planner.models.architecture import Architecture
from planner.models.catalog import find_model
from planner.models.flops import FlopsRule, flops_per_token
from planner.models.parameters import ParameterCount, count_parameters

CONTEXT_LENGTH = 4096
NOTABLE = 0.05  # of a step: a part worth a word


@dataclass(frozen=True)
class Cost:
    """One run's cost: `modelled` always, `measured` with the hours that were given, and everything assumed."""

    model: Architecture
    count: ParameterCount
    cluster: Cluster
    context_length: int
    terms: Terms
    modelled: RunCost
    measured: RunCost | None
    assumed: dict[str, str]

    @property
    def flops_by_rule(self) -> dict[str, float]:
        """Training FLOPs of the run by each named rule, nothing computed again."""
        return {
            rule.value: self.modelled.tokens * flops_per_token(self.model, rule, self.context_length)
            for rule in FlopsRule
        }

    @property
    def best_known(self) -> RunCost:
        """The measured one if there is one."""
        return self.measured or self.modelled


def step_law_batch(tokens: float) -> float:
    """Tokens of a batch: 0.58 D^0.571 (Step Law, arXiv 2503.04715, eq. 1)."""
    return 0.58 * math.pow(tokens, 0.571)


def cost(
    model: Architecture | str,
    tokens: float,
    *,
    accelerator: Accelerator | str = "h100",
    count: int = 1024,
    batch_tokens: float | None = None,
    context_length: int = CONTEXT_LENGTH,
    precision: Precision = Precision.BF16,
    kernel: AttentionKernel = AttentionKernel.FLASH_3,
    gpu_hours_per_trillion_tokens: float | None = None,
    usd_per_gpu_hour: float | None = None,
    basis: Basis | None = None,
    usd_per_chip: float | None = None,
    ownership: Ownership | None = None,
    grid: str = "us",
) -> Cost:
    """What training `model` on `tokens` costs on `count` accelerators.

    Hours come from the step-time model and, beside it, from `gpu_hours_per_trillion_tokens` where that was measured.
    Tokens, batch and context are raw counts. Raises InputError for unknown names, values that are not positive, and a
    model that does not fit.
    """
    shape = find_model(model) if isinstance(model, str) else model
    chip = find_accelerator(accelerator) if isinstance(accelerator, str) else accelerator
    chip.peak(precision)
    for name, value in (("tokens", tokens), ("count", count), ("batch_tokens", batch_tokens), ("context_length", context_length),
                        ("gpu_hours_per_trillion_tokens", gpu_hours_per_trillion_tokens),
                        ("usd_per_gpu_hour", usd_per_gpu_hour), ("usd_per_chip", usd_per_chip)):  # fmt: skip
        if value is not None and not (math.isfinite(value) and value > 0):
            raise InputError(f"{name} = {value} is not positive", "give a positive number in raw units")
    if batch_tokens is not None and batch_tokens > tokens:
        raise InputError(f"a batch of {batch_tokens:.4g} tokens is more than the run's {tokens:.4g}", "give fewer")
    assumed = _assumptions(chip, batch_tokens, context_length, usd_per_gpu_hour)
    purchase = _purchase(chip, usd_per_chip, assumed)
    terms = Terms(
        rent=find_rent(chip, basis, usd_per_gpu_hour),
        grid=find_grid(grid),
        purchase=purchase,
        ownership=ownership or Ownership(),
    )
    cluster = Cluster(chip, count, precision, kernel)
    batch = step_law_batch(tokens) if batch_tokens is None else batch_tokens
    priced = partial(run_cost, shape, tokens, cluster, terms, batch_tokens=batch, context_length=context_length)
    modelled, measured = priced(), None
    if gpu_hours_per_trillion_tokens is not None:
        measured = priced(measured_gpu_hours=gpu_hours_per_trillion_tokens * tokens / 1e12)
    return Cost(shape, count_parameters(shape), cluster, context_length, terms, modelled, measured, assumed)


def _assumptions(
    chip: Accelerator, batch_tokens: float | None, context_length: int, usd_per_gpu_hour: float | None
) -> dict[str, str]:
    """What was not given, and what stands in for it."""
    found = {}
    if batch_tokens is None:
        found["batch"] = "Step Law, 0.58 tokens^0.571 (arXiv 2503.04715)"
    if context_length == CONTEXT_LENGTH:
        found["context"] = f"{CONTEXT_LENGTH} tokens"
    if usd_per_gpu_hour is None and chip.usd_per_hour is None:
        found["rent"] = "the catalog's"
    return found


def _purchase(chip: Accelerator, usd_per_chip: float | None, assumed: dict[str, str]) -> Purchase | None:
    """The price of a chip: the user's, the catalog's, or none."""
    if usd_per_chip is not None:
        return Purchase(chip.name, usd_per_chip, usd_per_chip, usd_per_chip, False, "", "given, server not included")
    try:
        return find_purchase(chip)
    except InputError as error:
        assumed["owned"] = f"left out: {error.message}"
        return None


def reasons(found: Cost) -> list[str]:
    """Why measured and modelled hours differ, as far as the model can tell; none without a measurement."""
    if found.measured is None:
        return []
    modelled, measured = found.modelled.hours, found.measured.hours
    ratio = measured.expected / modelled.expected
    told = [
        f"the given hours are {ratio:.2f} times the modelled ones: they use {found.measured.utilisation:.1%} of the BF16 "
        f"peak, the model {found.modelled.utilisation:.1%}",
        f"the model's fastest layout alone would take {modelled.ideal:,.0f} GPU-hours ({found.modelled.mfu:.1%} MFU); "
        f"interruptions make it {1 / modelled.goodput:.2f} times that, and what published runs lose besides "
        f"{1 / modelled.production:.2f} times (x / {math.exp(modelled.sd):.2f}, one sd over 36 runs)",
    ]
    fastest, chip, cluster = found.modelled.fastest, found.cluster.chip, found.cluster
    waiting = fastest.seconds_by_part["bubble"] / fastest.seconds
    if "batch" in found.assumed and waiting > NOTABLE:
        told.append(
            f"the pipeline's fill takes {waiting:.0%} of a step at the assumed batch of {fastest.batch_tokens:.3g} tokens, "
            "less at a larger one: --batch"
        )
    if cluster.precision is Precision.BF16 and chip.fp8_flops:
        other = run_cost(
            found.model, found.modelled.tokens, replace(cluster, precision=Precision.FP8), found.terms,
            batch_tokens=found.modelled.fastest.batch_tokens, context_length=found.context_length,
        )  # fmt: skip
        told.append(f"with FP8 matrix products the model says {other.hours.expected:,.0f} GPU-hours: --precision fp8")
    return told
