"""`planner cost`: one run's hours, dollars and energy."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from planner.cli.output import Json, say, show_json, show_table

if TYPE_CHECKING:
    from planner.costs.cost import Cost
    from planner.costs.ownership import Ownership
    from planner.costs.run_cost import Percentiles, RunCost


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("cost")(cost)


def cost(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="Catalog name, TOML file, or Hugging Face config.json.")
    ],
    tokens: Annotated[str, typer.Option(help="Training tokens: 14.8T.")],
    accelerator: Annotated[str, typer.Option(help="Catalog name or TOML file.")] = "h100",
    count: Annotated[int, typer.Option(min=1, max=10_000_000, help="Accelerators, whole nodes.")] = 1024,
    batch: Annotated[str | None, typer.Option(help="Tokens of a global batch: 16M. [default: Step Law]")] = None,
    context: Annotated[int, typer.Option(min=1, max=100_000_000, help="Tokens of a sequence.")] = 4096,
    precision: Annotated[str, typer.Option(help="Matrix products: bf16 or fp8.")] = "bf16",
    attention: Annotated[str, typer.Option(help="Kernel: flash-1, flash-2, flash-3 or unfused.")] = "flash-3",
    gpu_hours_per_trillion_tokens: Annotated[str | None, typer.Option(help="Measured: 180K.")] = None,
    price: Annotated[float | None, typer.Option(help="Rent, USD per GPU-hour. [default: catalog]")] = None,
    basis: Annotated[str | None, typer.Option(help="The catalog's rent: list, committed_1y, committed_3y.")] = None,
    chip_price: Annotated[float | None, typer.Option(help="USD for one chip without its server.")] = None,
    years: Annotated[float, typer.Option(help="Years an owned cluster is written off over.")] = 5.0,
    depreciation: Annotated[str, typer.Option(help="straight_line or market_value.")] = "straight_line",
    cluster_utilisation: Annotated[float, typer.Option(help="Share of owned hours that is used.")] = 0.9,
    grid: Annotated[str, typer.Option(help="Electricity: us, texas or france.")] = "us",
    explain: Annotated[bool, typer.Option("--explain", help="Say where each number comes from.")] = False,
    json: Json = False,
) -> None:
    """What training one model costs: parameters, FLOPs, layout, hours, dollars rented and owned, energy."""
    from planner.cli.choices import choice
    from planner.cli.files import named_accelerator, named_model
    from planner.cli.table import number
    from planner.costs.accelerators import Precision
    from planner.costs.calibration import AttentionKernel
    from planner.costs.cost import cost as price_run
    from planner.costs.prices import Basis

    shape, taken = named_model(model)
    measured = gpu_hours_per_trillion_tokens
    found = price_run(
        shape,
        number("--tokens", tokens),
        accelerator=named_accelerator(accelerator),
        count=count,
        batch_tokens=number("--batch", batch) if batch else None,
        context_length=context,
        precision=choice("--precision", precision, Precision),
        kernel=choice("--attention", attention, AttentionKernel),
        gpu_hours_per_trillion_tokens=number("--gpu-hours-per-trillion-tokens", measured) if measured else None,
        usd_per_gpu_hour=price,
        basis=choice("--basis", basis, Basis) if basis else None,
        usd_per_chip=chip_price,
        ownership=_ownership(years, depreciation, cluster_utilisation),
        grid=grid,
    )
    if json:
        show_json(_json(found, taken, explain=explain))
        return
    _show(found)
    if explain:
        _explain(found, taken)


def _ownership(years: float, depreciation: str, utilisation: float) -> Ownership:
    from planner.cli.choices import choice
    from planner.costs.ownership import Depreciation, Ownership

    kind = choice("--depreciation", depreciation, Depreciation)
    return Ownership(years=years, depreciation=kind, utilisation=utilisation)


def _json(found: Cost, taken: dict[str, Any], *, explain: bool) -> dict[str, Any]:
    from planner.costs.cost import reasons
    from planner.costs.search import alternatives
    from planner.models.parameters import count_parameters

    best, count = found.best_known, count_parameters(found.model)
    told: dict[str, Any] = {
        "model": found.model.name,
        "params_total": count.total,
        "params_active": count.active,
        "params_non_embedding": count.non_embedding,
        "params_active_without_input_embedding": count.active_without_input_embedding,
        "params_by_part": asdict(count),
        "flops_by_rule": found.flops_by_rule,
        "accelerator": found.cluster.chip.name,
        "count": found.cluster.count,
        **_amounts(best),
        "gpu_hours_source": "measured" if found.measured else "modelled",
        "modelled": _amounts(found.modelled),
        "reasons": reasons(found),
        "layout": {**asdict(best.fastest.layout), "batch_tokens": best.fastest.batch_tokens, "steps": best.hours.steps,
                   "context_length": found.context_length},
        "step_seconds": best.fastest.seconds_by_part,
        "memory_bytes": best.fastest.bytes_by_part,
        "price": asdict(found.terms.rent),
        "owned_usd_per_gpu_hour": best.owned.parts if best.owned else None,
        "capital_usd": best.owned.capital_usd * found.cluster.count if best.owned else None,
        "break_even_utilisation": best.break_even_utilisation,
        "assumed": {**found.assumed, **{f"config.{key}": value for key, value in taken.items()}},
    }  # fmt: skip
    if explain:
        others = alternatives(found.model, found.cluster, best.fastest.batch_tokens, found.context_length)
        told["alternatives"] = [
            {"layout": str(other.layout), "step_seconds": other.seconds, "against": other.against} for other in others
        ]
    return told


def _amounts(run: RunCost) -> dict[str, Any]:
    return {
        "tokens": run.tokens, "flops": run.flops, "flops_rule": run.flops_rule, "mfu": run.mfu,
        "utilisation": run.utilisation, "gpu_hours": run.hours.expected,
        "gpu_hours_percentiles": run.hours.percentiles, "days": run.days,
        "usd": {"rental": run.usd_rental.p50, "owned": run.usd_owned.p50 if run.usd_owned else None},
        "usd_percentiles": {"rental": run.usd_rental, "owned": run.usd_owned},
        "energy_kwh": run.energy_kwh, "co2_kg": run.co2_kg, "co2_embodied_kg": run.co2_embodied_kg,
    }  # fmt: skip


def _show(found: Cost) -> None:
    from planner.costs.cost import reasons
    from planner.quantities import human

    cluster, count, modelled = found.cluster, found.count, found.modelled
    say(f"{found.model.name}: {human(count.total, 4)} parameters, {human(count.active, 4)} active, "
        f"{human(count.non_embedding, 4)} without embedding and head")  # fmt: skip
    say(f"{human(modelled.tokens)} tokens, {modelled.flops:.3g} FLOPs ({modelled.flops_rule}), {cluster.count:,} x "
        f"{cluster.chip.name}, {cluster.precision}, {found.terms.rent}")  # fmt: skip
    runs = [modelled] if found.measured is None else [modelled, found.measured]
    header = ("", "modelled", "P10", "P90", *(["as given"] if found.measured else []))
    show_table("", header, [(name, *cells) for name, cells in _rows(runs).items()])
    say(f"layout: {modelled.fastest.layout}; {modelled.hours.steps:,} steps of {human(modelled.fastest.batch_tokens)} "
        f"tokens, {modelled.fastest.seconds:.3g} s each")  # fmt: skip
    if modelled.owned:
        capital = modelled.owned.capital_usd * cluster.count
        share = modelled.break_even_utilisation
        even = f"owning pays above {share:.0%} use" if share else "at this rent owning never pays"
        say(f"owned: ${modelled.owned.usd_per_gpu_hour:.2f} per GPU-hour, ${human(capital)} to buy the cluster; {even}")
    for reason in reasons(found):
        say(f"- {reason}")
    for name, why in found.assumed.items():
        say(f"assumed {name}: {why}")


def _rows(runs: list[RunCost]) -> dict[str, list[str]]:
    """Each quantity with the model's range, and the value by given hours."""
    from planner.quantities import dollars, human

    first = runs[0]

    def ranged(spread: Percentiles, show: Any) -> list[str]:  # noqa: ANN401 - any formatter
        return [show(spread.p50), show(spread.p10), show(spread.p90)]

    hours = first.hours.percentiles
    days = [f"{edge * first.days / hours.p50:.1f}" for edge in (hours.p50, hours.p10, hours.p90)]
    rows = {
        "GPU-hours": [*ranged(hours, human), *(human(run.hours.expected) for run in runs[1:])],
        "days": [*days, *(f"{run.days:.1f}" for run in runs[1:])],
        "days per 1T tokens": [f"{first.days / first.tokens * 1e12:.2f}", "", "",
                               *(f"{run.days / run.tokens * 1e12:.2f}" for run in runs[1:])],
        "rented": [*ranged(first.usd_rental, dollars), *(dollars(run.usd_rental.p50) for run in runs[1:])],
    }  # fmt: skip
    if first.usd_owned:
        owned = [dollars(run.usd_owned.p50) for run in runs[1:] if run.usd_owned]
        rows["owned"] = [*ranged(first.usd_owned, dollars), *owned]
    rows["MFU while stepping"] = [f"{first.mfu:.1%}", "", "", *("" for _ in runs[1:])]
    rows["BF16 peak used, all hours"] = [
        f"{first.utilisation:.1%}",
        "",
        "",
        *(f"{run.utilisation:.1%}" for run in runs[1:]),
    ]
    rows["energy, MWh"] = [
        f"{first.energy_kwh / 1e3:,.0f}",
        "",
        "",
        *(f"{run.energy_kwh / 1e3:,.0f}" for run in runs[1:]),
    ]
    rows["t CO2e, use + building"] = [
        f"{run.co2_kg / 1e3:,.0f} + {run.co2_embodied_kg / 1e3:,.0f}" for run in runs[:1]
    ] + ["", "", *(f"{run.co2_kg / 1e3:,.0f} + {run.co2_embodied_kg / 1e3:,.0f}" for run in runs[1:])]
    return rows


