"""A fit as JSON and back: public keys first, then what predictions need."""

from __future__ import annotations

import hashlib
import json
import math
from typing import Any

import numpy as np

from planner.encode import to_json
from planner.errors import InputError
from planner.fitting.backtest_row import BacktestRow
from planner.fitting.finding import Finding, Severity
from planner.fitting.fit import Fit, Outcome
from planner.fitting.interval import Uncertainty
from planner.fitting.panel import Rival
from planner.fitting.reach import Reach
from planner.fitting.recipe import Spread
from planner.laws import find_law
from planner.laws.centre import Centre
from planner.laws.formula import FromFormula, make_law
from planner.laws.law import Law
from planner.laws.scale import scale_of
from planner.runs.columns import Count

SCHEMA = 5  # 4 and before took every law to speak of params and tokens
USERS = "formula"  # what a law given by the user is called


def fit_summary(fit: Fit) -> dict[str, Any]:
    """The public keys of a fit, without its draws."""
    return {
        "law": fit.law.name,
        "formula": fit.law.formula,
        "group": fit.group,
        "variables": fit.law.variables,
        "count": fit.count,
        "loss_unit": fit.loss_unit,
        "target": fit.target,
        "parameters": fit.parameters,
        "intervals": fit.intervals,
        "level": fit.level,
        "objective": {
            "name": fit.objective,
            "delta": None if math.isinf(fit.delta) else fit.delta,
            "value": fit.objective_value,
        },
        "constraints": fit.constraints,
        "status": fit.outcome.name.lower(),
        "status_text": fit.outcome.value,
        "n_runs": fit.n_runs,
        "n_windowed_out": fit.n_windowed_out,
        "dropped": fit.dropped,
        "checks": fit.findings,
        "backtest": fit.backtest,
        "scale": fit.reach.scale,
        "laws": fit.rivals,
        "interval_method": fit.uncertainty.spread.value,
        "residual_sd": fit.uncertainty.scale,
        "run_sd": fit.uncertainty.noise,
    }


def fit_to_record(fit: Fit) -> dict[str, Any]:
    """Everything of a fit, ready for JSON, and a hash of it by which an edit is noticed."""
    record = {
        "schema": SCHEMA,
        **fit_summary(fit),
        "theta_names": fit.law.theta_names,
        "theta": fit.theta,
        "centre": fit.centre,
        "df": fit.uncertainty.df,
        "drift": fit.uncertainty.drift,
        "frontier": fit.uncertainty.frontier,
        "reach": fit.reach,
        "data_sha256": fit.data_sha256,
        "covariance": fit.uncertainty.covariance,
        "draws": fit.uncertainty.draws,
    }
    return {**record, "sha256": seal(record)}


