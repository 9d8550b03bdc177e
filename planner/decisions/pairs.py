"""From a table of runs to the pairs of an idea and its baseline."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from planner.errors import InputError
from planner.laws.centre import Array
from planner.runs.columns import BASELINE, Count
from planner.runs.read import RunTable
from planner.runs.rows import finished_rows, require_positive, require_unmixed

Ints = NDArray[np.int64]

ANOTHER = re.compile(r"(?i)[\s_-]*base[\s_-]*line[\s_-]*(v?\d*|old|new|control)")  # a name that says "baseline" too
RECIPE = ("group", "optimizer", "schedule", "precision")  # columns in which runs of one baseline agree


@dataclass(frozen=True)
class Pairs:
    """Runs of one idea beside the baseline's runs of the same params, tokens and seed; arrays `(n_pairs,)`.

    Ideas share a baseline run where params, tokens and `seed` agree; where no seeds are given, where its loss does.
    """

    variant: str
    params: Array
    tokens: Array
    loss: Array
    baseline_loss: Array
    expected_gain: float | None = None
    seed: Array | None = None


@dataclass(frozen=True)
class Arms:
    """Finished runs of the baseline (arm 0) and of variants; arrays `(n_runs,)`, raw counts.

    Runs with the same `pair` number share size, tokens and seed. `parts` gives for every arm the arms that it combines:
    `(1, 2)` for "a+b", nothing for a single idea.
    """

    names: tuple[str, ...]
    arm: Ints
    pair: Ints
    params: Array
    tokens: Array
    loss: Array
    parts: tuple[tuple[int, ...], ...]
    expected: tuple[float | None, ...]

    @property
    def log_flops(self) -> Array:
        """ln training FLOPs (6 x params x tokens)."""
        return np.asarray(np.log(6 * self.params * self.tokens))

    def at(self, keep: NDArray[np.bool_]) -> Arms:
        """Some of the runs; all the arms."""
        columns = ("arm", "pair", "params", "tokens", "loss")
        return replace(self, **{name: getattr(self, name)[keep] for name in columns})


@dataclass(frozen=True)
class Paired:
    """The pairs of each idea, and the ideas none of whose finished runs has a baseline run beside it."""

    pairs: list[Pairs]
    untested: list[str]


def pairs_of(table: RunTable, count: Count, expected: Mapping[str, float | None] | None = None) -> Paired:
    """One Pairs per variant of the finished runs; a pair shares `count`, tokens and seed.

    `expected` gives the gains that authors of ideas expect. Raises InputError for a missing column, mixed losses, a
    number that is not positive, no baseline at all, two baselines, or two runs of one variant with the same size, tokens
    and seed.
    """
    frame, key = _finished(table, count), [str(count), "tokens", "seed"]
    baseline = frame[frame["variant"] == BASELINE]
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
                seed=both["seed"].to_numpy(float),
            )
        )
    return paired


def arms_of(table: RunTable, count: Count, expected: Mapping[str, float | None] | None = None) -> Arms:
    """All finished runs of the baseline and of variants, also those with no run of the other beside them.

    Refuses what `pairs_of` refuses.
    """
    frame = _finished(table, count)
    names = (BASELINE, *sorted(set(frame["variant"]) - {BASELINE}))
    place = {name: number for number, name in enumerate(names)}
    return Arms(
        names=names,
        arm=frame["variant"].map(place).to_numpy(np.int64),
        pair=frame.groupby([str(count), "tokens", "seed"], sort=True).ngroup().to_numpy().astype(np.int64),
        params=frame[str(count)].to_numpy(float),
        tokens=frame["tokens"].to_numpy(float),
        loss=frame["loss"].to_numpy(float),
        parts=parts_of(names),
        expected=tuple((expected or {}).get(name) for name in names),
    )


def arms_of_pairs(ideas: Sequence[Pairs]) -> Arms:
    """The runs of paired ideas, each baseline run once."""
    pair_of: dict[tuple[float, ...], int] = {}
    rows: list[tuple[int, int, float, float, float]] = []
    for arm, idea in enumerate(ideas, start=1):
        times: Counter[tuple[float, float, float]] = Counter()
        known = idea.baseline_loss if idea.seed is None else idea.seed
        columns = (idea.params, idea.tokens, known, idea.loss, idea.baseline_loss)
        for params, tokens, mark, loss, base in zip(*(column.tolist() for column in columns), strict=True):
            key = (params, tokens, mark, times[params, tokens, mark])  # equal losses in one idea are runs of their own
            times[params, tokens, mark] += 1
            if key not in pair_of:
                pair_of[key] = len(pair_of)
                rows.append((0, pair_of[key], params, tokens, base))
            rows.append((arm, pair_of[key], params, tokens, loss))
    arm_, pair, params_, tokens_, loss_ = (np.array(column) for column in zip(*rows, strict=True))
    names = (BASELINE, *(idea.variant for idea in ideas))
    expected = (None, *(idea.expected_gain for idea in ideas))
    return Arms(names, arm_, pair, params_, tokens_, loss_, parts_of(names), expected)


def parts_of(names: Sequence[str]) -> tuple[tuple[int, ...], ...]:
    """For each arm the arms that its name combines: "a+b" where both "a" and "b" were tested alone."""
    place = {name: number for number, name in enumerate(names) if number}

    def parts(name: str) -> tuple[int, ...]:
        pieces = [piece.strip() for piece in name.split("+")]
        return tuple(place[piece] for piece in pieces) if len(pieces) > 1 and all(p in place for p in pieces) else ()

    return tuple(parts(name) for name in names)


def _finished(table: RunTable, count: Count) -> pd.DataFrame:
    """The finished rows of one baseline and its variants, checked."""
    key = [str(count), "tokens", "seed"]
    for name in ("variant", "loss", *key):
        if name not in table.frame:
            raise InputError(f"{table.source}: no column {name!r}", f"name it: --column theirs={name}")
    frame, _ = finished_rows(table, table.frame, variants=True)
    require_unmixed(table, frame)
    for name in (str(count), "tokens", "loss"):
        require_positive(table, frame, name)
    _require_one_baseline(table, frame)
    twice = frame[frame.duplicated(["variant", *key])]
    if not twice.empty:
        row = twice.iloc[0]
        raise InputError(
            f"{table.source}: line {int(row['line'])}: two runs of {row['variant']!r} share size, tokens and seed",
            "keep one study with --where study=ideas, or give each run its own seed",
        )
    return frame


def _require_one_baseline(table: RunTable, frame: pd.DataFrame) -> None:
    baseline = frame[frame["variant"] == BASELINE]
    if baseline.empty:
        raise InputError(
            f"{table.source}: no finished baseline run to compare ideas with", f"mark its rows: variant = {BASELINE}"
        )
    alike = sorted(name for name in set(frame["variant"].astype(str)) - {BASELINE} if ANOTHER.fullmatch(name))
    if alike:
        raise InputError(
            f"{table.source}: two baselines: {BASELINE!r} and {alike[0]!r}",
            f"name one of them {BASELINE} and the other after what differs in it, or leave it out: --where variant!={alike[0]}",
        )
    for name in RECIPE:
        if name in baseline and baseline[name].nunique() > 1:
            listed = ", ".join(map(repr, sorted(baseline[name].dropna().astype(str).unique())[:3]))
            raise InputError(
                f"{table.source}: two baselines: its runs differ in {name}: {listed}", f"keep one: --where {name}=..."
            )
