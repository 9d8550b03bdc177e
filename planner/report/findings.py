"""What a results folder holds, read back and added up."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from planner import store
from planner.decisions.exploration import Confidence, StopRule, law_learning, spend_to_confidence, stop_rule
from planner.encode import unguard_formula
from planner.errors import InputError
from planner.fitting.fit import Fit
from planner.fitting.predict import Prediction
from planner.fitting.saved import fit_from_record
from planner.report.amounts import add_up
from planner.report.completion import Completion, completion_of
from planner.report.entries import entries_of
from planner.report.ledger import QUESTION_SCHEMA, Ledger, ledger_of
from planner.report.sensitivity import Base, base_of

NO_CHOICES: dict[str, Any] = {
    "allocation": None, "ideas": [], "untested": [], "closed": [], "tuning": None, "untuned_because": "no law is fitted yet",
}  # fmt: skip


@dataclass(frozen=True)
class Findings:
    """A results folder as values. Without a law yet `fit`, `forecast` and `stop` are None; `record` holds the registered
    forecasts of earlier runs."""

    question: dict[str, Any]
    runs: pd.DataFrame
    fit: Fit | None
    forecast: dict[str, Any] | None
    choices: dict[str, Any]
    score: dict[str, Any]
    record: dict[str, Any]
    ledger: Ledger
    completion: Completion
    base: Base | None
    confidence: list[Confidence]
    stop: StopRule | None
    provenance: dict[str, Any]

    @property
    def prediction(self) -> Prediction | None:
        """The forecast of the final run, if there is a law yet."""
        if self.forecast is None:
            return None
        fields = dict(self.forecast["prediction"])
        for name in ("interval_mean", "interval_run"):
            fields[name] = tuple(fields[name])
        return Prediction(**fields)


def gather(path: Path) -> Findings:
    """Read a folder that `planner run` or `planner report` wrote; InputError for one of an older planner."""
    question = store.read_json(path / store.QUESTION)
    if question.get("schema") != QUESTION_SCHEMA or not (path / store.COSTS).is_file():
        raise InputError(
            f"{path / store.QUESTION}: of schema {question.get('schema', 1)}, this planner reads {QUESTION_SCHEMA}: it has no "
            "prices of owning, no grid and no other costs",
            "make the folder again: `planner run SWEEP -o` another folder",
        )
    runs, plan, costs = (_table(path / name) for name in (store.RUNS, store.PLAN, store.COSTS))
    planned = pd.Series(plan.set_index("run_id")["tokens"].reindex(runs["run_id"]).to_numpy(), index=runs.index)
    runs["tokens_planned"] = planned.fillna(runs["tokens"])
    fit = fit_from_record(saved, str(path / store.FIT)) if (saved := _json(path / store.FIT)) else None
    entries = entries_of(runs, costs, question["rates"])
    ledger = ledger_of(entries)
    law = add_up(entries[(entries["side"] == "exploration") & entries["study"].isin(question["scaling_studies"])])
    flops = question["final"]["flops"]
    spent = (law.flops or 0) / flops
    other = entries[(entries["side"] == "exploration") & ~entries["kind"].isin(["run", "rerun"])]
    return Findings(
        question=question,
        runs=runs,
        fit=fit,
        forecast=_forecast(path),
        choices=NO_CHOICES | _json(path / store.CHOICES),
        score=_json(path / store.SCORE),
        record=_json(path / store.RECORD),
        ledger=ledger,
        completion=completion_of(plan, runs, ledger.final.gpu_hours, add_up(other).gpu_hours),
        base=base_of(entries, question),
        confidence=spend_to_confidence(fit, flops=flops, spent=spent) if fit and spent else [],
        stop=stop_rule(law_learning(fit, flops=flops, spent=spent)) if fit and spent else None,
        provenance=_provenance(store.read_provenance(path)),
    )


def _json(path: Path) -> dict[str, Any]:
    """What a file of the folder holds; empty where there is none."""
    return store.read_json(path) if path.is_file() else {}


def _forecast(path: Path) -> dict[str, Any] | None:
    """The registered forecast, else the outlook so far."""
    if registered := _json(path / store.FORECAST):
        return registered | {"registered": True}
    outlook = _json(path / store.OUTLOOK)
    return outlook | {"registered": False} if outlook else None


def _table(path: Path) -> pd.DataFrame:
    frame = pd.read_csv(path, keep_default_na=False, na_values=[""], low_memory=False)
    for name in frame.select_dtypes(exclude=["number", "bool"]):
        frame[name] = frame[name].map(lambda cell: unguard_formula(cell) if isinstance(cell, str) else cell)
    return frame


def _provenance(record: dict[str, Any]) -> dict[str, Any]:
    """What made the folder; no date and no path, so that the same inputs give the same page."""
    made = record["planner"]
    return {
        "version": made["version"],
        "seed": record["seed"],
        "inputs": record["inputs"],
    }
