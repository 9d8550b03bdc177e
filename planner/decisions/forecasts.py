"""Forecasts: written down before the run they speak of, sealed, and scored when it lands."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from planner.errors import InputError
from planner.fitting.fit import Fit
from planner.fitting.predict import Prediction, predict
from planner.fitting.saved import fit_to_record, seal

SCHEMA = 1
KIND, SCORE_KIND = "forecast", "score"
ASSUMPTIONS = (
    "the run is as well tuned as the fitted runs, on the same data mix, tokenizer and evaluation set",
    "params are counted as the fit counts them",
    "the loss is the run's final one, in the fit's unit",
)
PLAUSIBLE = 10.0  # a loss so many times the forecast, or less than one part, is of another unit


def forecast_record(
    fit: Fit,
    *,
    params: float,
    tokens: float,
    of: str = "",
    assumptions: Sequence[str] = (),
    others: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """A forecast of one run at raw counts, ready to be registered: what it rests on, and a hash of it all. No date: the
    same fit gives the same record. `others` are values of what else the law speaks of.
    """
    record = {
        "kind": KIND,
        "schema": SCHEMA,
        "of": of,
        "count": fit.count,
        "law": fit.law.name,
        "formula": fit.law.formula,
        "parameters": fit.parameters,
        "intervals": fit.intervals,
        "config": {
            "group": fit.group,
            "objective": fit.objective,
            "delta": fit.delta,
            "constraints": fit.constraints,
            "interval_method": fit.uncertainty.spread.value,
            "n_runs": fit.n_runs,
            "status": fit.outcome.name.lower(),
        },
        "loss_unit": fit.loss_unit,
        "data_sha256": fit.data_sha256,
        "fit_sha256": fit_to_record(fit)["sha256"],
        "at": dict(others or {}),
        "prediction": predict(fit, params=params, tokens=tokens, **(others or {})),
        "assumptions": [*ASSUMPTIONS, *assumptions],
    }
    return {**record, "sha256": seal(record)}


@dataclass(frozen=True)
class Forecast:
    """A registered forecast as read back; `edited` says that it is not what was registered."""

    of: str
    law: str
    count: str
    loss_unit: str
    data_sha256: str
    prediction: Prediction
    assumptions: tuple[str, ...]
    sha256: str
    edited: bool


def forecast_from_record(record: Mapping[str, Any], place: str) -> Forecast:
    """A forecast from its JSON; InputError for what is none, and for numbers that no forecast has."""
    if record.get("kind") != KIND:
        raise InputError(f"{place}: not a forecast", "`planner forecast FIT` registers one")
    if record.get("schema") != SCHEMA:
        raise InputError(f"{place}: a forecast of schema {record.get('schema')!r}, and this planner reads {SCHEMA}", "")
    try:
        made = Forecast(
            of=str(record["of"]),
            law=str(record["law"]),
            count=str(record["count"]),
            loss_unit=str(record["loss_unit"]),
            data_sha256=str(record["data_sha256"]),
            prediction=_prediction(record["prediction"]),
            assumptions=tuple(str(each) for each in record["assumptions"]),
            sha256=str(record["sha256"]),
            edited=record["sha256"] != seal(dict(record)),
        )
    except KeyError as error:
        raise InputError(f"{place}: not a whole forecast: {error} is missing", AGAIN) from None
    except (TypeError, ValueError, IndexError) as error:
        raise InputError(f"{place}: not a whole forecast: {error}", AGAIN) from None
    return made


AGAIN = "restore the file that was registered"


def _prediction(raw: Mapping[str, Any]) -> Prediction:
    mean, run = ((float(raw[name][0]), float(raw[name][1])) for name in ("interval_mean", "interval_run"))
    numbers = {name: float(raw[name]) for name in ("params", "tokens", "loss", "level", "compute_ratio")}
    if not all(math.isfinite(value) and value > 0 for value in (*numbers.values(), *mean, *run)):
        raise ValueError("it holds numbers that no forecast has")
    if not (run[0] <= numbers["loss"] <= run[1] and numbers["level"] < 1):
        raise ValueError("its loss is not inside its interval")
    return Prediction(
        params=numbers["params"],
        tokens=numbers["tokens"],
        loss=numbers["loss"],
        interval_mean=mean,
        interval_run=run,
        level=numbers["level"],
        supported=bool(raw["supported"]),
        reason=str(raw["reason"]),
        compute_ratio=numbers["compute_ratio"],
        at={str(name): float(value) for name, value in raw.get("at", {}).items()},
    )


@dataclass(frozen=True)
class Score:
    """A forecast beside what happened. `error` is predicted over actual minus 1; `inside` is of the interval of one new run.

    `interval_score` is the width of that interval in ln loss, plus 2 / (1 - level) times what the loss lies outside it
    (Gneiting and Raftery 2007, JASA 102, eq. 43): lower is better, width and misses in one number. `edited` forecasts are
    kept apart.
    """

    loss: float
    predicted: float
    error: float
    inside: bool
    interval_score: float
    level: float
    supported: bool
    edited: bool


def score(forecast: Forecast, loss: float) -> Score:
    """The forecast scored by the run's final loss, in the forecast's unit."""
    told = forecast.prediction
    if not (math.isfinite(loss) and loss > 0):
        raise InputError(f"loss = {loss:g} is not above zero", f"give it in {forecast.loss_unit.replace('_', ' ')}")
    if not 1 / PLAUSIBLE < loss / told.loss < PLAUSIBLE:
        raise InputError(
            f"a loss of {loss:g} where {told.loss:.4g} was forecast is of another unit or another run",
            f"give it in {forecast.loss_unit.replace('_', ' ')}",
        )
    low, high = told.interval_run
    return Score(
        loss=loss,
        predicted=told.loss,
        error=told.loss / loss - 1,
        inside=low <= loss <= high,
        interval_score=interval_score(low, high, loss, told.level),
        level=told.level,
        supported=told.supported,
        edited=forecast.edited,
    )


def interval_score(low: float, high: float, actual: float, level: float) -> float:
    """ln(high / low) + 2 / (1 - level) x how far ln actual lies outside."""
    outside = max(0.0, math.log(low / actual), math.log(actual / high))
    return math.log(high / low) + 2 / (1 - level) * outside


def score_record(forecast: Forecast, found: Score, source: str) -> dict[str, Any]:
    """A score ready to be written beside its forecast, sealed; `source` says where the loss comes from."""
    record = {
        "kind": SCORE_KIND,
        "schema": SCHEMA,
        "forecast_sha256": forecast.sha256,
        "source": source,
        **vars(found),
    }
    return {**record, "sha256": seal(record)}


def score_from_record(record: Mapping[str, Any], forecast: Forecast, place: str) -> Score:
    """A score read back, worked out anew from its loss and the forecast as it is; InputError for one of another forecast,
    or one that was changed.
    """
    if record.get("kind") != SCORE_KIND or record.get("sha256") != seal(dict(record)):
        raise InputError(f"{place}: was changed after it was written", "remove it and score the forecast again")
    if record.get("forecast_sha256") != forecast.sha256:
        raise InputError(f"{place}: scores another forecast", "remove it and score the forecast again")
    try:
        return score(forecast, float(record["loss"]))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{place}: not a whole score: {error}", "remove it and score the forecast again") from None


@dataclass(frozen=True)
class Hits:
    """The record of scored forecasts that were not edited: how many, how many inside, and mean figures (missing: none)."""

    scored: int
    inside: int
    expected: float
    median_error: float
    mean_interval_score: float


def hits(scores: Sequence[Score]) -> Hits:
    """Sums over scores, edited ones left out; `expected` is how many should be inside if intervals hold what they promise."""
    kept = [each for each in scores if not each.edited]
    if not kept:
        return Hits(0, 0, 0.0, math.nan, math.nan)
    errors = sorted(abs(each.error) for each in kept)
    middle = (errors[(len(errors) - 1) // 2] + errors[len(errors) // 2]) / 2
    mean = sum(each.interval_score for each in kept) / len(kept)
    return Hits(len(kept), sum(each.inside for each in kept), sum(each.level for each in kept), middle, mean)