def _explain(found: Cost, taken: dict[str, Any]) -> None:
    from planner.costs.calibration import AttentionKernel, validated
    from planner.costs.search import alternatives
    from planner.costs.step import FITTED

    fastest = found.modelled.fastest
    _explain_counts(found)
    behind = dict.fromkeys(FITTED, "fitted")
    if found.cluster.kernel is not AttentionKernel.FLASH_1:
        behind["attention"] = "kernel's paper"
    show_table("seconds of a step", ("part", "seconds", "share", "behind it"), [
        (part, f"{seconds:.4g}", f"{seconds / fastest.seconds:.1%}", behind.get(part, "no data"))
        for part, seconds in fastest.seconds_by_part.items() if seconds
    ])  # fmt: skip
    show_table("memory of the fullest accelerator", ("part", "GB"), [
        (part, f"{held / 1e9:.1f}") for part, held in fastest.bytes_by_part.items()
    ])  # fmt: skip
    others = alternatives(found.model, found.cluster, fastest.batch_tokens, found.context_length)
    fit = [other for other in others if other.seconds is not None][:6]
    rest = [other for other in others if other.seconds is None][:6]
    show_table("other layouts", ("layout", "against it"), [(str(other.layout), other.against) for other in fit + rest])
    if found.modelled.owned:
        show_table("an owned hour", ("part", "USD"), [
            (part, f"{usd:.3f}") for part, usd in found.modelled.owned.parts.items()
        ])  # fmt: skip
    for line in _sources(found, taken):
        say(f"- {line}")
    if not validated(found.cluster.chip):
        say(f"- no throughput measured on {found.cluster.chip.name} is behind the step-time model: its data sheet is")


