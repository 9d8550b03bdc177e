"""`planner launch --on simulated`."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from planner.cli.launch_local import Asked, finish
from planner.cli.launched import record, show
from planner.cli.output import show_json

if TYPE_CHECKING:
    import pandas as pd

    from planner.lab.world import World
    from planner.sweep.file.tables import Lab


def launch_simulated(asked: Asked, frame: pd.DataFrame, *, sweep: str | None, seed: int) -> None:
    """Write what a real launch would, in seconds."""
    from planner import store
    from planner.lab.launch import ordered
    from planner.lab.simulated_launch import simulate

    world, lab, digest = _lab(frame, sweep, seed)
    folder = store.Folder(asked.places.folder, "launch", {"on": "simulated", "sweep": digest}, seed=world.seed)
    folder.check()
    order = ordered(asked.rows, asked.places, asked.limit_runs)
    print(f"{len(order.rows):,} runs to simulate, {len(order.skipped):,} skipped", file=sys.stderr)
    launched = None
    if not asked.dry_run:
        folder.start()
        launched = simulate(frame.drop(columns="line"), order, world, lab, asked.places)
        os.sync()
        finish(folder, asked.places, launched)
    if asked.json:
        show_json(record(order, launched, asked.places))
    elif launched is not None:
        show(launched, asked.places, asked.plan)


def _lab(frame: pd.DataFrame, sweep: str | None, seed: int) -> tuple[World, Lab, str]:
    """The world and its failures: the sweep's, else the usual ones with the plan's ideas, whose gains nobody expects."""
    from planner.errors import InputError
    from planner.lab.world import draw_world
    from planner.runs.columns import BASELINE
    from planner.sweep.file.tables import Lab
    from planner.sweep.spec import read_sweep

    for name in ("flops", "variant"):
        if name not in frame:
            raise InputError(f"the plan has no column {name!r}", "give the plan that `planner propose` wrote")
    smallest = float(frame["flops"].min())
    if sweep is None:
        names = [name for name in dict.fromkeys(frame["variant"].dropna().astype(str)) if name != BASELINE]
        lab = Lab()
        return draw_world(seed, [(name, None) for name in names], noise=lab.noise, smallest_flops=smallest), lab, ""
    read = read_sweep(sweep)
    lab, ideas = read.file.lab, [(idea.name, idea.expected_gain) for idea in read.file.idea]
    return draw_world(read.file.seed, ideas, noise=lab.noise, smallest_flops=smallest), lab, read.sha256
