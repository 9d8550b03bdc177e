"""Engines: speed-up of `planner assess` from 1 to 2 workers, what handing over a chunk costs, and what 64 machines would give.

    OMP_NUM_THREADS=1 python tests/benchmarks/engines.py [worlds] [dask://host:port]

With W workers the time is  T(W) = s + o n + c n / W : s seconds that only the client computes (measured: everything but the
chunks), n chunks of c seconds each (measured, in one process), o seconds that a chunk costs the client and the scheduler (measured
with chunks that do nothing). Amdahl's law, with the handing over as a part that does not shrink.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import numpy as np

from planner.assess.assessment import assess_plan
from planner.engines import opened
from planner.sweep.spec import read_sweep

SWEEP = Path(__file__).resolve().parents[2] / "sweeps" / "deepseek_v3.toml"
MACHINES, CORES = 64, 16
EMPTY = 300  # chunks that do nothing


def nothing(item: object) -> None:
    """A chunk of no work, as large as assess sends."""


class Timed:
    """One process that notes what its chunks take, and the largest batch of them."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.item: object = None

    def __call__(self, job, items):
        for item in items:
            began = time.perf_counter()
            result = job(item)
            self.seconds.append(time.perf_counter() - began)
            self.item = item
            yield result


def seconds_of(engine, worlds: int) -> float:
    """Seconds of one whole assessment."""
    began = time.perf_counter()
    assess_plan(read_sweep(SWEEP), worlds=worlds, engine=engine)
    return time.perf_counter() - began


def overhead(engine, item: object) -> float:
    """Seconds that a chunk of no work takes, the first ones left out."""
    list(engine(nothing, [item] * 20))
    began = time.perf_counter()
    list(engine(nothing, [item] * EMPTY))
    return (time.perf_counter() - began) / EMPTY


def main() -> None:
    worlds = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    print(f"deepseek_v3, {worlds} worlds of each kind; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores before")
    timed = Timed()
    began = time.process_time()
    one = seconds_of(timed, worlds)
    share = (time.process_time() - began) / one
    n, c = len(timed.seconds), float(np.mean(timed.seconds))
    serial = one - sum(timed.seconds)
    print(
        f"one process    {one:6.1f} s: {n} chunks of {c:.3f} s (median {np.median(timed.seconds):.3f}), {serial:.2f} s besides"
    )
    if share < 0.95:
        print(f"DISTURBED: this process had {share:.0%} of a core, so no ratio below says anything about the engines")
    with opened("processes:2") as engine:
        two = seconds_of(engine, worlds)
    print(f"2 processes    {two:6.1f} s: {one / two:.2f} times (Amdahl: {one / (serial + (one - serial) / 2):.2f})")
    if len(sys.argv) > 2:
        with opened(sys.argv[2]) as engine:
            dask = seconds_of(engine, worlds)
            o = overhead(engine, timed.item)
        print(f"{sys.argv[2]}, 2 workers {dask:6.1f} s: {one / dask:.2f} times")
        print(f"handing over   {1000 * o:.2f} ms a chunk with Dask: {o / c:.2%} of its work (target 1 %)")
        for worlds_wanted in (worlds, 100 * worlds):
            many = n * worlds_wanted / worlds
            alone, workers = serial + c * many, min(MACHINES * CORES, int(many))
            each = {w: serial + o * many + c * many / min(w, many) for w in (MACHINES, workers)}
            said = ", ".join(f"{w} workers {t:.1f} s ({alone / t:.0f} times)" for w, t in each.items())
            print(f"computed, {worlds_wanted:,} worlds: one worker {alone:.0f} s; {said}")
    print(f"load {os.getloadavg()[0]:.1f} after")


if __name__ == "__main__":
    main()
