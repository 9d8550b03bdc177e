"""The rows of the ledger: every run, whatever became of it, and every other cost, in the same columns."""

from __future__ import annotations

from typing import Any

import pandas as pd

from planner.errors import InputError
from planner.models.flops import RULE_6ND_ACTIVE
from planner.report.amounts import RATES, rounded, whole
from planner.report.rates import Rate, rates_from
from planner.runs.columns import Status

COLUMNS = (
    "run_id", "name", "side", "kind", "study", "params_active", "variant", "status", "accelerator", "owner", "month",
    "precision", "flops", "flops_rule", "gpu_hours", "gpu_hours_source", "reference_gpu_hours", "usd", "usd_owned",
    "energy_kwh", "co2_kg", "source",
)  # fmt: skip
TEXTS = tuple(
    name for name in COLUMNS if name not in ("params_active", "flops", "gpu_hours", "reference_gpu_hours", *RATES)
)
NOT_RUN = (Status.PLANNED, Status.CANCELLED)  # no hours, and no complaint


def entries_of(runs: pd.DataFrame, others: pd.DataFrame, rates: dict[str, Any]) -> pd.DataFrame:
    """One row per run of the table and per other cost (`costs_of`), amounts rounded once to the millionth.

    Hours become those of the reference accelerator by the ratio of BF16 peaks. Raises InputError for runs without cost, a
    negative amount, a second currency, another cost that names a run which is not there.
    """
    _require(runs, others, rates["currency"])
    frame = pd.concat([_of_runs(runs), others.reindex(columns=COLUMNS)], ignore_index=True)
    for name in TEXTS:
        frame[name] = frame[name].astype(object).where(frame[name].notna(), "").astype(str)
    known = rates_from(rates, sorted(set(frame["accelerator"]) - {""}))
    frame["gpu_hours"] = rounded(frame["gpu_hours"].fillna(0.0))
    _price(frame, known, rates)
    frame["flops"] = pd.Series([None if v != v or v is None else whole(v) for v in frame["flops"]], dtype=object)
    frame.loc[frame["flops"].isna(), "flops_rule"] = ""
    return frame[list(COLUMNS)]


def _of_runs(runs: pd.DataFrame) -> pd.DataFrame:
    rerun = (
        runs["rerun_of"].astype(object).fillna("").astype(str) != ""
        if "rerun_of" in runs
        else pd.Series(False, index=runs.index)
    )
    frame = runs.reindex(columns=[name for name in COLUMNS if name != "kind"])
    return frame.assign(
        side="exploration", kind=rerun.map({True: "rerun", False: "run"}),
        name=frame["run_id"], flops_rule=frame["flops_rule"].astype(object).fillna(RULE_6ND_ACTIVE),
    )  # fmt: skip


def _price(frame: pd.DataFrame, known: dict[str, Rate], rates: dict[str, Any]) -> None:
    """Fill in what a row does not say from its hours: dollars, energy, emissions; what no rate gives stays missing."""
    hours, chip = frame["gpu_hours"], frame["accelerator"]
    reference = known[rates["reference"]].bf16_flops
    share = chip.map({name: rate.bf16_flops / reference for name, rate in known.items()}).fillna(1.0)
    frame["reference_gpu_hours"] = rounded(hours * share)
    ran = hours > 0

    def filled(name: str, each: pd.Series) -> pd.Series:
        given = pd.to_numeric(frame[name], errors="coerce")
        return rounded(given.where(given.notna(), (hours * each).where(ran, 0.0)))

    for name, field in (
        ("usd", "usd_per_gpu_hour"),
        ("usd_owned", "owned_usd_per_gpu_hour"),
        ("energy_kwh", "kwh_per_gpu_hour"),
    ):
        frame[name] = filled(name, chip.map({key: getattr(rate, field) for key, rate in known.items()}).astype(float))
    carbon = float(rates["grid"]["kg_co2_per_kwh"])
    given = pd.to_numeric(frame["co2_kg"], errors="coerce")
    frame["co2_kg"] = rounded(given.where(given.notna(), frame["energy_kwh"] * carbon))


def _require(runs: pd.DataFrame, others: pd.DataFrame, currency: str) -> None:
    for table, what in ((runs, "run"), (others, "cost")):
        for name in ("gpu_hours", *RATES):
            if name in table and (pd.to_numeric(table[name], errors="coerce") < 0).any():
                row = table[pd.to_numeric(table[name], errors="coerce") < 0].iloc[0]
                raise InputError(
                    f"{what} {_label(row)!r}: {name} = {row[name]} is negative",
                    'nothing costs less than nothing; a credit is a cost of kind "credit" with a positive usd',
                )
        if "currency" in table:
            other = set(table["currency"].dropna().astype(str)) - {currency, ""}
            if other:
                raise InputError(
                    f"two currencies: {currency} and {min(other)}",
                    f"convert all amounts to {currency}, and say at which rate",
                )
    bare = runs["gpu_hours"].isna() & ~runs["status"].isin(NOT_RUN)
    if bare.any():
        row = runs[bare].iloc[0]
        raise InputError(
            f"run {row['run_id']!r} is {row['status']} and has no gpu_hours ({int(bare.sum())} runs without cost)",
            "log the hours of every run, failed ones too",
        )
    if "run_id" in others:
        named = others["run_id"].astype(object).fillna("").astype(str)
        lost = sorted(set(named) - set(runs["run_id"].astype(str)) - {""})
        if lost:
            raise InputError(f"a cost names run {lost[0]!r}, which does not exist", "mend its run_id, or leave it out")


def _label(row: pd.Series) -> str:
    return str(row.get("run_id") or row.get("name") or "")