def _explain_counts(found: Cost) -> None:
    from planner.models.flops import Recomputation, forward_flops

    count = found.count
    show_table("parameters by part", ("part", "parameters"), [
        (part.replace("_", " "), f"{params:,}") for part, params in asdict(count).items() if params
    ])  # fmt: skip
    say(
        f"active without the input embedding, the rule behind DeepSeek-V3's 37B: {count.active_without_input_embedding:,}"
    )
    flops = forward_flops(found.model, found.context_length)
    show_table(f"forward FLOPs of one token, context {found.context_length:,}", ("part", "FLOPs"), [
        (part, f"{value:.4g}") for part, value in asdict(flops).items() if value
    ])  # fmt: skip
    rows = [(rule, f"{value:.4g}") for rule, value in found.flops_by_rule.items()]
    for kind in (Recomputation.SELECTIVE, Recomputation.FULL):
        rows.append((f"exact, {kind} recomputation", f"{found.modelled.tokens * flops.training(kind):.4g}"))
    show_table("training FLOPs by rule", ("rule", "FLOPs"), rows)


def _sources(found: Cost, taken: dict[str, Any]) -> list[str]:
    terms, chip = found.terms, found.cluster.chip
    told = [
        f"parameters: counted from the shape; config fields by default: {taken}"
        if taken
        else "parameters: counted from the shape",
        "FLOPs: 6 x active parameters x tokens (arXiv 2001.08361), embeddings included",
        "hours: step-time model fitted to 216 measurements (docs/costs.md), over goodput "
        f"{found.modelled.hours.goodput:.3f} and production factor {found.modelled.hours.production:.2f}",
        f"accelerator: {chip.source}",
        f"interruptions: one per {terms.reliability.gpu_hours_per_interruption:,.0f} GPU-hours (Llama 3, arXiv 2407.21783); "
        f"a checkpoint every {terms.reliability.checkpoint_interval(found.cluster.count) / 60:.0f} minutes (Young/Daly)",
        f"rent: {terms.rent}",
        f"electricity: ${terms.grid.usd_per_kwh:.4f} and {terms.grid.kg_co2_per_kwh:.3f} kg CO2e per kWh ({terms.grid.source})",
    ]
    if terms.purchase:
        with_server = "with its server" if terms.purchase.includes_server else "without server"
        told.append(
            f"purchase: ${terms.purchase.usd:,.0f} a chip {with_server} ({terms.purchase.source}, {terms.purchase.date})"
        )
        told.append(_owning(found.terms.ownership))
    return told


def _owning(terms: Ownership) -> str:
    """Every assumption of owning, in words."""
    return (
        f"owning: server x {terms.server_factor:g} unless in the price, network {terms.network_share:.0%} of the whole, "
        f"{terms.years:g} years {terms.depreciation.replace('_', ' ')}, capital at {terms.capital_rate:.0%} (arXiv 2405.21015); "
        f"colocation ${terms.colocation_usd_per_kw_month:g} per kW and month (2024-2026); assumed: operations "
        f"{terms.operations:.0%} a year, staff ${terms.staff_usd_per_gpu_year:g} per GPU and year, {terms.utilisation:.0%} of "
        f"its hours used; power {terms.average_draw:g} of the maximum, PUE {terms.pue:g} (arXiv 2405.21015)"
    )
