"""`planner forecast`, `score`, `forecasts`: predictions registered before the run, and how they fared."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from planner.cli.forecast_files import (
    HOME,
    Listed,
    as_read,
    list_forecasts,
    place_for,
    read_forecast,
    register_forecast,
    registered_on,
    score_path,
    write_text,
)
from planner.cli.output import Json, say, show_json, show_table
from planner.cli.predict import At, other_values
from planner.cli.saved_fit import FitPath, Force, read_fit
from planner.cli.table import Columns, WhereText

if TYPE_CHECKING:
    from planner.decisions.forecasts import Forecast, Hits, Score

ALIKE = 0.02  # of params and tokens: a run so near is the one that was forecast

ForecastPath = Annotated[str, typer.Argument(metavar="FORECAST", help="What `planner forecast` registered.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("forecast")(forecast)
    app.command("score")(score)
    app.command("forecasts")(forecasts)


def forecast(
    fit: FitPath,
    params: Annotated[str, typer.Option(help="Parameters, counted as the fit counts them: 37B.")],
    tokens: Annotated[str, typer.Option(help="Training tokens: 14.8T.")],
    at: At = None,
    of: Annotated[str, typer.Option("--of", help="What the run is, in words.")] = "",
    assume: Annotated[
        list[str] | None, typer.Option("--assume", help="An assumption to write down; repeat it.")
    ] = None,
    output: Annotated[
        str | None, typer.Option("--output", "-o", metavar="FILE", help="File to register it in.")
    ] = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Register a forecast before the run: law, data, prediction and assumptions, sealed, never overwritten."""
    from planner.cli.table import number
    from planner.decisions.forecasts import forecast_from_record, forecast_record
    from planner.encode import to_json
    from planner.quantities import human

    sizes = {"params": number("--params", params), "tokens": number("--tokens", tokens)}
    saved = read_fit(fit, force=force)
    record = forecast_record(saved, **sizes, of=of, assumptions=assume or (), others=other_values(at))
    name = f"{human(sizes['params'])}-on-{human(sizes['tokens'])}-{record['sha256'][:8]}.json"
    path, new = register_forecast(place_for(output, name), to_json(record) + "\n", {"fit": record["fit_sha256"]})
    if json:
        show_json({**record, "forecast": str(path), "registered": registered_on(path)})
        return
    _show_forecast(forecast_from_record(as_read(record), str(path)))
    say(f"{'registered' if new else 'registered before, the same'}: {path}")
    say(f"  when the run has landed: planner score {path} --loss ...")


def score(
    forecast: ForecastPath,
    loss: Annotated[float | None, typer.Option(help="The run's final loss, in the forecast's unit.")] = None,
    runs: Annotated[str | None, typer.Option(help="A table of runs with the one that was forecast.")] = None,
    where: WhereText = None,
    column: Columns = None,
    force: Annotated[
        bool, typer.Option("--force", help="Score a forecast that was changed, apart from others.")
    ] = False,
    json: Json = False,
) -> None:
    """Score a registered forecast by the run's loss: inside its interval or not, error, interval score."""
    from planner.decisions.forecasts import score as judge
    from planner.decisions.forecasts import score_from_record, score_record
    from planner.encode import to_json
    from planner.errors import InputError
    from planner.store import read_json

    if (loss is None) == (runs is None):
        raise InputError("give one of --loss and --runs", "--loss 1.93, or --runs runs.csv with the run in it")
    place, known = Path(forecast), read_forecast(Path(forecast))
    if known.edited and not force:
        raise InputError(
            f"{place}: was changed after it was registered", "restore it, or score it apart from the others: --force"
        )
    source = "given"
    if runs is not None:
        loss, source = _run_of(known, runs, where, column)
    found = judge(known, loss or 0.0)
    path = score_path(place)
    if not path.exists():
        write_text(path, to_json(score_record(known, found, source)) + "\n")
    elif (before := score_from_record(read_json(path), known, str(path)).loss) != found.loss:
        raise InputError(f"{path}: was scored before, by a loss of {before:g}", "remove that file to score it again")
    if json:
        show_json({**vars(found), "source": source, "of": known.of, "prediction": known.prediction, "score": str(path)})
        return
    _show_forecast(known)
    _show_score(found)
    say(f"score: {path}")


def forecasts(
    folder: Annotated[str, typer.Argument(metavar="DIR", help="A folder with forecasts, at any depth.")] = HOME,
    json: Json = False,
) -> None:
    """The record: every registered forecast, whether its run fell inside, and how often that was so."""
    from planner.decisions.forecasts import hits
    from planner.errors import InputError

    if not Path(folder).is_dir():
        raise InputError(f"{folder}: no such folder", "`planner forecast FIT` registers forecasts in results/forecasts")
    listed, broken = list_forecasts(Path(folder))
    if not listed and not broken:
        raise InputError(
            f"{folder}: holds no forecast", "`planner forecast FIT --params ... --tokens ...` registers one"
        )
    record = hits([each.score for each in listed if each.score])
    if json:
        show_json({
            "forecasts": [
                {"forecast": str(each.path), "of": each.forecast.of, "law": each.forecast.law, "count": each.forecast.count,
                 "registered": each.registered, "edited": each.forecast.edited, "prediction": each.forecast.prediction,
                 "score": each.score, "problem": each.problem} for each in listed
            ],
            "hits": record,
            "broken": broken,
        })  # fmt: skip
        return
    _show_list(listed, record)
    for message in broken:
        say(f"kept apart: {message}")


