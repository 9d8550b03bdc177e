"""`planner choose`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from planner.cli.output import Json, Output, Seed, say, show_json, show_table
from planner.cli.plots import Plot, check_plot, write_plot
from planner.cli.predict import At, other_values
from planner.cli.table import Columns, CountName, LawName, WhereText, number, parse_count_name, parse_recipe, read_table

if TYPE_CHECKING:
    import numpy as np

    from planner.fitting.recipe import Recipe
    from planner.runs import RunTable
    from planner.runs.columns import Count
    from planner.runs.sample import Sample
    from planner.sweep.choose import Choice
    from planner.sweep.pool.candidates import Candidates

Pool = Annotated[
    str, typer.Argument(metavar="POOL", help="Candidate runs: csv, tsv, jsonl or parquet (gz too), one row each.")
]
Targets = Annotated[str | None, typer.Option("--targets", metavar="TABLE", help="The runs to foretell, one row each.")]
Params = Annotated[str | None, typer.Option("--params", help="Parameters of one target: 37B.")]
Tokens = Annotated[str | None, typer.Option("--tokens", help="Training tokens of one target: 14.8T.")]
Observed = Annotated[str | None, typer.Option("--observed", metavar="RUNS", help="Finished runs, with their losses.")]
BudgetText = Annotated[
    str | None, typer.Option("--budget", help="What may be spent, in the pool's cost: 2e20, 500, or 10% of the pool.")
]
Runs = Annotated[int | None, typer.Option("--n", metavar="N", help="At most so many runs; without --budget any N.")]
Batch = Annotated[
    str | None, typer.Option("--batch", help="What is spent now, as --budget: the runs of the plan to do first.")
]
CostColumn = Annotated[
    str | None,
    typer.Option("--cost", help="Column that is the cost; else gpu_hours, usd, flops or 6 x params x tokens."),
]
SHOWN = 40  # chosen runs in the table for people


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("choose")(choose)


def choose(
    pool: Pool,
    targets: Targets = None,
    params: Params = None,
    tokens: Tokens = None,
    at: At = None,
    observed: Observed = None,
    law: LawName = "auto",
    budget: BudgetText = None,
    n: Runs = None,
    batch: Batch = None,
    cost: CostColumn = None,
    count: CountName = None,
    where: WhereText = None,
    column: Columns = None,
    seed: Seed = 0,
    output: Output = None,
    plot: Plot = None,
    json: Json = False,
) -> None:
    """Which runs of a pool to do next, so that the targets are foretold best; no finished runs yet is a valid start."""
    from planner.sweep.choose import choose as make_choice
    from planner.sweep.pool.candidates import candidates_of, require_one_measure

    check_plot(plot)
    table = read_table(pool, where, column)
    recipe = parse_recipe(law, None, None, table=table)
    counted = _count(table, recipe, parse_count_name(count))
    candidates = candidates_of(table, recipe.law, cost=cost, count=counted)
    seen = None if observed is None else read_table(observed, None, column)
    aimed = None if targets is None else read_table(targets, None, column)
    require_one_measure(table, seen, aimed)
    aims = _targets(aimed, recipe, counted, params, tokens, at)
    sample = None if seen is None else _sample(seen, recipe, counted)
    total = float(candidates.cost.sum())
    found = make_choice(
        candidates, aims, recipe=recipe, observed=sample, budget=_amount("--budget", budget, total), n=n,
        batch=_amount("--batch", batch, total), seed=seed,
    )  # fmt: skip
    if plot is not None:
        from planner.report.choose_figures import choose_figure

        write_plot(plot, "choose", lambda: choose_figure(found, candidates, aims, sample))
    record = _record(found)
    if output is not None:
        read = {"pool": table, "targets": aimed, "observed": seen}
        said = {"law": law, "budget": budget, "n": n, "batch": batch, "cost": cost, "count": count, "where": where,
                "column": column, "params": params, "tokens": tokens, "at": at}  # fmt: skip
        hashes = {name: one.sha256 for name, one in read.items() if one is not None}
        _write(output, {**hashes, **{name: str(value) for name, value in said.items()}}, seed, record, table, found)
    if json:
        show_json(record)
        return
    _show(found, candidates, "budget" if batch is None else "batch")
    if output is not None:
        say(f"chosen runs: {output}")


def _count(table: RunTable, recipe: Recipe, wanted: Count | None) -> Count | None:
    """The column of parameters: the one asked for, or the one there is, where the law counts any."""
    from planner.runs.sample import choose_count

    return choose_count(table, wanted) if wanted is not None or "params" in recipe.law.variables else None


def _targets(
    table: RunTable | None,
    recipe: Recipe,
    count: Count | None,
    params: str | None,
    tokens: str | None,
    at: list[str] | None,
) -> dict[str, np.ndarray]:
    """The targets' columns, from the table or from the options."""
    import numpy as np

    from planner.errors import InputError
    from planner.sweep.pool.candidates import points_of

    given = {name: number(f"--{name}", text) for name, text in (("params", params), ("tokens", tokens)) if text}
    given |= other_values(at)
    if table is not None:
        if given:
            raise InputError("targets by a table and by options", "give --targets, or --params, --tokens and --at")
        return points_of(table, recipe.law, count=count)
    if not given:
        raise InputError("no target", "give --targets TABLE, or --params, --tokens (and --at) of one run")
    if count is not None and "params" in given:
        given.setdefault(str(count), given["params"])
    missing = [name for name in recipe.law.variables if name not in given]
    if "flops" in missing and {"params", "tokens"} <= set(given):
        missing.remove("flops")
    if missing:
        how = ", ".join(f"--{name}" if name in ("params", "tokens") else f"--at {name}=..." for name in missing)
        raise InputError(f"targets lack {', '.join(missing)}, of which the {recipe.law.name} law speaks", how)
    bad = next((name for name in ("params", "tokens") if given.get(name, 1.0) <= 0), None)
    if bad is not None:
        raise InputError(f"--{bad} {given[bad]:g} is not above zero", "give a plain count: 37B, 14.8T")
    return {name: np.array([value]) for name, value in given.items()}


