"""Modelled against published GPU-hours of large runs.

    python tests/benchmarks/final_runs.py

Hours are published figures collected in ../shared/reference/final_runs.csv; what that file leaves out (context, batch, and the
count where the run's paper gives it) is here. Modelled hours are those of the fastest layout over goodput and over one
production factor, which for each dense run is the geometric mean of the other dense runs' and for the others that of all
dense runs. Prints every row, dense and mixture of experts apart.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from truths import SHARED

from planner.costs.accelerators import Precision, find_accelerator
from planner.costs.calibration import AttentionKernel
from planner.costs.reliability import Reliability
from planner.costs.run_cost import PRODUCTION, PRODUCTION_SPREAD
from planner.costs.search import Cluster, fastest_layout
from planner.models.architecture import Architecture, Experts, Norm
from planner.models.catalog import find_model

ROWS = SHARED / "reference/final_runs.csv"
CHIPS = {
    "A100-80": "a100", "A100-40": "a100-40gb", "H100": "h100", "H800": "h800", "V100": "v100", "TPUv4": "tpu-v4",
    "TPUv3": "tpu-v3",
}  # fmt: skip
UNKNOWN_COUNT = 1024


@dataclass(frozen=True)
class Setup:
    """How a run was trained: tokens of a sequence and of a batch, accelerators (0: not published)."""

    model: Architecture
    context_length: int
    batch_tokens: float
    count: int = 0
    precision: Precision = Precision.BF16


def plain(
    name: str, layers: int, width: int, heads: int, kv: int, head: int, d_ff: int, vocab: int, **more: object
) -> Architecture:
    """A shape the catalog does not have, from the run's paper."""
    fields = {"gated_mlp": False, "norm": Norm.LAYER, **more}
    return Architecture(name, name, layers, width, heads, kv, head, d_ff, vocab, **fields)


def llama(name: str) -> Setup:
    """LLaMA 1: context 2048, 4M tokens a batch (arXiv 2302.13971, section 2)."""
    return Setup(find_model(name), 2048, 4.2e6, 2048 if name.endswith("65b") else 0)


def pythia(name: str, count: int) -> Setup:
    """Pythia: context 2048, 2M tokens a batch, GPUs of table 6 (arXiv 2304.01373)."""
    return Setup(find_model(name), 2048, 2.1e6, count)