def _run_of(known: Forecast, runs: str, where: str | None, column: list[str] | None) -> tuple[float, str]:
    """The final loss of the one run in a table that was forecast, and where it stands."""
    from planner.cli.table import read_table
    from planner.errors import InputError

    frame = read_table(runs, where, column).frame
    for name in (known.count, "tokens", "loss"):
        if name not in frame:
            raise InputError(
                f"{runs}: no column {name!r}", f"the forecast counts {known.count}; --column theirs={name}"
            )
    told = known.prediction
    near = (frame[known.count] / told.params - 1).abs().le(ALIKE) & (frame["tokens"] / told.tokens - 1).abs().le(ALIKE)
    if "status" in frame:
        near &= frame["status"].fillna("completed").eq("completed")
    found = frame[near & frame["loss"].gt(0)]
    if len(found) != 1:
        raise InputError(
            f"{runs}: {len(found) or 'no'} finished runs of {told.params:.4g} {known.count} on {told.tokens:.4g} tokens",
            "choose one: --where run_id=..." if len(found) else "give the loss itself: --loss",
        )
    row = found.iloc[0]
    unit = row["loss_unit"] if "loss_unit" in frame and row["loss_unit"] == row["loss_unit"] else known.loss_unit
    if unit != known.loss_unit:
        raise InputError(
            f"{runs}: the run's loss is in {unit}, the forecast in {known.loss_unit}", "convert it: --loss"
        )
    return float(row["loss"]), f"{Path(runs).name}, line {int(row['line'])}" if "line" in frame else Path(runs).name


def _name(known: Forecast) -> str:
    from planner.quantities import human

    told = known.prediction
    size = f"{human(told.params)} on {human(told.tokens)}"
    return f"{known.of} ({size})" if known.of else size


def _show_forecast(known: Forecast) -> None:
    told, unit = known.prediction, known.loss_unit.replace("_", " ")
    say(f"{_name(known)}: loss {told.loss:.4f} {unit}, by the {known.law} law ({known.count})")
    say(f"  {told.level:.0%} interval of the mean:    {told.interval_mean[0]:.4f} to {told.interval_mean[1]:.4f}")
    say(f"  {told.level:.0%} interval of one new run: {told.interval_run[0]:.4f} to {told.interval_run[1]:.4f}")
    say(f"  {'supported' if told.supported else 'NOT supported'}: {told.reason}")
    for each in known.assumptions:
        say(f"  assumed: {each}")


def _show_score(found: Score) -> None:
    say(
        f"the run reached {found.loss:.4f}: {'inside' if found.inside else 'OUTSIDE'} the {found.level:.0%} interval of one "
        f"run; the forecast was {abs(found.error):.2%} too {'high' if found.error > 0 else 'low'}; interval score "
        f"{found.interval_score:.4f}"
    )
    if found.edited:
        say("the forecast was changed after it was registered: this score is kept apart and never counted")


def _show_list(listed: list[Listed], record: Hits) -> None:
    def row(each: Listed) -> tuple[str, ...]:
        told, found = each.forecast.prediction, each.score
        result = ("-", "-", "-") if found is None else (
            f"{found.loss:.4f}", f"{found.error:+.2%}", "yes" if found.inside else "NO"
        )  # fmt: skip
        remark = "edited" if each.forecast.edited else "" if told.supported else "not supported"
        interval = (f"{edge:.4f}" for edge in told.interval_run)
        return (_name(each.forecast), (each.registered or "-")[:10], f"{told.loss:.4f}", *interval, *result, remark)

    header = ("run", "registered", "forecast", "from", "to", "loss", "error", "inside", "")
    show_table("forecasts, with intervals of one run", header, [row(each) for each in listed])
    waiting = sum(each.score is None and not each.problem and not each.forecast.edited for each in listed)
    if record.scored:
        say(
            f"{record.inside} of {record.scored} runs inside their interval ({record.expected:.1f} expected); median error "
            f"{record.median_error:.2%}, mean interval score {record.mean_interval_score:.4f}; {waiting} waiting for a run"
        )
    else:
        say(f"none scored yet; {waiting} waiting for a run")
    for each in listed:
        if each.forecast.edited:
            say(f"kept apart: {each.path} was changed after it was registered")
        if each.problem:
            say(f"kept apart: {each.problem}")
