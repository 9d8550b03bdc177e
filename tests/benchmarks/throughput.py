"""Fit the step-time model to measured throughput, and judge it on (model size x accelerator) cells it has not seen.

    python tests/benchmarks/throughput.py

216 measurements of mosaicml/llm-foundry, scripts/train/benchmarking/README.md (../shared/reference/mfu_benchmarks.csv). What the
collected file leaves out is here: gradient accumulation, from the same page. Prints the constants of
planner/costs/calibration.py, the errors of 20 seeded splits that leave out a quarter of the cells, and the worst rows.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.optimize import nnls

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from truths import SHARED

from planner.costs.accelerators import Precision, find_accelerator
from planner.costs.calibration import AttentionKernel, Calibration, calibration_with
from planner.costs.layout import Layout, layouts_of
from planner.costs.memory import USABLE, memory_of
from planner.costs.step import FITTED, step_of
from planner.costs.workload import workload_of
from planner.models.architecture import Architecture, Norm
from planner.models.flops import FlopsRule, Recomputation, flops_per_token

ROWS = SHARED / "reference/mfu_benchmarks.csv"
CHIPS = {"a100_40gb": "a100-40gb", "a100_80gb": "a100", "h100_80gb": "h100"}
SHAPES = {  # layers, width, heads: mosaicml/llm-foundry, scripts/train/yamls/pretrain/mpt-*.yaml
    "125m": (12, 768, 12), "350m": (24, 1024, 16), "760m": (24, 1536, 12), "1b": (24, 2048, 16), "3b": (32, 2560, 20),
    "7b": (32, 4096, 32), "13b": (40, 5120, 40), "30b": (48, 7168, 56), "70b": (80, 8192, 64),
}  # fmt: skip
SPLITS, LEFT_OUT = 20, 0.25
UNIT = Calibration(1.0, {"ampere": 1.0, "hopper": 1.0}, 1.0, 1.0, 1.0, 1.0, 1.0)
TERMS = ("matmul", "matmul_fp8", "ampere", "hopper", "activations", "logits", "sharding", "latency")


@dataclass(frozen=True)
class Measured:
    """The table: a row's cell, measured seconds of a step, the model's seconds by term with unit constants, and the
    seconds that no constant changes."""

    rows: pd.DataFrame
    seconds: np.ndarray
    terms: np.ndarray
    fixed: np.ndarray

    @property
    def cells(self) -> np.ndarray:
        """Model size and accelerator of every row."""
        return (self.rows["model_size"] + " " + self.rows["gpu"]).to_numpy(str)


def accumulation(row: pd.Series) -> int:
    """Micro-batches of a step, from the page's GradAccum column (one for its rows of 128 and more H100)."""
    size, context, gpus = row["model_size"], row["seq_len"], row["gpus"]
    if row["gpu"] == "a100_40gb":
        usual = {"13b": 16, "3b": 8, "1b": 8, "125m": 3}.get(size, 4)
        return 1 if gpus > 8 else 4 if context == 32768 else usual
    if size == "70b":
        return {64: 4, 32: 16}.get(gpus, 1)
    many = {"30b": 21, "13b": 3, "3b": 6, "1b": 4}.get(size, 2)
    if row["gpu"] == "a100_80gb":
        return 2 if (size, context) in {("3b", 65536), ("3b", 2048), ("1b", 65536)} else many
    if gpus >= 128 or (context == 2048 and size in ("13b", "7b", "1b") and row["precision"] == "amp_bf16"):
        return 1
    if context == 65536:
        return 2
    return many if gpus == 8 else {"760m": 1}.get(size, 3)


def mpt(size: str, context_length: int) -> Architecture:
    """An MPT model; it has as many learned positions as its context."""
    n_layers, d_model, n_heads = SHAPES[size]
    return Architecture(
        size, "mpt", n_layers, d_model, n_heads, n_heads, d_model // n_heads, 4 * d_model, 50_368,
        tied_embeddings=True, gated_mlp=False, norm=Norm.RMS, learned_positions=context_length,
    )  # fmt: skip


def layout_of(row: pd.Series, passes: int) -> Layout:
    """FSDP over all GPUs; activations are computed again where the page's HFU is above its MFU."""
    again = Recomputation.FULL if row["hfu_pct"] > 1.05 * row["mfu_pct"] else Recomputation.SELECTIVE
    micro, rest = divmod(row["global_batch_tokens"], row["seq_len"] * row["gpus"] * passes)
    assert rest == 0
    return Layout(1, 1, 1, row["gpus"], 1, 3, micro, 1, again)


