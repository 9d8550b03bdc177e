"""Learning rate and batch for a run, from a published rule in both size and data."""

from __future__ import annotations

from dataclasses import dataclass

WEIGHT_DECAY = 0.1
WARMUP_STEPS = 2000  # Step Law's own setting


@dataclass(frozen=True)
class Prescription:
    """Peak learning rate and batch (tokens) with their source; `extrapolated` beyond the rule's calibrated range."""

    lr_peak: float
    batch_tokens: float
    source: str
    extrapolated: bool


def step_law(params_non_embedding: float, tokens: float) -> Prescription:
    """lr = 1.79 N^-0.713 D^0.307, batch = 0.58 D^0.571 tokens (Step Law, arXiv 2503.04715, eq. 1).

    N without vocabulary parameters (for a mixture of experts: the active ones), D training tokens; AdamW, cosine to
    1e-5. Calibrated on 59M-1.07B parameters and 2B-100B tokens.
    """
    return Prescription(
        lr_peak=1.79 * params_non_embedding**-0.713 * tokens**0.307,
        batch_tokens=0.58 * tokens**0.571,
        source="Step Law, arXiv 2503.04715",
        extrapolated=not (59e6 <= params_non_embedding <= 1.07e9 and 2e9 <= tokens <= 100e9),
    )
