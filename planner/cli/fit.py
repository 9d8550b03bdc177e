"""`planner fit`."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from planner.cli.letters import Bounds, Fixed, Priors, Tied, parse_constraints
from planner.cli.output import EngineName, Json, Output, Seed, say, show_json, steps, warn
from planner.cli.plots import Plots, plot_kind
from planner.cli.show_fit import FINAL, FURTHER, Extras, show_extras, show_fit
from planner.cli.table import (
    Columns,
    CountName,
    Delta,
    GroupName,
    IntervalName,
    LawName,
    Level,
    RunsPath,
    TargetName,
    WhereText,
    Window,
    number,
    parse_count_name,
    parse_recipe,
    read_table,
)

if TYPE_CHECKING:
    from planner.engines import Engine
    from planner.fitting.fit import Fit
    from planner.fitting.recipe import Recipe
    from planner.runs import RunTable
    from planner.runs.sample import Sample


WeightColumn = Annotated[str | None, typer.Option("--weight", help="Column of weights, zero or more, of runs.")]
NoiseColumn = Annotated[str | None, typer.Option("--noise", help="Column of each run's sd of ln loss.")]
FinalFlops = Annotated[
    str | None,
    typer.Option("--final-flops", help="Compute of the final run, for the isoFLOP comparison (100x the largest)."),
]
FinalUsd = Annotated[str | None, typer.Option("--final-usd", help="What the final run costs: waste in dollars.")]
Pool = Annotated[bool, typer.Option("--pool", help="Fit the runs of all groups as one.")]
Certify = Annotated[bool, typer.Option("--certify", help="Look for a lower optimum, from random starts and by bounds.")]
CrossCheck = Annotated[
    bool, typer.Option("--cross-check", help="The forecast at 10x the compute by five other kinds of interval.")
]


AcrossLaws = Annotated[
    bool,
    typer.Option(
        "--across-laws",
        help="Let all disagreement of the laws widen what is said beyond the largest run, not only where it warns.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("fit")(fit)


def fit(
    runs: RunsPath,
    output: Output = None,
    law: LawName = "auto",
    huber_delta: Delta = None,
    count: CountName = None,
    window: Window = None,
    where: WhereText = None,
    column: Columns = None,
    target: TargetName = None,
    group: GroupName = None,
    pool: Pool = False,
    level: Level = 0.9,
    interval: IntervalName = None,
    prior: Priors = None,
    fix: Fixed = None,
    tie: Tied = None,
    bound: Bounds = None,
    weight: WeightColumn = None,
    noise: NoiseColumn = None,
    final_flops: FinalFlops = None,
    final_usd: FinalUsd = None,
    across_laws: AcrossLaws = False,
    plots: Plots = "svg",
    certify: Certify = False,
    cross_check: CrossCheck = False,
    engine: EngineName = "processes",
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """A law with intervals: the default recipe, or a named law as in the papers. Several groups: one fit each."""
    from planner.engines import opened
    from planner.errors import InputError
    from planner.fitting.columns import read_sample

    if not certify and engine != "processes":
        raise InputError(f"--engine {engine} without --certify", "leave it out: nothing else of a fit takes long")
    said, table = parse_constraints(prior, fix, tie, bound), read_table(runs, where, column)
    recipe = parse_recipe(law, huber_delta, window, interval, said, table=table, target=target)
    read = partial(read_sample, table, recipe.law, automatic=recipe.automatic, count=parse_count_name(count), weight=weight,
                   noise=noise, target=target)  # fmt: skip
    kind = plot_kind(plots)
    final = None if final_flops is None else number("--final-flops", final_flops)
    usd = None if final_usd is None else number("--final-usd", final_usd.lstrip("$"))
    made, refused = _fits(table, read, recipe, group, level, seed, pool=pool, across_laws=across_laws)
    fits = [one for one, _ in made]
    with opened(engine, warn) as chosen:
        extras = [
            _extras(one, sample, recipe, final, usd, chosen if certify else None, cross_check=cross_check, seed=seed)
            for one, sample in made
        ]
    asked = {"law": law, "huber_delta": huber_delta, "count": count, "window": window, "target": target,
             "where": where, "group": group, "pool": pool, "across_laws": across_laws,
             "level": level, "column": column, "interval": interval, "prior": prior, "fix": fix, "tie": tie, "bound": bound,
             "weight": weight, "noise": noise}  # fmt: skip
    settings = {name: str(value) for name, value in asked.items()}
    stem = Path(runs).name.partition(".")[0]
    paths = _write(made, output or f"results/{stem}-fit", {"runs": table.sha256, **settings}, seed, kind)
    if json:
        show_json(_record(fits, paths, extras, refused))
        return
    _show_reading(table)
    for one, path, extra in zip(fits, paths, extras, strict=True):
        show_fit(one)
        show_extras(one, extra)
        say(f"fit: {path}{'' if kind is None else f', pictures beside it ({kind})'}")
    for refusal in refused:
        say(f"not fitted: {refusal}")


def _fits(
    table: RunTable,
    read: Callable[..., Sample],
    recipe: Recipe,
    group: str | None,
    level: float,
    seed: int,
    *,
    pool: bool = False,
    across_laws: bool = False,
) -> tuple[list[tuple[Fit, Sample]], list[str]]:
    """One fit a group with its runs, and why groups could not be fitted; raises the first reason when none could."""
    from planner.errors import InputError
    from planner.fitting.fit import fit as make_fit
    from planner.runs.sample import groups_of

    fits, refused = [], []
    names = [""] if pool else [group] if group is not None else groups_of(table)
    for name in names:
        try:
            sample = read(group=name or None)
            fits.append((make_fit(sample, recipe, level=level, seed=seed, across_laws=across_laws), sample))
        except InputError as error:
            refused.append(error)
    if not fits:
        raise refused[0]
    return fits, [error.message for error in refused]


def _extras(
    fit: Fit, sample: Sample, recipe: Recipe, flops: float | None, usd: float | None, certify: Engine | None, *,
    cross_check: bool, seed: int,
) -> Extras:  # fmt: skip
    """What was asked for beside the fit (a certificate by the engine `certify`), and other approaches to isoFLOP profiles."""
    from planner.decisions.approaches import approaches
    from planner.errors import InputError
    from planner.laws.law import of_size_and_data

    certificate, roads = None, None
    if not of_size_and_data(type(fit.law)):
        if certify is not None or cross_check:
            raise InputError(
                f"--certify and --cross-check are for laws of params and tokens, not {fit.law.name}", "leave them out"
            )
        return Extras(None, None, [], math.nan, usd)
    target = flops or FINAL * fit.reach.flops
    if certify is not None:
        from planner.fitting.certify import STEPS, certify_recipe

        with steps(STEPS) as progress:
            certificate = certify_recipe(sample, recipe, seed=seed, engine=certify, progress=progress)
    if cross_check:
        from planner.fitting.cross_check import cross_check as other_roads

        best = fit.law.optimum(FURTHER * fit.reach.flops)
        roads = other_roads(sample, recipe, params=best.params, tokens=best.tokens, level=fit.level, seed=seed)
    return Extras(certificate, roads, approaches(fit, sample, flops=target), target, usd)


def _write(
    made: list[tuple[Fit, Sample]], output: str, inputs: dict[str, str], seed: int, kind: str | None
) -> list[Path]:
    from planner import store
    from planner.fitting.saved import fit_to_record
    from planner.text import slug

    fits = [one for one, _ in made]
    folder = store.Folder(output, "fit", inputs, seed=seed, replace=True)
    folder.start()
    names = [store.FIT] if len(fits) == 1 else [f"fit-{slug(one.group)}.json" for one in fits]
    paths = [folder.write_json(name, fit_to_record(one)) for name, one in zip(names, fits, strict=True)]
    for one, sample in made if kind is not None else []:
        from planner.report.fit_figures import pictures

        label = "" if len(made) == 1 else f"-{slug(one.group)}"
        for name, content in pictures(one, sample, kind or "").items():
            stem, dot, ending = name.rpartition(".")
            folder.write_bytes(f"{stem}{label}{dot}{ending}", content)
    folder.finish()
    return paths


def _record(fits: list[Fit], paths: list[Path], extras: list[Extras], refused: list[str]) -> dict[str, object]:
    from planner.fitting.saved import fit_summary

    records = [
        {**fit_summary(one), **extra.asked, "fit": str(path)}
        for one, path, extra in zip(fits, paths, extras, strict=True)
    ]
    return {**records[0], "refused": refused} if len(records) == 1 else {"fits": records, "refused": refused}


def _show_reading(table: RunTable) -> None:
    mapped = ", ".join(f"{theirs} -> {ours}" for theirs, ours in table.mapped.items())
    filtered = f"; {table.n_filtered} rows left out by --where" if table.n_filtered else ""
    say(f"{table.source}: {len(table.frame)} rows{filtered}{f'; read {mapped}' if mapped else ''}")
