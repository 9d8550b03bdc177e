"""Plan against actual, and what exploration will have cost when the last planned run is done."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from planner.costs.run_cost import PRODUCTION_SPREAD, Percentiles, lognormal
from planner.report.amounts import exact_sum, rounded
from planner.runs.columns import BASELINE, Status

ENOUGH = 20  # ended runs behind an own figure of actual over planned; fewer say less than other labs' runs do
OPEN = (Status.PLANNED, Status.RUNNING)


@dataclass(frozen=True)
class Progress:
    """One study, or all: accelerator-hours planned for the runs that ended (or were cancelled) and what they took, hours
    planned for those still to run (behind a gate: times their chance), and counts of runs."""

    runs_planned: int
    runs_ended: int
    runs_open: int
    runs_cancelled: int
    planned_gpu_hours: float
    expected_gpu_hours: float
    ended_planned_gpu_hours: float
    actual_gpu_hours: float
    open_gpu_hours: float


@dataclass(frozen=True)
class Completion:
    """Hours at completion (P10, P50, P90) and over the final run's; `factor` is actual over planned of the ended runs."""

    by_study: dict[str, Progress]
    total: Progress
    factor: float
    factor_source: str
    gpu_hours: Percentiles
    ratio: Percentiles


def completion_of(plan: pd.DataFrame, runs: pd.DataFrame, final_gpu_hours: float, other_gpu_hours: float) -> Completion:
    """The forecast at completion; `other_gpu_hours` of exploration (prior runs) are spent and certain.

    What is still to run takes its planned hours times `factor`; its spread is that of single runs, of the factor itself,
    and of the gates, which an idea's later runs pass or fail together.
    """
    table = _joined(plan, runs)
    studies = {str(name): _progress(part) for name, part in table.groupby("study", sort=False)}
    total = _progress(table)
    factor, spread, of_mean, source = _factor(table)
    todo = table[table["open"]]
    left = float((todo["left"] * todo["reach"]).sum()) * factor
    variance = (factor * spread) ** 2 * float((todo["left"] ** 2 * todo["reach"]).sum()) + (left * of_mean) ** 2
    for _, idea in todo[(todo["reach"] < 1) & (todo["variant"] != BASELINE)].groupby("variant"):
        p = float(idea["reach"].mean())
        variance += p * (1 - p) * (factor * float(idea["left"].sum())) ** 2
    spent = total.actual_gpu_hours + other_gpu_hours
    hours = Percentiles(spent, spent, spent)
    if left > 0:
        sd = math.sqrt(math.log1p(variance / left**2))
        more = lognormal(left, sd)
        hours = Percentiles(spent + more.p10, spent + more.p50, spent + more.p90)
    over = Percentiles(*(value / final_gpu_hours for value in (hours.p10, hours.p50, hours.p90)))
    return Completion(studies, total, factor, source, hours, over)


def _joined(plan: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """Every run of the plan, and those that stand in none, at no planned hours."""
    columns = ["run_id", "study", "variant", "gpu_hours"]
    table = plan[columns].assign(chance=plan.get("chance", 1.0), listed=True).rename(columns={"gpu_hours": "planned"})
    more = runs[~runs["run_id"].isin(plan["run_id"])]
    if len(more):
        extra = more[["run_id", "study", "variant"]].assign(planned=0.0, chance=1.0, listed=False)
        table = pd.concat([table, extra], ignore_index=True)
    seen = runs.set_index("run_id").reindex(table["run_id"])
    table["status"] = seen["status"].fillna(str(Status.PLANNED)).to_numpy()
    table["actual"] = rounded(seen["gpu_hours"].fillna(0.0)).to_numpy()
    table["planned"] = rounded(table["planned"])
    table["open"] = table["status"].isin(OPEN)
    table["left"] = (table["planned"] - table["actual"]).clip(lower=0.0).where(table["open"], 0.0)
    table["reach"] = table["chance"].where(table["status"] == Status.PLANNED, 1.0)
    return table


def _progress(rows: pd.DataFrame) -> Progress:
    cancelled, ended = rows["status"] == Status.CANCELLED, ~rows["open"]
    return Progress(
        runs_planned=int(rows["listed"].sum()),
        runs_ended=int((ended & ~cancelled).sum()),
        runs_open=int(rows["open"].sum()),
        runs_cancelled=int(cancelled.sum()),
        planned_gpu_hours=exact_sum(rows["planned"]),
        expected_gpu_hours=exact_sum(rounded(rows["planned"] * rows["chance"])),
        ended_planned_gpu_hours=exact_sum(rows.loc[ended & ~cancelled, "planned"]),
        actual_gpu_hours=exact_sum(rows["actual"]),
        open_gpu_hours=exact_sum(rounded(rows["left"] * rows["reach"])),
    )


def _factor(table: pd.DataFrame) -> tuple[float, float, float, str]:
    """Actual over planned, its spread between runs, its own standard error as a fraction, and where it is from."""
    ended = table[~table["open"] & (table["status"] != Status.CANCELLED) & (table["planned"] > 0)]
    if len(ended) < ENOUGH:
        return (
            1.0,
            PRODUCTION_SPREAD,
            PRODUCTION_SPREAD,
            "the plan's own hours; spread of 36 published runs around the model",
        )
    planned, actual = ended["planned"].to_numpy(float), ended["actual"].to_numpy(float)
    factor = float(actual.sum() / planned.sum())
    away = actual - factor * planned
    spread = float(np.sqrt((away**2).sum() / (planned**2).sum())) / factor
    of_mean = float(np.sqrt((away**2).sum()) / actual.sum())
    return factor, spread, of_mean, f"{len(ended):,} ended runs, failed ones too: {factor:.3f} of their planned hours"