def seal(record: dict[str, Any]) -> str:
    """A hash of everything in the record but itself; the order of keys does not count."""
    plain = json.loads(to_json({name: value for name, value in record.items() if name != "sha256"}))
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def fit_from_record(record: dict[str, Any], place: str, *, force: bool = False) -> Fit:
    """A fit from its JSON; `place` names the file in messages.

    Raises InputError for another schema, a missing key, a value of the wrong kind, and, unless `force`, for a record
    that is not what was written.
    """
    if "schema" not in record or "theta" not in record:
        raise InputError(f"{place}: not a fit", AGAIN)
    if record["schema"] != SCHEMA:
        raise InputError(f"{place}: a fit of schema {record['schema']!r}, and this planner reads {SCHEMA}", AGAIN)
    if not force and record.get("sha256") != seal(record):
        raise InputError(f"{place}: was changed after it was written", f"{AGAIN}, or use it as it is: --force")
    try:
        made = _fit(record)
        sound = _sound(made)
    except KeyError as error:
        raise InputError(f"{place}: not a whole fit: {error} is missing", AGAIN) from None
    except (TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        raise InputError(f"{place}: not a whole fit: {error}", AGAIN) from None
    if not sound:
        raise InputError(f"{place}: holds numbers that no fit has", AGAIN)
    return made


AGAIN = "make it again with `planner fit`"


def _fit(record: dict[str, Any]) -> Fit:
    law = _law(record)
    theta = np.array(record["theta"], float)
    if theta.shape != law.lower.shape or not ((theta >= law.lower) & (theta <= law.upper)).all():
        raise ValueError(f"theta is none of the {law.name} law")
    centre = Centre(tuple(map(float, record["centre"]["logs"])))
    objective = record["objective"]
    return Fit(
        law=law.from_theta(theta, centre),
        group=str(record["group"]),
        count=None if record["count"] is None else Count(record["count"]),
        loss_unit=str(record["loss_unit"]),
        target=str(record["target"]),
        theta=theta,
        centre=centre,
        uncertainty=Uncertainty(
            spread=Spread(record["interval_method"]),
            covariance=np.array(record["covariance"], float),
            draws=np.array(record["draws"], float),
            scale=float(record["residual_sd"]),
            noise=float(record["run_sd"]),
            df=float(record["df"]),
            drift=float(record["drift"]),
            frontier=float(record["frontier"]),
        ),
        level=float(record["level"]),
        objective=str(objective["name"]),
        delta=math.inf if objective["delta"] is None else float(objective["delta"]),
        objective_value=float(objective["value"]),
        constraints=str(record["constraints"]),
        outcome=Outcome[record["status"].upper()],
        n_runs=int(record["n_runs"]),
        n_windowed_out=int(record["n_windowed_out"]),
        dropped=dict(record["dropped"]),
        reach=_reach(record["reach"], law),
        findings=tuple(
            Finding(item["name"], Severity(item["severity"]), item["sentence"], item["remedy"])
            for item in record["checks"]
        ),
        backtest=tuple(BacktestRow(**row) for row in record["backtest"]),
        rivals=tuple(Rival(**row) for row in record["laws"]),
        data_sha256=str(record["data_sha256"]),
    )


def _reach(record: dict[str, Any], law: type[Law]) -> Reach:
    """The reach; ValueError where it is not that of the law's own scale."""
    own = scale_of(law)
    if record["scale"] != (None if own is None else own.name) or (record["largest"] is None) != (own is None):
        raise ValueError(f"its reach is none of the {law.name} law")
    return Reach(
        scale=record["scale"],
        largest=None if record["largest"] is None else float(record["largest"]),
        ranges={str(name): (float(low), float(high)) for name, (low, high) in record["ranges"].items()},
        order=None if record["order"] is None else str(record["order"]),
        kappa=float(record["kappa"]),
        limit=float(record["limit"]),
    )


def _law(record: dict[str, Any]) -> type[Law]:
    """The law by its name, or from its formula; with the signs of letters that the runs settled."""
    name = str(record["law"])
    law = find_law(name) if name != USERS else make_law(str(record["formula"]), [str(v) for v in record["variables"]])
    if not issubclass(law, FromFormula):
        return law
    held = dict(zip(law.letters, map(str, record["theta_names"]), strict=True))
    return law.with_signs(
        {
            letter: -1 if name.startswith("ln -") else 1
            for letter, name in held.items()
            if letter in law.plain and name != letter
        }
    )


def _sound(made: Fit) -> bool:
    """Whether the numbers are ones that a fit can have: shapes, ranges, nothing that is not finite."""
    known, p = made.uncertainty, made.theta.size
    numbers = [
        known.scale,
        known.noise,
        known.df,
        known.drift,
        known.frontier,
        made.objective_value,
        made.reach.kappa,
        *(edge for pair in made.reach.ranges.values() for edge in pair),
    ]
    largest = 1.0 if made.reach.largest is None else made.reach.largest
    return (
        known.draws.ndim == 2
        and known.draws.shape[1:] == (p,)
        and len(known.draws) > 0
        and known.covariance.shape == (p, p)
        and bool(np.isfinite(known.draws).all() and np.isfinite(known.covariance).all())
        and all(map(math.isfinite, [*numbers, made.reach.limit, *vars(made.law).values()]))
        and known.drift >= 0
        and 0 < largest < math.inf
        and min(known.scale, known.noise, known.df, made.reach.kappa, made.reach.limit) > 0
        and 0 < made.level < 1
    )
