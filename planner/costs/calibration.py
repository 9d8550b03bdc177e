"""The few numbers of the step-time model that no data sheet gives."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cache

from planner.costs.accelerators import Accelerator

AMPERE = ("a100", "a100-40gb", "a800")


class AttentionKernel(StrEnum):
    """FlashAttention by version (arXiv 2205.14135, 2307.08691, 2407.08608), or none: scores are written to memory."""

    UNFUSED = "unfused"
    FLASH_1 = "flash-1"
    FLASH_2 = "flash-2"
    FLASH_3 = "flash-3"


# Rate of a causal forward and backward pass over the BF16 peak. Version 1 is fitted (below); 2 and 3 are read from the
# figures of their papers (head size 128, 4-16K tokens) and held against nothing but whole runs. Ampere has no version 3.
ATTENTION_RATES = {
    AttentionKernel.UNFUSED: {"ampere": 0.322, "hopper": 0.174},  # taken as version 1, for want of measurements
    AttentionKernel.FLASH_1: {"ampere": 0.322, "hopper": 0.174},
    AttentionKernel.FLASH_2: {"ampere": 0.55, "hopper": 0.32},
    AttentionKernel.FLASH_3: {"ampere": 0.55, "hopper": 0.53},
}


@dataclass(frozen=True)
class Calibration:
    """Fitted by `python tests/benchmarks/throughput.py` to 216 measurements of MPT models of 125M to 70B parameters on 8 to
    512 A100 and H100 (mosaicml/llm-foundry, scripts/train/benchmarking; FSDP, torch 1.13 to 2.0, 2023).

    - `matmul`: rate of matrix products over the chip's best measured one.
    - `attention`: rate of attention (half the scores, as causality allows) over the BF16 peak, by chip generation;
      other chips take Hopper's. The one that is not from the fit: the measurements are of FlashAttention 1.
    - `activation_passes`: times that memory traffic reads or writes each activation kept for the backward pass.
    - `logit_passes`: the same for the FP32 logits.
    - `link`: rate of collectives over a link's one-way rate.
    - `ring_latency`: seconds a rank adds to a collective between nodes.
    - `fp8_matmul`: time of an FP8 matrix product over a BF16 one.
    """

    matmul: float = 0.994
    attention: dict[str, float] = field(default_factory=lambda: ATTENTION_RATES[AttentionKernel.FLASH_3])
    activation_passes: float = 12.7
    logit_passes: float = 8.4
    link: float = 0.62
    ring_latency: float = 2.2e-6
    fp8_matmul: float = 0.62


def generation(chip: Accelerator) -> str:
    """The generation whose attention rate `chip` is given."""
    return "ampere" if chip.name in AMPERE else "hopper"


def validated(chip: Accelerator) -> bool:
    """Whether measurements on this chip are behind the calibration."""
    return chip.name in ("a100", "a100-40gb", "h100")


CALIBRATION = Calibration()


@cache
def calibration_with(kernel: AttentionKernel) -> Calibration:
    """The calibration with another attention kernel than the latest."""
    return replace(CALIBRATION, attention=ATTENTION_RATES[kernel])
