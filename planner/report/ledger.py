"""The ledger: what exploration cost against the final run."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from planner.costs.energy import AVERAGE_DRAW, PUE
from planner.models.flops import RULE_6ND_ACTIVE
from planner.sweep.plan import Plan

QUANTITIES = ("flops", "gpu_hours", "usd", "energy_kwh")


@dataclass(frozen=True)
class Amounts:
    """Runs, training FLOPs, accelerator-hours, rent in dollars, energy at the wall in kWh."""

    runs: int
    flops: float
    gpu_hours: float
    usd: float
    energy_kwh: float


@dataclass(frozen=True)
class Ledger:
    """Exploration against the final run; `by_*` add up to `exploration`, whatever became of a run."""

    exploration: Amounts
    final: Amounts
    by_study: dict[str, Amounts]
    by_size: dict[str, Amounts]
    by_status: dict[str, Amounts]

    @property
    def ratio(self) -> dict[str, float]:
        """Exploration over final, in FLOPs, hours and dollars."""
        pairs = ((name, getattr(self.exploration, name), getattr(self.final, name)) for name in QUANTITIES[:3])
        return {name: spent / once for name, spent, once in pairs}


def ledger_of(runs: pd.DataFrame, final: dict[str, Any]) -> Ledger:
    """Add up a table of runs; `final` holds the final run's flops, gpu_hours, usd and energy_kwh."""
    spent = runs[runs["gpu_hours"] > 0]
    size = spent["params_active"].map(lambda count: f"{count / 1e9:.2f}B")
    return Ledger(
        exploration=_sum(spent),
        final=Amounts(1, *(float(final[name]) for name in QUANTITIES)),
        by_study=_by(spent, spent["study"]),
        by_size=_by(spent.sort_values("params_active"), size),
        by_status=_by(spent, spent["status"]),
    )


def question_of(plan: Plan) -> dict[str, Any]:
    """What the report needs to know of the question: the final run, its price and shape, and what was asked for."""
    setting, file = plan.setting, plan.setting.sweep.file
    final = setting.final
    return {
        "name": file.name,
        "question": file.question,
        "sweep": setting.sweep.source.rpartition("/")[2],
        "final": {
            "model": file.final.model,
            "params_total": setting.final_params.total,
            "params_active": setting.final_params.active,
            "params_active_without_input_embedding": setting.final_params.active_without_input_embedding,
            "accelerator": setting.accelerator.name,
            "flops_rule": RULE_6ND_ACTIVE,
            **{key: value for key, value in asdict(final).items() if key != "utilisation"},
            "gpu_hours": final.gpu_hours,
            "usd": final.usd,
            "days": final.days,
            "days_per_trillion_tokens": final.days_per_trillion_tokens,
            "gpu_hours_per_trillion_tokens": final.gpu_hours_per_trillion_tokens,
        },
        "utilisation": asdict(setting.utilisation),
        "yardstick": asdict(setting.yardstick),
        "price_source": "the sweep file" if file.price.usd_per_gpu_hour else f"{setting.rent.source} ({setting.rent.date})",
        "power": {"tdp_watts": setting.accelerator.tdp_watts, "server_power_factor": setting.accelerator.server_power_factor,
                  "average_draw": AVERAGE_DRAW, "pue": PUE},
        "family": file.exploration.family,
        "lab": file.lab.kind,
        "budget_gpu_hours": setting.budget_gpu_hours,
        "planned": {"runs": len(plan.runs), "flops": plan.flops, "gpu_hours": plan.gpu_hours, "usd": plan.usd},
        "design": None if plan.design is None else {"expected_sd": plan.design.expected_sd, "gap": plan.design.gap},
    }  # fmt: skip


def _sum(rows: pd.DataFrame) -> Amounts:
    return Amounts(len(rows), *(math.fsum(rows[name]) for name in QUANTITIES))


def _by(rows: pd.DataFrame, key: pd.Series) -> dict[str, Amounts]:
    return {str(name): _sum(part) for name, part in rows.groupby(key, sort=False)}
