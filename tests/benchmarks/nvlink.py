"""Does an H800's NVLink (200 GB/s one way) hold training back against an H100's (450)?

    python tests/benchmarks/nvlink.py

Same model, batch, layout and network cards; the step of 8-way tensor parallelism, of FSDP and of a pipeline on both chips by
the step-time model, and the fastest layout of each. Tensor and pipeline parts of the model are not validated by data.
"""

from __future__ import annotations

from planner.costs.accelerators import find_accelerator
from planner.costs.layout import Layout, layouts_of
from planner.costs.memory import memory_of
from planner.costs.search import Cluster, fastest_layout
from planner.costs.step import step_of
from planner.costs.workload import workload_of
from planner.models.catalog import find_model
from planner.models.flops import Recomputation

FULL, SELECTIVE = Recomputation.FULL, Recomputation.SELECTIVE
CONTEXT, BATCH = 4096, 1024  # tokens, sequences
CASES = [
    ("8-way tensor parallel, one node", "llama-3-8b", 8, Layout(8, 1, 1, 1, 1, 1, 1, 1, SELECTIVE), 64),
    ("8-way tensor parallel", "llama-3-8b", 256, Layout(8, 1, 1, 32, 1, 1, 1, 1, SELECTIVE), BATCH),
    ("8-way tensor parallel, pipeline", "llama-3-70b", 512, Layout(8, 4, 1, 16, 1, 1, 1, 1, SELECTIVE), BATCH),
    ("FSDP, one node", "llama-3-8b", 8, Layout(1, 1, 1, 8, 1, 3, 1, 1, FULL), 64),
    ("FSDP", "llama-3-8b", 256, Layout(1, 1, 1, 256, 1, 3, 2, 1, FULL), BATCH),
    ("pipeline, no tensor parallelism", "llama-3-70b", 512, Layout(1, 16, 1, 32, 1, 1, 1, 1, FULL), BATCH),
    ("pipeline and experts", "deepseek-v3", 2048, Layout(1, 16, 1, 128, 8, 1, 1, 1, FULL), 15360),
]


def main() -> None:
    """Print both tables."""
    print(f"{'layout':34}{'model':14}{'chips':>6}{'H100 s':>9}{'H800 s':>9}{'slower':>8}")
    for name, model, count, layout, batch in CASES:
        seconds = [step(model, layout, batch, chip) for chip in ("h100", "h800")]
        print(f"{name:34}{model:14}{count:>6}{seconds[0]:>9.3f}{seconds[1]:>9.3f}{seconds[1] / seconds[0] - 1:>8.1%}")
    print("\nthe fastest layout of each")
    for model, count, batch in (("llama-3-8b", 256, BATCH), ("llama-3-70b", 512, BATCH), ("deepseek-v3", 2048, 15360)):
        best = [fastest_layout(find_model(model), Cluster(find_accelerator(chip), count), batch * CONTEXT, CONTEXT)
                for chip in ("h100", "h800")]  # fmt: skip
        print(f"{model} on {count}: {best[1].seconds / best[0].seconds - 1:.1%} slower "
              f"(H100: {best[0].layout}; H800: {best[1].layout})")  # fmt: skip


def step(model: str, layout: Layout, batch: int, chip_name: str) -> float:
    """Seconds of a step; the layout must fit."""
    work, chip, layouts = workload_of(find_model(model), CONTEXT), find_accelerator(chip_name), layouts_of([layout])
    assert bool(memory_of(work, layouts).fits(chip)[0]), (model, layout)
    passes = batch / (layout.data * layout.micro_batch)
    return float(step_of(work, chip, layouts).seconds(passes)[0])


if __name__ == "__main__":
    main()
