"""Every table of the report as a csv file, and the ledger's rows as the page carries them."""

from __future__ import annotations

from typing import Any

import pandas as pd

from planner.report.ledger import AXES
from planner.text import visible

SHOWN = {  # columns of the page's ledger, by what they are called there
    "name": "entry", "side": "side", "study": "study", "params_active": "active parameters", "variant": "idea", "status": "status",
    "accelerator": "accelerator", "owner": "owner", "month": "month", "flops": "FLOPs", "gpu_hours": "GPU-hours",
    "gpu_hours_source": "hours are", "usd": "usd",
}  # fmt: skip
ALIKE = ("accelerator", "owner", "month")  # columns that are shown when rows differ in them


def csv_tables(summary: dict[str, Any], entries: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """File name -> table; the ledger's columns add up to report.json exactly."""
    tables = {"ledger": entries}
    for axis in (*(f"by_{name}" for name in AXES), "by_stage", "beside"):
        tables[axis] = _keyed(summary[axis], axis.removeprefix("by_"))
    completion = summary["completion"]
    tables["plan_and_actual"] = _keyed({**completion["by_study"], "all": completion["total"]}, "study")
    tables["ratio"] = pd.DataFrame(
        [
            {
                "quantity": name,
                "exploration": summary["exploration"][name],
                "final": summary["final"][name],
                "ratio": value,
            }
            for name, value in summary["ratio"].items()
        ]
    )
    tables["published"] = pd.DataFrame(
        [
            {
                name: case[name]
                for name in ("scope", "subject", "quantity", "ratio", "low", "high", "judgement", "source", "note")
            }
            for one in summary["comparisons"]
            for case in one["published"]
        ]
    )
    fit = summary["fit"] or {"parameters": {}, "backtest": []}
    tables["parameters"] = pd.DataFrame(
        [
            {"parameter": name, "value": value, "low": fit["intervals"][name][0], "high": fit["intervals"][name][1]}
            for name, value in fit["parameters"].items()
        ]
    )
    tables["record"] = pd.DataFrame(summary["record"].get("forecasts", []))
    for name in ("tornado", "confidence", "closed"):
        tables[name] = pd.DataFrame(summary[name])
    tables["backtest"] = pd.DataFrame(fit["backtest"] or [])
    tables["ideas"] = pd.DataFrame(
        [{**idea, "low": idea["interval"][0], "high": idea["interval"][1]} for idea in summary["ideas"]]
    ).drop(columns=["interval", "interval_tested"], errors="ignore")
    return {f"{name}.csv": table for name, table in tables.items() if not table.empty}


def page_rows(entries: pd.DataFrame) -> dict[str, Any]:
    """The ledger for the page's own script: columns, rows, and for columns of text the words that cells count into."""
    wanted = [
        name for name in SHOWN
        if name in entries and not (name in ALIKE and entries[name].nunique() < 2) and not entries[name].isna().all()
    ]  # fmt: skip
    words: list[list[str] | None] = []
    cells: list[list[Any]] = []
    for name in wanted:
        if name in ("params_active", "flops", "gpu_hours", "usd"):
            words.append(None)
            cells.append(
                [None if value is None or value != value else float(f"{float(value):.12g}") for value in entries[name]]
            )
        else:
            codes, found = pd.factorize(entries[name])
            words.append([visible(str(word)) for word in found])
            cells.append([int(code) for code in codes])
    return {
        "columns": [SHOWN[name] for name in wanted],
        "words": words,
        "dollars": [wanted.index("usd")] if "usd" in wanted else [],
        "rows": [list(row) for row in zip(*cells, strict=True)],
    }


def _keyed(rows: dict[str, dict[str, Any]], key: str) -> pd.DataFrame:
    return pd.DataFrame([{key: name, **values} for name, values in rows.items()])
