"""The results folder of a report on a lab under way: the sweep's plan, what came back, the law so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd

from planner import store
from planner.cli.choices_made import choices_of, outlook_of
from planner.errors import InputError
from planner.lab.simulated import VALIDATION
from planner.logs.reconcile import read_plan
from planner.report.costs import costs_of
from planner.report.ledger import question_of
from planner.report.progress import runs_in_progress
from planner.runs import read_runs
from planner.sweep.plan import Plan, propose
from planner.sweep.spec import read_sweep

if TYPE_CHECKING:
    from planner.fitting.fit import Fit


def fill_report_folder(
    sweep: str, runs: Sequence[str], plans: Sequence[str], law_fit: Fit | None, output: str | None
) -> store.Folder:
    """A started folder with the question, the plan, the runs and what the fit says so far; nothing of it is a final word.

    `plans` replace the sweep's own proposal, as `planner next` makes them. Raises InputError before anything is written.
    """
    question = read_sweep(sweep)
    tables = [read_runs(name) for name in runs]
    plan = _with_plans(propose(question), plans)
    table = runs_in_progress(plan.runs, tables, plan.setting.accelerator.name)
    costs = costs_of(plan, set(table["run_id"]))
    told = None if law_fit is None else outlook_of(plan, law_fit)
    chosen = None if law_fit is None else choices_of(plan, law_fit, table, [])
    inputs = {"sweep": question.sha256, **{f"runs {number}": each.sha256 for number, each in enumerate(tables, 1)}}
    inputs |= {f"plan {number}": read_runs(name).sha256 for number, name in enumerate(plans, 1)}
    inputs |= {} if law_fit is None else {"fit": law_fit.data_sha256}
    folder = store.Folder(
        output or f"results/{question.file.name}-report", "report", inputs, seed=question.file.seed, replace=True
    )
    folder.start()
    for name in (store.FIT, store.OUTLOOK, store.CHOICES, store.RECORD):  # of an earlier report, which had them
        folder.drop(name)
    folder.write_json(store.QUESTION, question_of(plan) | {"lab": "simulated" if _simulated(table) else ""})
    folder.write_table(store.COSTS, costs)
    folder.write_table(store.PLAN, plan.runs)
    folder.write_table(store.RUNS, table)
    if law_fit is not None:
        from planner.fitting.saved import fit_to_record

        folder.write_json(store.FIT, fit_to_record(law_fit))
        folder.write_json(store.OUTLOOK, told)
        folder.write_json(store.CHOICES, chosen)
    return folder


def _with_plans(plan: Plan, names: Sequence[str]) -> Plan:
    """The plan with the runs of these tables instead of the sweep's own proposal."""
    if not names:
        return plan
    runs = pd.concat([read_plan(name) for name in names], ignore_index=True)
    missing = [name for name in ("variant", "tokens", "flops", "usd") if name not in runs]
    if missing:
        raise InputError(
            f"{names[0]}: no column {missing[0]!r}: not a plan", "give what `planner propose` or `next` wrote"
        )
    runs = runs.assign(chance=pd.to_numeric(runs["chance"], errors="coerce").fillna(1.0) if "chance" in runs else 1.0)
    return replace(plan, runs=runs.drop_duplicates("run_id"), design=None)


def _simulated(runs: pd.DataFrame) -> bool:
    """Whether the losses are those of the simulated lab."""
    return "loss_name" in runs and bool(runs["loss_name"].eq(VALIDATION).any())