SETUPS = {
    "DeepSeek-V3 pretraining": Setup(find_model("deepseek-v3"), 4096, 62.9e6, 2048, Precision.FP8),  # arXiv 2412.19437
    "DeepSeek-V2": Setup(find_model("deepseek-v2"), 4096, 37.7e6),  # arXiv 2405.04434, section 3.1
    "DeepSeek LLM 67B": Setup(find_model("deepseek-llm-67b"), 4096, 18.9e6),  # arXiv 2401.02954, table 2
    "LLaMA-1 7B": llama("llama-1-7b"),
    "LLaMA-1 13B": llama("llama-1-13b"),
    "LLaMA-1 33B": llama("llama-1-33b"),
    "LLaMA-1 65B": llama("llama-1-65b"),
    "Llama 2 7B": Setup(find_model("llama-2-7b"), 4096, 4.2e6),  # arXiv 2307.09288, table 1
    "Llama 2 13B": Setup(find_model("llama-2-13b"), 4096, 4.2e6),
    "Llama 2 70B": Setup(find_model("llama-2-70b"), 4096, 4.2e6),
    "Llama 2 34B": Setup(
        plain("llama-2-34b", 48, 8192, 64, 8, 128, 22016, 32000, gated_mlp=True, norm=Norm.RMS), 4096, 4.2e6),
    "Llama 3 8B": Setup(find_model("llama-3-8b"), 8192, 8.4e6),
    "Llama 3 70B": Setup(find_model("llama-3-70b"), 8192, 16.8e6),
    "Llama 3.1 8B": Setup(find_model("llama-3-8b"), 8192, 8.4e6),
    "Llama 3.1 70B": Setup(find_model("llama-3-70b"), 8192, 16.8e6),
    "Llama 3.1 405B": Setup(find_model("llama-3-405b"), 8192, 16.8e6, 16384),  # arXiv 2407.21783, section 3.4
    "Llama 3.2 1B": Setup(find_model("llama-3.2-1b"), 8192, 8.4e6),
    "Llama 3.2 3B": Setup(find_model("llama-3.2-3b"), 8192, 8.4e6),
    "Llama 4 Scout": Setup(
        plain("llama-4-scout", 48, 5120, 40, 8, 128, 8192, 202048, gated_mlp=True, norm=Norm.RMS,
              experts=Experts(16, 1, 1, 8192, 0)), 8192, 16.8e6),
    "SmolLM3 3B main run": Setup(find_model("smollm3-3b"), 4096, 2.36e6, 384),
    "OPT-175B": Setup(find_model("opt-175b"), 2048, 2.1e6, 992),  # arXiv 2205.01068, table 1
    "BLOOM-176B": Setup(find_model("bloom-176b"), 2048, 4.2e6, 384),  # arXiv 2211.05100, table 3
    "GPT-3 175B": Setup(find_model("gpt-3-175b"), 2048, 3.2e6, 10000),  # arXiv 2005.14165, table 2.1
    "PaLM 540B": Setup(  # arXiv 2204.02311
        plain("palm", 118, 18432, 48, 1, 256, 73728, 256000, gated_mlp=True, tied_embeddings=True), 2048, 4.2e6, 6144),
    "Gopher 280B": Setup(plain("gopher", 80, 16384, 128, 128, 128, 65536, 32000), 2048, 6e6, 4096),  # arXiv 2112.11446
    "LaMDA 137B": Setup(  # arXiv 2201.08239
        plain("lamda", 64, 8192, 128, 128, 128, 65536, 32000, gated_mlp=True), 1024, 256e3, 1024),
    "GPT-NeoX-20B": Setup(plain("neox-20b", 44, 6144, 64, 64, 96, 24576, 50432), 2048, 3.15e6, 96),  # arXiv 2204.06745
    "Pythia 70M": pythia("pythia-70m", 32),
    "Pythia 160M": pythia("pythia-160m", 32),
    "Pythia 410M": pythia("pythia-410m", 32),
    "Pythia 1B": pythia("pythia-1b", 64),
    "Pythia 1.4B": pythia("pythia-1.4b", 64),
    "Pythia 2.8B": pythia("pythia-2.8b", 64),
    "Pythia 6.9B": pythia("pythia-6.9b", 128),
    "Pythia 12B": pythia("pythia-12b", 256),
    "Falcon-40B": Setup(  # arXiv 2311.16867
        plain("falcon-40b", 60, 8192, 128, 8, 64, 32768, 65024, tied_embeddings=True), 2048, 2.36e6, 384),
    "Falcon-180B": Setup(plain("falcon-180b", 80, 14848, 232, 8, 64, 59392, 65024, tied_embeddings=True), 2048, 4.2e6, 4096),
    "MPT-7B": Setup(find_model("mpt-7b"), 2048, 3.6e6, 440),
    "MPT-30B": Setup(find_model("mpt-30b"), 2048, 4.2e6, 512),
    "TinyLlama 1.1B": Setup(find_model("tinyllama-1.1b"), 2048, 2.1e6, 16),  # arXiv 2401.02385
    "StarCoder 15.5B": Setup(  # arXiv 2305.06161
        plain("starcoder", 40, 6144, 48, 1, 128, 24576, 49152, learned_positions=8192, tied_embeddings=True), 8192, 4.2e6, 512),
    "Nemotron-4 15B": Setup(  # arXiv 2402.16819
        plain("nemotron-15b", 32, 6144, 48, 8, 128, 24576, 256000), 4096, 4.7e6, 3072),
    "Nemotron-4 340B": Setup(  # arXiv 2406.11704
        plain("nemotron-340b", 96, 18432, 96, 8, 192, 73728, 256000), 4096, 9.4e6, 6144),
}  # fmt: skip
APART = {  # hours that are not those of training from scratch on the tokens listed
    "Llama 3.2 1B": "pruned and distilled", "Llama 3.2 3B": "pruned and distilled",
    "LaMDA 137B": "tokens derived from the hours", "MPT-30B": "A100 and H100 mixed, hours converted",
}  # fmt: skip
WITHOUT = {
    "DeepSeek-V3 total": "all stages", "GLaM": "experts in every other layer",
    "Llama 4 Maverick": "experts in every other layer", "Apertus 70B": "GH200 is not in the catalog",
    "GPT-4 (estimate)": "an estimate",
}  # fmt: skip


