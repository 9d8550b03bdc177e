"""Learning rate, batch, warm-up and weight decay for a run, from a rule in both size and data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pandas as pd

from planner.fitting.tuning import TuningRuns, tune
from planner.sweep.file.tables import Hyperparameters, OwnRule
from planner.sweep.size import Size

WEIGHT_DECAY = 0.1
WARMUP_STEPS = 2000  # Step Law's own setting
STEP_LAW_TOKENS = (2e9, 100e9)  # training tokens of its grid
OPTIMAL_RATIO = (10.0, 40.0)  # tokens per parameter about the compute optimum of 20, where Porian's sweep lies
POWER_LINES_SEQUENCE = 2048  # tokens


@dataclass(frozen=True)
class Prescription:
    """Peak learning rate, batch and warm-up (tokens), decoupled weight decay, their source; `extrapolated` beyond the range
    in which the rule was calibrated."""

    lr_peak: float
    batch_tokens: float
    source: str
    extrapolated: bool
    weight_decay: float = WEIGHT_DECAY
    warmup_steps: int = WARMUP_STEPS


Rule = Callable[[Size, float, int], Prescription]  # of a size, training tokens and context length


def rule_of(settings: Hyperparameters, tuning: pd.DataFrame | None) -> Rule:
    """The rule that a sweep asks for; "fitted" rests on the finished grid `tuning`."""
    match settings.rule:
        case "fitted":
            if tuning is None:
                raise AssertionError("read_sweep reads the table")
            columns = {name: tuning[name].to_numpy(float) for name in ("tokens", "lr_peak", "batch_tokens", "loss")}
            runs = TuningRuns(params=tuning["params_active_non_embedding"].to_numpy(float), **columns)
            return partial(_fitted, runs)
        case "mup" | "power-lines":
            if settings.base_lr is None or settings.base_width is None:
                raise AssertionError("the sweep file asks for both")
            transfer = _mup if settings.rule == "mup" else _power_lines
            return partial(transfer, settings.base_lr, settings.base_width)
        case "own":
            if settings.own is None:
                raise AssertionError("the sweep file asks for it")
            return partial(_own, settings.own)
    return {"step-law": _step_law, "deepseek": _deepseek, "porian": _porian, "three-term": _three_term}[settings.rule]


def step_law(params_non_embedding: float, tokens: float) -> Prescription:
    """lr = 1.79 N^-0.713 D^0.307, batch = 0.58 D^0.571 tokens (Step Law, arXiv 2503.04715, eq. 1).

    N without vocabulary parameters (for a mixture of experts: the active ones), D training tokens; AdamW, cosine to
    1e-5. Calibrated on 59M-1.07B parameters and 2B-100B tokens.
    """
    return Prescription(
        lr_peak=1.79 * params_non_embedding**-0.713 * tokens**0.307,
        batch_tokens=0.58 * tokens**0.571,
        source="Step Law, arXiv 2503.04715",
        extrapolated=not (
            59e6 <= params_non_embedding <= 1.07e9 and STEP_LAW_TOKENS[0] <= tokens <= STEP_LAW_TOKENS[1]
        ),
    )


def _step_law(size: Size, tokens: float, context_length: int) -> Prescription:
    return step_law(size.active_non_embedding, tokens)


def _deepseek(size: Size, tokens: float, context_length: int) -> Prescription:
    """lr = 0.3118 C^-0.1250, batch = 0.2920 C^0.3271 tokens, C = M D (DeepSeek LLM, arXiv 2401.02954, eq. 1 and 2).

    M = 6 N + 12 n_layers d_model context FLOPs per token, N without vocabulary parameters. Fitted at 1e17-2e19 FLOPs,
    checked at 1e20.
    """
    model = size.model
    flops = (6 * size.active_non_embedding + 12 * model.n_layers * model.d_model * context_length) * tokens
    return Prescription(
        lr_peak=0.3118 * flops**-0.125,
        batch_tokens=0.292 * flops**0.3271,
        source="DeepSeek LLM, arXiv 2401.02954",
        extrapolated=not 1e17 <= flops <= 1e20,
    )


def _porian(size: Size, tokens: float, context_length: int) -> Prescription:
    """lr = 3.7 N^-0.36, batch = 0.7576 N^0.703 tokens (Porian et al. 2024, arXiv 2406.19146).

    N with the head and without the input embedding. It does not depend on data: calibrated on 5M-220M at about the
    compute-optimal tokens per parameter, extrapolated elsewhere.
    """
    params = size.active_with_head
    low, high = OPTIMAL_RATIO
    return Prescription(
        lr_peak=3.7 * params**-0.36,
        batch_tokens=0.7576 * params**0.703,
        source="Porian et al., arXiv 2406.19146",
        extrapolated=not (5e6 <= params <= 220e6 and low <= tokens / params <= high),
    )


def _three_term(size: Size, tokens: float, context_length: int) -> Prescription:
    """Batch = 0.667 D^0.566 tokens (three-term law, arXiv 2607.01487); the rate is Step Law's.

    Calibrated on 0.05B-1B parameters and 2B tokens and more (the rate: up to 100B).
    """
    rate = step_law(size.active_non_embedding, tokens)
    return replace(
        rate,
        batch_tokens=0.667 * tokens**0.566,
        source="batch: three-term law, arXiv 2607.01487; rate: Step Law, arXiv 2503.04715",
        extrapolated=rate.extrapolated or not (5e7 <= size.active_non_embedding <= 1e9),
    )


def _mup(base_lr: float, base_width: int, size: Size, tokens: float, context_length: int) -> Prescription:
    """lr = base_lr x base_width / d_model for hidden matrices under AdamW (muP, arXiv 2203.03466, table 8).

    It transfers over width only; batch follows Step Law, which speaks of data alone. Called extrapolated beyond 16 times the
    base's width, where transfer was shown, and beyond the data in which that batch was found.
    """
    low, high = STEP_LAW_TOKENS
    return Prescription(
        lr_peak=base_lr * base_width / size.model.d_model,
        batch_tokens=step_law(size.active_non_embedding, tokens).batch_tokens,
        source=f"muP from d_model {base_width} (arXiv 2203.03466); batch: Step Law, arXiv 2503.04715",
        extrapolated=not (base_width / 2 <= size.model.d_model <= 16 * base_width and low <= tokens <= high),
    )


def _power_lines(base_lr: float, base_width: int, size: Size, tokens: float, context_length: int) -> Prescription:
    """Batch = 0.0306 D^0.383 sequences of 2048; weight decay = B / (lr D tau), tau = 1.084 (D/N)^-0.527; lr by muP.

    Power Lines (arXiv 2505.13738; exponents as quoted, constants not read at the source). Calibrated on 111M-3.3B
    parameters.
    """
    lr_peak = base_lr * base_width / size.model.d_model
    batch = 0.0306 * tokens**0.383 * POWER_LINES_SEQUENCE
    timescale = 1.084 * (tokens / size.active) ** -0.527
    return Prescription(
        lr_peak=lr_peak,
        batch_tokens=batch,
        source=f"Power Lines, arXiv 2505.13738; rate: muP from d_model {base_width}",
        extrapolated=not 111e6 <= size.active <= 3.3e9,
        weight_decay=batch / (lr_peak * tokens * timescale),
    )


def _own(rule: OwnRule, size: Size, tokens: float, context_length: int) -> Prescription:
    """lr = c N^a D^b, batch = c N^a D^b tokens, as the sweep has them; extrapolated beyond the ranges that it names."""
    params = size.active_non_embedding
    lr_peak, batch = (c * params**a * tokens**b for c, a, b in (rule.lr_peak, rule.batch_tokens))
    inside = all(low <= at <= high for at, (low, high) in ((params, rule.params), (tokens, rule.tokens)))
    return Prescription(lr_peak, batch, rule.source, not inside, rule.weight_decay, rule.warmup_steps)


def _fitted(runs: TuningRuns, size: Size, tokens: float, context_length: int) -> Prescription:
    """The optimum of the surface fitted to the user's own finished grid; extrapolated beyond its sizes and data."""
    params = size.active_non_embedding
    found = tune(runs, params=params, tokens=tokens)
    inside = np.min(runs.params) <= params <= np.max(runs.params) and np.min(runs.tokens) <= tokens <= np.max(
        runs.tokens
    )
    return Prescription(
        lr_peak=found.lr_peak,
        batch_tokens=found.batch_tokens,
        source=f"fitted to {found.n_runs} finished runs",
        extrapolated=not inside,
    )
