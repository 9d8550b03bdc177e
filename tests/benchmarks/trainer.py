"""How near the local trainer comes to the machine: FLOPs by the exact rule a second, over the float32 rate of matrix products.

    OMP_NUM_THREADS=1 python tests/benchmarks/trainer.py [--jobs N] [--seconds 8]

Target: at least 40 % for models of 1M to 10M parameters, with one process of one thread on every core. The rate is
measured in the same processes on products of the model's own sizes (tokens of one pass by d_model by the widths of its
matrices, forward and both backward products), weighed by their FLOPs; a step has attention, norms, softmax and AdamW beside
them. Each figure is the best of many short measurements, since other work on the machine only ever slows one down; the
median is printed too. The roofline: the rate of the largest product, and the bytes a step moves at least.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import statistics
import time
from collections.abc import Callable

import torch

from planner.engines.cores import cores
from planner.lab.local.model import Decoder
from planner.lab.local.numerics import Numerics
from planner.lab.local.optimizer import adamw, step
from planner.models.architecture import Architecture
from planner.models.flops import FlopsRule, flops_per_token
from planner.models.parameters import count_parameters

TARGET = 0.40
CONTEXT, SEQUENCES = 256, 32
SHAPES = (
    (16, 2, 2),
    (32, 3, 2),
    (64, 4, 4),
    (128, 5, 4),
    (192, 6, 6),
    (256, 6, 4),
    (384, 6, 6),
)  # d_model, layers, heads


def shape(d_model: int, n_layers: int, heads: int) -> Architecture:
    return Architecture(
        "m", "f", n_layers, d_model, heads, heads, d_model // heads, max(16, round(d_model / 6) * 16), 256
    )


def product_round(model: Architecture, tokens: int) -> Callable[[], float]:
    """FLOP/s of one round over the model's matrix products, forward and both backward ones."""
    d = model.d_model
    widths = [(d, 3 * d, model.n_layers), (d, d, model.n_layers), (d, 2 * model.d_ff, model.n_layers),
              (model.d_ff, d, model.n_layers), (d, 256, 1)]  # fmt: skip
    operands = [(torch.randn(tokens, k), torch.randn(m, k), torch.randn(tokens, m), times) for k, m, times in widths]
    flops = sum(6.0 * tokens * k * m * times for k, m, times in widths)

    def one() -> float:
        spent = 0.0
        for x, weight, gradient, times in operands:
            began = time.perf_counter()
            x @ weight.T
            gradient @ weight
            gradient.T @ x
            spent += times * (time.perf_counter() - began)
        return flops / spent

    return one


def training_step(model: Architecture) -> Callable[[], float]:
    """FLOP/s of one whole training step by the exact rule."""
    decoder = Decoder(model, context_length=CONTEXT, seed=0)
    optimizer = adamw(decoder, 0.1)
    text = torch.randint(256, (SEQUENCES, CONTEXT + 1))
    flops = flops_per_token(model, FlopsRule.EXACT, CONTEXT) * SEQUENCES * CONTEXT

    def one() -> float:
        began = time.perf_counter()
        step(
            decoder,
            optimizer,
            text,
            rate=1e-3,
            at_once=Numerics().sequences_at_once(model.d_model, CONTEXT),
            cast=contextlib.nullcontext(),
        )
        return flops / (time.perf_counter() - began)

    return one


def one(sizes: tuple[int, int, int], seconds: float) -> tuple[float, float, float, float]:
    """Best and median rate of products, then of steps; one after the other in turn, so that a disturbance hits both."""
    torch.set_num_threads(1)
    model = shape(*sizes)
    product, trained = (
        product_round(model, min(SEQUENCES, Numerics().sequences_at_once(model.d_model, CONTEXT)) * CONTEXT),
        training_step(model),
    )
    product(), trained()
    products, steps = [], []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(steps) < 5:
        products += [product(), product()]
        steps.append(trained())
    return max(products), statistics.median(products), max(steps), statistics.median(steps)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, default=cores())
    parser.add_argument("--seconds", type=float, default=8.0, help="per model")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{asked.jobs} processes of one thread; rates are sums over them, best (median), GFLOP/s")
    print(f"{'params':>12} {'matmul':>15} {'training':>15} {'achieved':>9}  bytes moved a step at least")
    with multiprocessing.get_context("spawn").Pool(asked.jobs) as pool:
        for sizes in SHAPES:
            model = shape(*sizes)
            found = pool.starmap(one, [(sizes, asked.seconds)] * asked.jobs, chunksize=1)
            product, product_median, trained, trained_median = (sum(part) / 1e9 for part in zip(*found, strict=True))
            params = count_parameters(model).total
            judged = ("  met" if trained / product >= TARGET else "  MISSED") if 1e6 <= params <= 11e6 else ""
            moved = 4 * (params * (3 * SEQUENCES // min(SEQUENCES, Numerics().sequences_at_once(model.d_model, CONTEXT)) + 7)
                         + 30 * model.n_layers * model.d_model * SEQUENCES * CONTEXT)  # fmt: skip
            print(f"{params:>12,} {product:7.1f} ({product_median:5.1f}) {trained:7.1f} ({trained_median:5.1f}) "
                  f"{trained / product:8.0%}{judged}  {moved / 1e6:,.0f} MB", flush=True)  # fmt: skip
    big = torch.randn(1024, 1024)
    peak = max(_timed(big) for _ in range(20))
    print(
        f"roofline: {peak / 1e9:.0f} GFLOP/s for a product of 1024 x 1024 on one thread; target {TARGET:.0%} of matmul"
    )


def _timed(matrix: torch.Tensor) -> float:
    began = time.perf_counter()
    matrix @ matrix
    return 2.0 * matrix.shape[0] ** 3 / (time.perf_counter() - began)


if __name__ == "__main__":
    main()
