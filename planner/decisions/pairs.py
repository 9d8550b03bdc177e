"""From a table of runs to the pairs of an idea and its baseline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from planner.decisions.gains import Pairs
from planner.errors import InputError
from planner.runs.columns import BASELINE, Count
from planner.runs.read import RunTable
from planner.runs.sample import finished_rows, require_positive, require_unmixed


@dataclass(frozen=True)
class Paired:
    """The pairs of each idea, and the ideas none of whose finished runs has a baseline run beside it."""

    pairs: list[Pairs]
    untested: list[str]


def pairs_of(table: RunTable, count: Count, expected: Mapping[str, float | None] | None = None) -> Paired:
    """One Pairs per variant of the finished runs; a pair shares `count`, tokens and seed.

    `expected` gives the gains that authors of ideas expect. Raises InputError for a missing column, mixed losses, a
    number that is not positive, no baseline at all, or two runs of one variant with the same size, tokens and seed.
    """
    key = [str(count), "tokens", "seed"]
    for name in ("variant", "loss", *key):
        if name not in table.frame:
            raise InputError(f"{table.source}: no column {name!r}", f"name it: --column theirs={name}")
    frame, _ = finished_rows(table, table.frame, variants=True)
    require_unmixed(table, frame)
    for name in (str(count), "tokens", "loss"):
        require_positive(table, frame, name)
    twice = frame[frame.duplicated(["variant", *key])]
    if not twice.empty:
        row = twice.iloc[0]
        raise InputError(
            f"{table.source}: line {int(row['line'])}: two runs of {row['variant']!r} share size, tokens and seed",
            "keep one study with --where study=ideas, or give each run its own seed",
        )
    baseline = frame[frame["variant"] == BASELINE]
    if baseline.empty:
        raise InputError(
            f"{table.source}: no finished baseline run to compare ideas with", f"mark its rows: variant = {BASELINE}"
        )
    paired = Paired([], sorted(set(table.frame["variant"]) - set(frame["variant"]) - {BASELINE}))
    for variant, rows in frame[frame["variant"] != BASELINE].groupby("variant", sort=True):
        both = rows.merge(baseline[[*key, "loss"]], on=key, suffixes=("", "_baseline"))
        if both.empty:
            paired.untested.append(str(variant))
            continue
        paired.pairs.append(
            Pairs(
                variant=str(variant),
                params=both[str(count)].to_numpy(float),
                tokens=both["tokens"].to_numpy(float),
                loss=both["loss"].to_numpy(float),
                baseline_loss=both["loss_baseline"].to_numpy(float),
                expected_gain=(expected or {}).get(str(variant)),
            )
        )
    return paired
