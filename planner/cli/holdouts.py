"""Runs kept out of every fit: forecast and registered before they are trained, scored afterwards."""

from __future__ import annotations

from pathlib import Path

from planner import store
from planner.cli.forecast_files import read_forecast, register_forecast, score_path, write_text
from planner.decisions.forecasts import forecast_record, score, score_record
from planner.encode import to_json
from planner.errors import InputError
from planner.fitting.fit import Fit
from planner.quantities import human
from planner.runs import Where, read_runs
from planner.sweep.plan import Plan

HOME = "forecasts"


def forecast_holdouts(plan: Plan, law_fit: Fit, folder: store.Folder) -> dict[tuple[float, float], Path]:
    """A registered forecast of every held-out (params_active, tokens), under the folder's forecasts/, with its date.

    One that is registered there already stands, whatever the fit says now; InputError when it was changed since.
    """
    held = plan.runs[plan.runs["kind"] == "holdout"].drop_duplicates(["params_active", "tokens"])
    registered = {}
    for params, tokens in held[["params_active", "tokens"]].itertuples(index=False):
        name = f"{HOME}/{human(params)}-on-{human(tokens)}.json".lower()
        path = folder.path / name
        if path.exists():
            _require_same_run(path, float(params), float(tokens))
        else:
            of = f"held out: {human(params)} parameters on {human(tokens)} tokens"
            record = forecast_record(law_fit, params=float(params), tokens=float(tokens), of=of)
            register_forecast(path, to_json(record) + "\n", {"fit": record["fit_sha256"]})
        folder.note(name)
        folder.note(str(path.with_suffix(".provenance.json").relative_to(folder.path)))
        registered[float(params), float(tokens)] = path
    return registered


def _require_same_run(path: Path, params: float, tokens: float) -> None:
    known = read_forecast(path)
    if known.edited:
        raise InputError(f"{path}: was changed after it was registered", "restore it, or start in another folder")
    if (known.prediction.params, known.prediction.tokens) != (params, tokens):
        raise InputError(f"{path}: forecasts another run", "start in another folder: -o")


def score_holdouts(registered: dict[tuple[float, float], Path], folder: store.Folder) -> None:
    """Score each forecast by the mean loss of the runs that it speaks of; one without a finished run stays open."""
    runs = read_runs(folder.path / store.RUNS, where=Where.parse("kind=holdout,status=completed")).frame
    for (params, tokens), path in registered.items():
        landed = runs[(runs["params_active"] == params) & (runs["tokens"] == tokens)]
        if landed.empty:
            continue
        known = read_forecast(path)
        found = score(known, float(landed["loss"].mean()))
        source = ", ".join(landed["run_id"].astype(str))
        write_text(score_path(path), to_json(score_record(known, found, source)) + "\n")
        folder.note(str(score_path(path).relative_to(folder.path)))
