"""A fit as JSON and back: public keys first, then what predictions need."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from planner.errors import InputError
from planner.fitting.backtest import BacktestRow
from planner.fitting.checks import Finding, Severity
from planner.fitting.fit import Fit, Outcome, Reach
from planner.fitting.recipe import Spread
from planner.laws import find_law
from planner.laws.centre import Centre
from planner.runs.columns import Count

SCHEMA = 1


def fit_summary(fit: Fit) -> dict[str, Any]:
    """The public keys of a fit, without its draws."""
    return {
        "law": fit.law.name,
        "formula": fit.law.formula,
        "group": fit.group,
        "count": fit.count,
        "loss_unit": fit.loss_unit,
        "parameters": fit.parameters,
        "intervals": fit.intervals,
        "level": fit.level,
        "objective": {
            "name": fit.objective,
            "delta": None if math.isinf(fit.delta) else fit.delta,
            "value": fit.objective_value,
        },
        "status": fit.outcome.name.lower(),
        "status_text": fit.outcome.value,
        "n_runs": fit.n_runs,
        "n_windowed_out": fit.n_windowed_out,
        "dropped": fit.dropped,
        "checks": fit.findings,
        "backtest": fit.backtest,
        "interval_method": fit.spread.value,
        "inflation": fit.inflation,
        "residual_sd": fit.scale,
    }


def fit_to_record(fit: Fit) -> dict[str, Any]:
    """Everything of a fit, ready for JSON."""
    return {
        "schema": SCHEMA,
        **fit_summary(fit),
        "theta": fit.theta,
        "centre": fit.centre,
        "df": fit.df,
        "reach": fit.reach,
        "data_sha256": fit.data_sha256,
        "draws": fit.draws,
    }


def fit_from_record(record: dict[str, Any], place: str) -> Fit:
    """A fit from its JSON; `place` names the file in messages.

    Raises InputError for another schema, a missing key or a value of the wrong kind.
    """
    if record.get("schema") != SCHEMA or "theta" not in record:
        raise InputError(f"{place}: not a fit of schema {SCHEMA}", "make it again with `planner fit`")
    try:
        law = find_law(record["law"])
        theta = np.array(record["theta"], float)
        draws = np.array(record["draws"], float)
        if theta.shape != law.lower.shape or draws.ndim != 2 or draws.shape[1:] != theta.shape:
            raise InputError(
                f"{place}: theta or draws do not fit the {law.name} law", "make it again with `planner fit`"
            )
        centre = Centre(**record["centre"])
        delta = record["objective"]["delta"]
        reach = record["reach"]
        return Fit(
            law=law.from_theta(theta, centre),
            group=record["group"],
            count=Count(record["count"]),
            loss_unit=record["loss_unit"],
            theta=theta,
            centre=centre,
            draws=draws,
            inflation=float(record["inflation"]),
            scale=float(record["residual_sd"]),
            df=float(record["df"]),
            level=float(record["level"]),
            objective=record["objective"]["name"],
            delta=math.inf if delta is None else float(delta),
            objective_value=float(record["objective"]["value"]),
            outcome=Outcome[record["status"].upper()],
            n_runs=int(record["n_runs"]),
            n_windowed_out=int(record["n_windowed_out"]),
            dropped=dict(record["dropped"]),
            reach=Reach(
                float(reach["flops"]), (reach["tokens_per_param"][0], reach["tokens_per_param"][1]), reach["kappa"]
            ),
            spread=Spread(record["interval_method"]),
            findings=tuple(
                Finding(item["name"], Severity(item["severity"]), item["sentence"], item["remedy"])
                for item in record["checks"]
            ),
            backtest=tuple(BacktestRow(**row) for row in record["backtest"]),
            data_sha256=record["data_sha256"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{place}: not a whole fit: {error}", "make it again with `planner fit`") from None