def main() -> None:
    """Print every row, and the errors."""
    if not ROWS.is_file():
        sys.exit(f"{ROWS} is absent: the published hours are not part of the repository")
    rows = compared(pd.read_csv(ROWS))
    for kind, group in rows.groupby("kind"):
        print(f"\n{kind}: {len(group)} runs, median error {group['error'].abs().median():.1%}\n")
        print(
            "| run | chip | count | published hours | modelled | error | fastest layout |\n|---|---|---|---|---|---|---|"
        )
        for row in group.sort_values("error").itertuples():
            print(f"| {row.run}{'*' if row.confidence == 'from-memory' else ''} | {row.chip} | {row.count_} "
                  f"| {row.published:,.0f} | {row.modelled:,.0f} | {row.error:+.0%} | {row.layout} |")  # fmt: skip
    dense = rows[rows["kind"] == "dense"]
    logs = np.log(dense["factor"])
    print(
        f"\nproduction factor {np.exp(logs.mean()):.3f}, sd of logs {logs.std():.3f}; in use {PRODUCTION}, {PRODUCTION_SPREAD}"
    )
    print("not comparable: " + "; ".join(f"{name} ({why})" for name, why in APART.items()))
    print("left out: " + "; ".join(f"{name} ({why})" for name, why in WITHOUT.items()))


def compared(published: pd.DataFrame) -> pd.DataFrame:
    """Published and modelled hours; `factor` is modelled without a production factor over published."""
    with_hours = published[published["gpu_hours"].notna() & published["tokens"].notna()]
    found = [_row(row) for _, row in with_hours.iterrows() if row["model"] in SETUPS]
    rows = pd.DataFrame(found)
    rows.loc[rows["run"].isin(list(APART)), "kind"] = "not comparable"
    dense = rows["kind"] == "dense"
    logs = np.log(rows["factor"])
    others = np.exp([logs[dense & (rows.index != index)].mean() for index in rows.index])
    rows["modelled"] = (rows["ideal"] / others).round(-2)
    rows["error"] = (rows["modelled"] / rows["published"] - 1).round(3)
    return rows.drop(columns="ideal")


def kernel_of(date: str) -> AttentionKernel:
    """The attention kernel of the day, half a year after its paper."""
    if date < "2023-01":
        return AttentionKernel.UNFUSED
    if date < "2024-01":
        return AttentionKernel.FLASH_1
    return AttentionKernel.FLASH_2 if date < "2025-01" else AttentionKernel.FLASH_3


def _row(row: pd.Series) -> dict[str, object]:
    setup, chip = SETUPS[row["model"]], find_accelerator(CHIPS[row["gpu_type"]])
    count = setup.count or UNKNOWN_COUNT
    cluster = Cluster(chip, count, setup.precision, kernel_of(str(row["date"])))
    fastest = fastest_layout(setup.model, cluster, setup.batch_tokens, setup.context_length)
    steps = row["tokens"] / fastest.batch_tokens
    ideal = steps * fastest.seconds * count / 3600 / Reliability().goodput(count)
    return {
        "run": row["model"], "confidence": row["confidence"],
        "kind": "mixture of experts" if setup.model.experts else "dense", "chip": chip.name,
        "count_": f"{count}" if setup.count else f"{count}?", "published": row["gpu_hours"], "ideal": ideal,
        "factor": round(ideal / row["gpu_hours"], 3), "layout": str(fastest.layout),
    }  # fmt: skip


if __name__ == "__main__":
    main()