def table() -> Measured:
    """Every row with its layout, the seconds measured, and the model's terms."""
    rows = pd.read_csv(ROWS)
    seconds, terms, fixed, full = [], [], [], []
    for _, row in rows.iterrows():
        chip, model = find_accelerator(CHIPS[row["gpu"]]), mpt(row["model_size"], row["seq_len"])
        precision = Precision.FP8 if row["precision"] == "amp_fp8" else Precision.BF16
        passes, work = accumulation(row), workload_of(model, row["seq_len"])
        layouts = layouts_of([layout_of(row, passes)])
        step = step_of(work, chip, layouts, precision=precision, calibration=UNIT)
        parts = {part: passes * float(getattr(step.micro, part)[0]) for part in FITTED}
        parts["matmul_fp8" if precision is Precision.FP8 else "matmul"] = parts.pop("matmul")
        parts["ampere" if "a100" in chip.name else "hopper"] = parts.pop("attention")
        rate = row["mfu_pct"] / 100 * chip.peak(precision) / flops_per_token(model, FlopsRule.PALM, row["seq_len"])
        seconds.append(row["global_batch_tokens"] / row["gpus"] / rate)
        terms.append([parts.get(term, 0.0) for term in TERMS])
        fixed.append(float(step.once[0]))
        full.append(float(memory_of(work, layouts, precision).total[0]) / chip.memory_bytes)
    return Measured(rows.assign(full=full), np.array(seconds), np.array(terms), np.array(fixed))


def fitted(measured: Measured, rows: np.ndarray) -> np.ndarray:
    """Non-negative least squares of relative errors on some of the rows."""
    scale = 1.0 / measured.seconds[rows]
    return nnls(measured.terms[rows] * scale[:, None], 1.0 - measured.fixed[rows] * scale)[0]


def errors(measured: Measured, weights: np.ndarray) -> np.ndarray:
    """Relative error of throughput of every row."""
    return measured.seconds / (measured.terms @ weights + measured.fixed) - 1.0


def calibrated(weights: np.ndarray) -> Calibration:
    """The weights as constants of the model."""
    matmul, matmul_fp8, ampere, hopper, activations, logits, sharding, latency = (float(w) for w in weights)
    return Calibration(
        matmul=1 / matmul,
        attention={"ampere": 1 / ampere, "hopper": 1 / hopper},
        activation_passes=activations,
        logit_passes=logits,
        link=1 / sharding,
        ring_latency=latency,
        fp8_matmul=matmul_fp8 / matmul,
    )


def left_out(measured: Measured) -> list[np.ndarray]:
    """Absolute errors on the cells left out, split by split."""
    names = np.unique(measured.cells)
    found = []
    for seed in range(SPLITS):
        out = np.random.default_rng(seed).choice(names, round(LEFT_OUT * len(names)), replace=False)
        unseen = np.isin(measured.cells, out)
        found.append(np.abs(errors(measured, fitted(measured, ~unseen)))[unseen])
    return found


def main() -> None:
    """Print the fit, its errors on unseen cells, by cell, and the worst rows."""
    if not ROWS.is_file():
        sys.exit(f"{ROWS} is absent: the measurements are not part of the repository")
    measured = table()
    every = np.ones(len(measured.rows), bool)
    found = calibrated(fitted(measured, every))
    print(f"fitted to {every.sum()} rows: {found}\nin use: {calibration_with(AttentionKernel.FLASH_1)}\n")
    unseen = left_out(measured)
    pooled = np.concatenate(unseen)
    print(f"cells left out, {SPLITS} splits: median error {np.median(pooled):.1%}, 90th percentile "
          f"{np.quantile(pooled, 0.9):.1%}; worst split {max(np.median(e) for e in unseen):.1%} and "
          f"{max(np.quantile(e, 0.9) for e in unseen):.1%}\n")  # fmt: skip
    error = errors(measured, fitted(measured, every))
    print("| cell | rows | mean error | lowest | highest |\n|---|---|---|---|---|")
    for cell, each in pd.Series(error).groupby(measured.cells):
        print(f"| {cell} | {len(each)} | {each.mean():+.1%} | {each.min():+.1%} | {each.max():+.1%} |")
    print()
    columns = ["model_size", "gpu", "seq_len", "gpus", "precision", "mfu_pct", "hfu_pct"]
    worst = measured.rows.assign(error=error.round(3)).iloc[np.argsort(-np.abs(error))[:10]]
    print(worst[[*columns, "error"]].to_string(index=False))
    fits = measured.rows["full"] <= USABLE
    print(f"\n{fits.sum()} of {len(fits)} layouts that ran fit by the memory model; the fullest takes "
          f"{measured.rows['full'].max():.2f} of the memory")  # fmt: skip
    print(measured.rows.loc[~fits, [*columns, "full"]].to_string(index=False))


if __name__ == "__main__":
    main()
