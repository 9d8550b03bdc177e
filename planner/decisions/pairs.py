"""From a table of runs to the pairs of an idea and its baseline."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from planner.decisions.gains import Pairs
from planner.errors import InputError
from planner.runs.columns import BASELINE, Count, Status


def pairs_of(frame: pd.DataFrame, count: Count, expected: Mapping[str, float | None] | None = None) -> list[Pairs]:
    """One Pairs per variant of the finished runs; a pair shares `count`, tokens and seed.

    `expected` gives the gains that authors of ideas expect. Raises InputError without a baseline, with two baseline
    runs for one pair, or for an idea none of whose runs has a partner.
    """
    key = [str(count), "tokens", "seed"]
    finished = frame[frame["status"] == Status.COMPLETED] if "status" in frame else frame
    baseline = finished[finished["variant"] == BASELINE]
    if baseline.empty:
        raise InputError("no finished baseline run to compare ideas with", f"mark its rows: variant = {BASELINE}")
    if baseline.duplicated(key).any():
        raise InputError(
            "two baseline runs share size, tokens and seed",
            "keep one study with --where study=ideas, or give each run its own seed",
        )
    pairs = []
    for name, rows in finished[finished["variant"] != BASELINE].groupby("variant", sort=True):
        both = rows.merge(baseline[[*key, "loss"]], on=key, suffixes=("", "_baseline"))
        if both.empty:
            raise InputError(
                f"idea {name!r} has no run beside a baseline run",
                "run the baseline with the same size, tokens and seed",
            )
        numbers = {column: both[column].to_numpy(float) for column in (str(count), "tokens", "loss", "loss_baseline")}
        pairs.append(
            Pairs(
                variant=str(name),
                params=numbers[str(count)],
                tokens=numbers["tokens"],
                loss=numbers["loss"],
                baseline_loss=numbers["loss_baseline"],
                expected_gain=(expected or {}).get(str(name)),
            )
        )
    return pairs
