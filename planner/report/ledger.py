"""The ledger: what exploration cost against the final run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from planner.models.flops import RULE_6ND_ACTIVE
from planner.report.amounts import QUANTITIES, Amounts, add_up, by
from planner.report.entries import NOT_RUN
from planner.report.published import Scope, cases
from planner.report.rates import rates_record
from planner.sweep.plan import Plan

AXES = ("study", "size", "status", "kind", "variant", "accelerator", "owner", "month", "precision")
QUESTION_SCHEMA = 2  # of question.json; 1 had no prices of owning, no grid, no other costs


@dataclass(frozen=True)
class Ledger:
    """Exploration against the final run, and what stands beside both (staff, overhead, credits).

    `by_axis[name]` adds up to `exploration` exactly, whatever became of a run. `not_run` counts what took nothing, by
    status; `precisions` are those of each side's FLOPs. `notes` say what is not alike.
    """

    entries: pd.DataFrame
    exploration: Amounts
    final: Amounts
    beside: dict[str, Amounts]
    by_axis: dict[str, dict[str, Amounts]]
    by_stage: dict[str, Amounts]
    not_run: dict[str, int]
    precisions: dict[str, list[str]]
    notes: tuple[str, ...]

    @property
    def ratio(self) -> dict[str, float | None]:
        """Exploration over final, in each quantity that both sides know."""
        return ratio_of(self.exploration, self.final)


@dataclass(frozen=True)
class Comparison:
    """A ratio of this sweep, its scope in words, and published figures of the same scope; None: this sweep has no such."""

    scope: Scope
    words: str
    quantity: str
    ratio: float | None
    published: list[dict[str, Any]]


def ledger_of(entries: pd.DataFrame) -> Ledger:
    """Add up ledger rows (`entries_of`)."""
    spent = entries[(entries["gpu_hours"] > 0) | (entries["usd"] > 0)]
    explored = spent[spent["side"] == "exploration"].sort_values("params_active", kind="stable")
    size = explored["params_active"].astype(float).map(lambda count: f"{count / 1e9:.2f}B" if count == count else "")
    named = explored.assign(size=size)
    in_order = named.sort_index(kind="stable")
    final, beside = spent[spent["side"] == "final"], spent[spent["side"] == "beside"]
    idle = entries[(entries["side"] == "exploration") & ~entries.index.isin(explored.index)]
    return Ledger(
        entries=entries,
        exploration=add_up(explored),
        final=add_up(final),
        beside=by(beside, "kind"),
        by_axis={axis: by(named if axis == "size" else in_order, axis) for axis in AXES},
        by_stage=by(final, "kind"),
        not_run={str(name): int(n) for name, n in idle["status"].value_counts().sort_index().items()},
        precisions=_precisions(spent),
        notes=tuple(_notes(spent, idle)),
    )


def ratio_of(spent: Amounts, once: Amounts) -> dict[str, float | None]:
    """One amount over another, quantity by quantity; None where either is not known or nothing was spent on it."""
    pairs = {name: (getattr(spent, name), getattr(once, name)) for name in QUANTITIES}
    return {name: None if top is None or not bottom else top / bottom for name, (top, bottom) in pairs.items()}


def comparisons(ledger: Ledger, scaling_studies: Sequence[str]) -> list[Comparison]:
    """The scaling studies alone, the whole programme and the whole lab, each beside published figures of its scope."""
    entries = ledger.entries[ledger.entries["side"] == "exploration"]
    law = add_up(entries[entries["study"].isin(scaling_studies)])
    broad = set(ledger.by_stage) & {"data_generation", "evaluation"} and ledger.beside
    found = {
        Scope.SCALING: ("flops", ratio_of(law, ledger.final)["flops"]),
        Scope.PROGRAMME: ("gpu_hours", ledger.ratio["gpu_hours"]),
        Scope.LAB: ("usd", ledger.ratio["usd"] if broad else None),
    }
    return [
        Comparison(
            scope,
            scope.words,
            quantity,
            value,
            [
                {**asdict(case), "ratio": case.ratio, "scope": str(case.scope)}
                for case in cases()
                if case.scope is scope
            ],
        )
        for scope, (quantity, value) in found.items()
    ]


def _notes(spent: pd.DataFrame, idle: pd.DataFrame) -> list[str]:
    """What is not alike, and what is missing."""
    notes = []
    chips = sorted(set(spent["accelerator"]) - {""})
    if len(chips) > 1:
        notes.append(f"Hours of {', '.join(chips)} are converted to the reference accelerator by their BF16 peaks.")
    rules = sorted(set(spent["flops_rule"]) - {""})
    if len(rules) > 1:
        notes.append(f"FLOPs by {len(rules)} rules ({', '.join(rules)}) are not added up.")
    notes += _unlike_precisions(_precisions(spent))
    free = int((~idle["status"].isin(NOT_RUN)).sum())
    if free:
        notes.append(
            f"{free:,} runs that are neither planned nor cancelled took no hours: exploration may be understated."
        )
    for name, what in (("usd", "dollars"), ("usd_owned", "dollars of owning"), ("energy_kwh", "energy")):
        lost = int((spent[name].isna()).sum())
        if lost:
            notes.append(f"{lost:,} entries have no {what}: their sums are not known.")
    notes += _without_flops(spent)
    modelled = spent.loc[
        (spent["side"] == "exploration") & (spent["gpu_hours_source"] == "modelled"), "gpu_hours"
    ].sum()
    if modelled:
        share = modelled / spent.loc[spent["side"] == "exploration", "gpu_hours"].sum()
        notes.append(f"{share:.0%} of exploration's hours are modelled, not measured.")
    return notes


def _precisions(spent: pd.DataFrame) -> dict[str, list[str]]:
    """The precisions of the FLOPs of exploration and of the final run, where they are known."""
    known = spent[spent["flops"].notna() & (spent["precision"] != "")]
    return {side: sorted(set(known.loc[known["side"] == side, "precision"])) for side in ("exploration", "final")}


def _unlike_precisions(precisions: dict[str, list[str]]) -> list[str]:
    notes = [
        f"Of the {side} side runs in {', '.join(kinds)} are added up: FLOPs of a lower precision take fewer hours."
        for side, kinds in precisions.items() if len(kinds) > 1
    ]  # fmt: skip
    ours, theirs = (", ".join(kinds) for kinds in precisions.values())
    if ours and theirs and ours != theirs:
        notes.append(
            f"Exploration is in {ours}, the final run in {theirs}: their FLOPs are unlike, so that the ratio in FLOPs says less "
            "than those in hours and dollars."
        )
    return notes


def _without_flops(spent: pd.DataFrame) -> list[str]:
    """Which entries the sums of FLOPs leave out."""
    notes = []
    for side in ("exploration", "final"):
        bare = spent[(spent["side"] == side) & spent["flops"].isna() & (spent["gpu_hours"] > 0)]
        if not bare.empty:
            share = bare["gpu_hours"].sum() / spent.loc[spent["side"] == side, "gpu_hours"].sum()
            kinds = ", ".join(
                {"run": "some runs"}.get(kind, kind.replace("_", " ")) for kind in dict.fromkeys(bare["kind"])
            )
            notes.append(
                f"FLOPs of the {side} side leave out {kinds}, of which only hours are known "
                f"({'under 0.1%' if share < 0.001 else f'{share:.1%}'} of them)."
            )
    return notes


def question_of(plan: Plan) -> dict[str, Any]:
    """What the report needs to know of the question: the final run, its price and shape, and what was asked for."""
    setting, file = plan.setting, plan.setting.sweep.file
    final, rates = setting.final, rates_record(setting.accelerator, file.price.usd_per_gpu_hour)
    return {
        "schema": QUESTION_SCHEMA,
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
        "rates": rates,
        "utilisation": asdict(setting.utilisation),
        "yardstick": asdict(setting.yardstick),
        "price_source": "the sweep file" if file.price.usd_per_gpu_hour else f"{setting.rent.source} ({setting.rent.date})",
        "power": {"tdp_watts": setting.accelerator.tdp_watts, "server_power_factor": setting.accelerator.server_power_factor,
                  "average_draw": rates["average_draw"], "pue": rates["pue"]},
        "scaling_studies": [study.name or study.kind for study in file.study if study.kind == "scaling"],
        "family": file.exploration.family,
        "lab": file.lab.kind,
        "budget_gpu_hours": setting.budget_gpu_hours,
        "planned": {"runs": len(plan.runs), "flops": plan.flops, "gpu_hours": plan.gpu_hours, "usd": plan.usd},
        "design": None if plan.design is None else {"expected_sd": plan.design.expected_sd, "gap": plan.design.gap},
    }  # fmt: skip
