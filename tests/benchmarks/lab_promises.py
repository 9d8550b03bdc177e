"""Do the decisions keep their promises in the simulated DeepSeek-V3 lab? Intervals against its hidden truth, over seeds.

    python tests/benchmarks/lab_promises.py [seeds]

Each seed is a world of its own and one whole chain of sweeps/deepseek_v3.toml in a temporary folder: plan, simulated
training with broken runs, fit, registered forecast, decisions. The truth is read only after the decisions are written.
The lab's law has the form that is fitted and its ideas come from the pool that the decisions assume: this is a check of
the method, not of those assumptions.
"""

from __future__ import annotations

import math
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from planner import store
from planner.cli.chain import run_chain
from planner.cli.propose import read
from planner.decisions.allocation import flops_at, flops_for
from planner.fitting.saved import fit_from_record
from planner.laws import find_law
from planner.laws.law import Law
from planner.sweep.plan import propose

SWEEP = Path(__file__).resolve().parents[2] / "sweeps/deepseek_v3.toml"
SEEDS = 50
BINS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


class Promise(NamedTuple):
    """One interval in one world, in logs: what was said and what is true."""

    of: str
    estimate: float
    low: float
    high: float
    truth: float


class World(NamedTuple):
    """Everything one seed tells."""

    promises: list[Promise]
    ideas: pd.DataFrame
    waste: float


def in_world(seed: int) -> World:
    """One chain, then its truth."""
    with tempfile.TemporaryDirectory() as place:
        question = read(str(SWEEP), seed)
        folder = store.Folder(Path(place) / "results", "run", {"sweep": question.sha256}, seed=seed)
        plan = propose(question)
        run_chain(plan, folder, lambda step: None)
        read_back = {
            name: store.read_json(folder.path / name)
            for name in (store.CHOICES, store.FIT, store.FORECAST, store.SCORE, store.TRUTH)
        }
    fit = fit_from_record(read_back[store.FIT], store.FIT)
    truth, choices = read_back[store.TRUTH], read_back[store.CHOICES]
    law: Law = find_law(truth["law"])(**truth["world"]["law"])
    flops = plan.setting.final.flops
    split = choices["allocation"]
    best = law.optimum(flops)
    needed = flops_for(fit, loss=split["loss"])
    forecast = read_back[store.FORECAST]["prediction"]
    at_choice = float(law(split["params"], split["tokens"]))
    promises = [
        _promise("allocate: best size", split["params"], split["intervals"]["params"], best.params),
        _promise("allocate: best tokens", split["tokens"], split["intervals"]["tokens"], best.tokens),
        _promise("allocate: loss at its split", split["loss"], split["intervals"]["loss"], at_choice),
        _promise("allocate --loss: compute", needed.flops, needed.interval, flops_at(law, split["loss"])),
        _promise("forecast: one new run", forecast["loss"], forecast["interval_run"], truth["final_loss"]),
    ]
    ideas = _ideas(choices["ideas"], truth, seed)
    for row in ideas.itertuples():
        promises.append(Promise("compare: gain at the target", row.gain, row.low, row.high, row.truth))
        promises.append(
            Promise("compare: gain where tested", row.tested, row.tested_low, row.tested_high, row.truth_tested)
        )
    return World(promises, ideas, 1 - flops_at(law, at_choice) / flops)


def _promise(of: str, value: float, interval: tuple[float, float], truth: float) -> Promise:
    low, high = (math.log(edge) if edge > 0 else -math.inf for edge in interval)
    return Promise(of, math.log(value), low, high, math.log(truth))


def _ideas(found: list[dict], truth: dict, seed: int) -> pd.DataFrame:
    """ln gains, said and true; the true ones where tested follow the lab's own drift."""
    rows = []
    for idea in found:
        level, drift = truth["world"]["gains"][idea["variant"]]
        tested = level + drift * math.log(idea["flops_tested"] / truth["world"]["smallest_flops"])
        rows.append({
            "seed": seed, "variant": idea["variant"], "decision": idea["decision"], "probability": idea["probability"],
            "gain": math.log(idea["gain"]), "low": math.log(idea["interval"][0]), "high": math.log(idea["interval"][1]),
            "tested": math.log(idea["gain_tested"]), "tested_low": math.log(idea["interval_tested"][0]),
            "tested_high": math.log(idea["interval_tested"][1]), "face": math.log(idea.get("gain_face", math.nan)),
            "truth": truth["final_log_gains"][idea["variant"]], "truth_tested": tested,
        })  # fmt: skip
    return pd.DataFrame(rows)


def coverage_table(worlds: list[World]) -> pd.DataFrame:
    """How often 90 % intervals held, with the standard error over worlds, their width, and the error of the estimate."""
    rows = []
    for of in dict.fromkeys(promise.of for world in worlds for promise in world.promises):
        mine = [np.array([p[1:] for p in world.promises if p.of == of]) for world in worlds]
        held = np.array([((p[:, 1] <= p[:, 3]) & (p[:, 3] <= p[:, 2])).mean() for p in mine])
        every = np.concatenate(mine)
        error = every[:, 0] - every[:, 3]
        finite = np.isfinite(every[:, 2])
        rows.append({
            "promise": of, "n": len(every), "held": held.mean(), "+-": held.std() / math.sqrt(held.size),
            "median width of ln": np.median(every[:, 2] - every[:, 1]), "bias of ln": error[finite].mean(),
            "sd of ln error": error[finite].std(),
        })  # fmt: skip
    return pd.DataFrame(rows)


def main() -> None:
    """The tables."""
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else SEEDS
    with ProcessPoolExecutor(2) as pool:
        worlds = list(pool.map(in_world, range(seeds)))
    ideas = pd.concat([world.ideas for world in worlds])
    print(f"{seeds} worlds, nominal coverage 90 %\n{coverage_table(worlds).round(3).to_string(index=False)}")
    told = ideas.groupby("decision").agg(
        ideas=("truth", "size"), helping=("truth", lambda t: (t > 0).mean()), mean_ln_gain=("truth", "mean")
    )
    print(f"\nverdicts, and what is true at the final run\n{told.round(3).to_string()}")
    promoted = ideas["decision"] == "promote"
    harmful = ideas["truth"] < 0
    kept = ideas.loc[promoted, "truth"].sum() / ideas.loc[~harmful, "truth"].sum()
    print(
        f"gain kept {kept:.0%} of all gain there is; {(promoted & harmful).sum() / harmful.sum():.3f} of harmful ideas promoted"
    )
    bins = pd.cut(ideas["probability"], BINS, include_lowest=True)
    calibrated = ideas.groupby(bins, observed=True).agg(
        ideas=("truth", "size"), said=("probability", "mean"), true=("truth", lambda t: (t > 0).mean())
    )
    print(f"\nprobability of helping\n{calibrated.round(3).to_string()}")
    best = ideas.sort_values("gain").groupby("seed").tail(1)
    face = ideas.sort_values("face").groupby("seed").tail(1)
    print("\nthe best idea of each world, ln gain at the final run")
    for told, rows, column in (("shrunk", best, "gain"), ("face value", face, "face")):
        print(f"  {told}: said {rows[column].mean():.3f}, true {rows['truth'].mean():.3f}")
    waste = np.array([world.waste for world in worlds])
    print(f"compute wasted by the chosen split: mean {waste.mean():.2%}, 90th percentile {np.quantile(waste, 0.9):.2%}")


if __name__ == "__main__":
    main()