def _sample(table: RunTable, recipe: Recipe, count: Count | None) -> Sample:
    from planner.fitting.columns import read_sample

    return read_sample(table, recipe.law, count=count)


def _amount(option: str, text: str | None, total: float) -> float | None:
    """An amount in the pool's unit of cost, or a share of all of it."""
    from planner.errors import InputError

    if text is None:
        return None
    if text.strip().endswith("%"):
        share = number(option, text.strip()[:-1]) / 100
        if not 0 < share <= 1:
            raise InputError(f"{option} {text} is no share of the pool", "give more than 0% and at most 100%")
        return share * total
    amount = number(option, text.strip().lstrip("$"))
    if not amount > 0:
        raise InputError(f"{option} {text} is not above zero", "give an amount, or a share like 10%")
    return amount


def _record(found: Choice) -> dict[str, object]:
    runs = [
        {"run_id": run_id, "cost": cost, "sd_after": sd}
        for run_id, cost, sd in zip(found.run_ids, found.costs, found.sds, strict=True)
    ]
    return {
        "run_ids": list(found.run_ids), "expected_sd": found.expected_sd, "cost": found.cost,
        "certificate": found.certificate, "sd_before": found.sd_before, "planned_sd": found.planned_sd,
        "spent_fraction": found.spent_fraction, "unit": found.unit, "law": found.law, "belief": found.belief,
        "n_candidates": found.n_candidates, "n_set_aside": found.n_set_aside, "runs": runs,
    }  # fmt: skip


def _write(
    output: str, inputs: dict[str, str], seed: int, record: dict[str, object], table: RunTable, found: Choice
) -> None:
    """The choice, and the chosen rows of the pool in the order in which to do them."""
    from planner import store
    from planner.sweep.pool.candidates import ids_of

    rows = table.frame.assign(run_id=ids_of(table.frame)).drop(columns="line").set_index("run_id")
    folder = store.Folder(output, "choose", inputs, seed=seed, replace=True)
    folder.start()
    folder.write_json(store.CHOICE, record)
    folder.write_table(store.CHOSEN, rows.loc[list(found.run_ids)].reset_index())
    folder.finish()


def _show(found: Choice, pool: Candidates, purse: str) -> None:
    from planner.quantities import human

    at = {run_id: one for one, run_id in enumerate(pool.run_ids)}
    names = [name for name in pool.columns if name != "flops" or found.unit != "flops"]
    before = (found.sd_before, *found.sds[:-1])
    rows = [
        (run_id, *(human(float(pool.columns[name][at[run_id]])) for name in names), human(cost),
         f"{1 - (sd / old) ** 2:.0%}", _percent(sd))
        for run_id, cost, old, sd in zip(found.run_ids, found.costs, before, found.sds, strict=True)
    ][:SHOWN]  # fmt: skip
    header = ("run", *names, f"cost ({found.unit})", "off the variance left", "expected sd then")
    show_table(f"{len(found.run_ids)} of {found.n_candidates} candidates, first things first", header, rows)
    if len(found.run_ids) > SHOWN:
        say(f"and {len(found.run_ids) - SHOWN} more: --json or -o lists them all")
    spent = "" if found.spent_fraction is None else f" ({found.spent_fraction:.1%} of the {purse})"
    say(f"from {found.belief}")
    say(
        f"expected sd at the targets {_percent(found.sd_before)} -> {_percent(found.expected_sd)} "
        f"for {human(found.cost)} {found.unit}{spent}"
    )
    if found.planned_sd < found.expected_sd * (1 - 1e-9):
        say(f"once the whole budget is spent: {_percent(found.planned_sd)}; choose again when these are back")
    if found.certificate is not None:
        say(f"variance at most {found.certificate:.1%} above what even fractions of runs could reach")
    if found.n_set_aside:
        say(f"{found.n_set_aside} candidates set aside: fewer than 4 tokens per parameter, where laws do not hold")


def _percent(sd: float) -> str:
    """An sd of ln loss; beyond 100 % nothing is known."""
    return f"{100 * sd:.3g}%" if sd < 1 else "above 100%"
