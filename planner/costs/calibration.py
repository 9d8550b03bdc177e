"""The few numbers of the step-time model that no data sheet gives."""

from __future__ import annotations

from dataclasses import dataclass, field

from planner.costs.accelerators import Accelerator

AMPERE = ("a100", "a100-40gb", "a800")


@dataclass(frozen=True)
class Calibration:
    """Fitted by `python tests/benchmarks/throughput.py` to 216 measurements of MPT models of 125M to 70B parameters on 8 to
    512 A100 and H100 (mosaicml/llm-foundry, scripts/train/benchmarking; FSDP, torch 1.13 to 2.0, 2023).

    - `matmul`: rate of matrix products over the chip's best measured one.
    - `attention`: rate of attention (half the scores, as causality allows) over the BF16 peak, by chip generation;
      other chips take Hopper's.
    - `activation_passes`: times that memory traffic reads or writes each activation kept for the backward pass.
    - `logit_passes`: the same for the FP32 logits.
    - `link`: rate of collectives over a link's one-way rate.
    - `ring_latency`: seconds a rank adds to a collective between nodes.
    - `fp8_matmul`: time of an FP8 matrix product over a BF16 one.
    """

    matmul: float = 0.994
    attention: dict[str, float] = field(default_factory=lambda: {"ampere": 0.322, "hopper": 0.174})
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
