"""What report.json holds: every number that the page shows."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from planner import store
from planner.encode import to_json
from planner.fitting.saved import fit_summary
from planner.report.amounts import add_up
from planner.report.caveats import caveats
from planner.report.findings import Findings
from planner.report.ledger import AXES, comparisons
from planner.report.sensitivity import KEPT, tornado
from planner.runs.columns import Status


def summary_of(found: Findings) -> dict[str, Any]:
    """Plain values, as JSON has them."""
    ledger, ideas = found.ledger, _ideas(found.choices)
    entries = ledger.entries
    ran = (entries["side"] == "exploration") & entries["kind"].isin(["run", "rerun"]) & (entries["gpu_hours"] > 0)
    verdicts = {name: sum(idea["decision"] == name for idea in ideas) for name in ("promote", "hold", "drop")}
    value = {
        "question": found.question,
        "exploration": ledger.exploration,
        "final": ledger.final,
        "ratio": ledger.ratio,
        "lost": add_up(entries[ran & ~entries["status"].isin(KEPT)]),
        "not_run": ledger.not_run,
        **{f"by_{axis}": ledger.by_axis[axis] for axis in AXES},
        "by_stage": ledger.by_stage,
        "beside": ledger.beside,
        "precisions": ledger.precisions,
        "notes": ledger.notes,
        "completion": found.completion,
        "comparisons": comparisons(ledger, found.question["scaling_studies"]),
        "base": found.base,
        "tornado": tornado(found.base, found.question) if found.base else [],
        "confidence": found.confidence,
        "stop": found.stop,
        "forecast": found.forecast,
        "fit": None if found.fit is None else fit_summary(found.fit),
        "allocation": found.choices["allocation"],
        "tuning": found.choices["tuning"],
        "untuned_because": found.choices["untuned_because"],
        "ideas": ideas,
        "closed": found.choices["closed"],
        "untested": found.choices["untested"],
        "decisions": {**verdicts, "all": len(ideas), "closed": len(found.choices["closed"])},
        "score": found.score,
        "record": found.record,
        "unfinished": int((found.runs["status"] != Status.COMPLETED).sum()),
        "caveats": caveats(found),
        "provenance": found.provenance,
        "html": store.REPORT_HTML,
        "markdown": store.REPORT_MARKDOWN,
    }
    return dict(json.loads(to_json({**value, "base": asdict(found.base) if found.base else None})))


def _ideas(choices: dict[str, Any]) -> list[dict[str, Any]]:
    """Ideas with the stage after which a gate stopped them."""
    stopped = {one["variant"]: one["stage"] for one in choices["closed"]}
    return [{**idea, "gate": stopped.get(idea["variant"])} for idea in choices["ideas"]]
