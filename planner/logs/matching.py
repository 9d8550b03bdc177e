"""Which logged run stands for which planned one, by what they trained; and where a logged run is not as planned."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from planner.runs.columns import Status

NEAR = 0.01  # of a number: logs round sizes, rates and tokens
SIZES = ("params_active", "params_total", "params_non_embedding", "params_active_non_embedding")
EXACT = ("seed", "n_layers", "d_model", "n_heads", "vocab_size", "n_experts", "context_length")
RATES = ("lr_peak", "batch_tokens", "weight_decay")
TEXTS = ("study", "variant")
LEAST = 3  # numbers that must agree: a size, tokens or rates


@dataclass(frozen=True)
class Difference:
    """A setting of a logged run that is not the planned one."""

    run_id: str
    column: str
    planned: float | str
    logged: float | str


@dataclass(frozen=True)
class Matched:
    """Logged run ids by the planned ones that they stand for; notes on runs that fit several."""

    pairs: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def matched_by_content(seen: pd.DataFrame, plan: pd.DataFrame) -> Matched:
    """Logged runs without a planned id, paired with the one planned run that agrees in every column both have.

    Numbers agree within 1 %, seeds and shapes exactly; tokens are compared for completed runs, or as they were meant to be.
    A size and two more numbers must agree. A run that fits several planned ones, or is one of several that fit the same, is
    left alone.
    """
    free = plan[~plan["run_id"].isin(seen["run_id"])]
    loose = seen[~seen["run_id"].isin(plan["run_id"])]
    if not len(free) or not len(loose):
        return Matched()
    columns = {
        name: pd.to_numeric(free[name], errors="coerce").to_numpy(float)
        for name in (*SIZES, *EXACT, *RATES, "tokens")
        if name in free
    }
    texts = {name: free[name].fillna("").astype(str).to_numpy() for name in TEXTS if name in free}
    ids = free["run_id"].to_numpy()
    fits: dict[str, list[str]] = {}
    for row in loose.to_dict("records"):
        fits[str(row["run_id"])] = [
            str(ids[at])
            for at in _fitting({str(name): value for name, value in row.items()}, columns, texts, len(free))
        ]
    wanted = [found[0] for found in fits.values() if len(found) == 1]
    pairs = {run: found[0] for run, found in fits.items() if len(found) == 1 and wanted.count(found[0]) == 1}
    several = sum(1 for run, found in fits.items() if found and run not in pairs)
    notes = (
        (f"{several:,} logged runs fit several planned ones, or share one: left unplanned; log the run_id",)
        if several
        else ()
    )
    return Matched(pairs, notes)


def _fitting(row: dict[str, object], columns: dict[str, np.ndarray], texts: dict[str, np.ndarray], n: int) -> list[int]:
    keep = np.ones(n, bool)
    agreed = np.zeros(n, int)
    sized = np.zeros(n, bool)
    for name, planned in columns.items():
        value = _meant(row, name)
        if value is None:
            continue
        both = np.isfinite(planned)
        near = np.abs(planned - value) <= (0.0 if name in EXACT else NEAR) * np.abs(planned)
        keep &= near | ~both
        agreed += near & both & (name != "seed")
        sized |= near & both & (name in (*SIZES, "d_model", "n_layers"))
    for name, planned_text in texts.items():
        said = row.get(name)
        if isinstance(said, str) and said:
            keep &= (planned_text == said) | (planned_text == "")
    return [int(at) for at in np.flatnonzero(keep & sized & (agreed >= LEAST))]


def _meant(row: dict[str, object], name: str) -> float | None:
    """A number of a logged run to compare with the planned one; its tokens only where they were all seen or said."""
    if name == "tokens":
        steps, batch = row.get("steps"), row.get("batch_tokens")
        if _is_number(row.get("tokens_planned")):
            return float(row["tokens_planned"])  # type: ignore[arg-type]
        if row.get("status") != Status.COMPLETED or row.get("is_final") != "true":
            return float(steps) * float(batch) if _is_number(steps) and _is_number(batch) else None  # type: ignore[arg-type]
    value = row.get(name)
    return float(value) if _is_number(value) else None  # type: ignore[arg-type]


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def differences_of(seen: pd.DataFrame, plan: pd.DataFrame) -> tuple[Difference, ...]:
    """Settings of logged runs that are more than 1 % off the planned ones (seeds and shapes: at all)."""
    planned = plan.set_index("run_id").reindex(seen["run_id"])
    found = []
    for name in (*SIZES, *EXACT, *RATES):
        if name not in seen or name not in planned:
            continue
        theirs = pd.to_numeric(seen[name], errors="coerce").to_numpy(float)
        ours = pd.to_numeric(planned[name], errors="coerce").to_numpy(float)
        with np.errstate(invalid="ignore"):
            off = np.abs(theirs - ours) > (0.0 if name in EXACT else NEAR) * np.abs(ours)
        found += [
            Difference(str(seen["run_id"].iloc[at]), name, float(ours[at]), float(theirs[at]))
            for at in np.flatnonzero(off)
        ]
    for name in TEXTS:
        if name in seen and name in planned:
            pairs = zip(
                seen["run_id"], planned[name].fillna("").astype(str), seen[name].fillna("").astype(str), strict=True
            )
            found += [
                Difference(str(run), name, ours, theirs)
                for run, ours, theirs in pairs
                if ours and theirs and ours != theirs
            ]
    return tuple(found)
