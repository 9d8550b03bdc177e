"""`planner models`, `hardware`, `prices`: the catalogs, with sources."""

from __future__ import annotations

from dataclasses import asdict

import typer

from planner.cli.output import Json, say, show_json, show_table


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("models")(models)
    app.command("hardware")(hardware)
    app.command("prices")(prices)


def models(json: Json = False) -> None:
    """Model shapes, with parameters counted from them."""
    from planner.models.catalog import find_model, model_entries
    from planner.models.parameters import count_parameters
    from planner.quantities import human

    entries = model_entries()
    shapes = {name: find_model(name) for name in entries}
    counted = {name: count_parameters(shape) for name, shape in shapes.items()}
    if json:
        show_json({"models": [
            {"name": name, "params_total": count.total, "params_active": count.active,
             "params_active_without_input_embedding": count.active_without_input_embedding,
             "params_non_embedding": count.non_embedding, "params_total_published": entries[name].published,
             "shape": shapes[name], "source": entries[name].source} for name, count in counted.items()
        ]})  # fmt: skip
        return
    columns = ("name", "total", "published", "active", "non-embedding", "layers", "width")
    show_table("models", columns, [
        (name, human(count.total, 4), _beside(count.total, entries[name].published), human(count.active, 4),
         human(count.non_embedding, 4), str(shapes[name].n_layers), str(shapes[name].d_model))
        for name, count in counted.items()
    ])  # fmt: skip
    _say_sources({name: entry.source for name, entry in entries.items()})


def _beside(counted: int, published: int | None) -> str:
    return "-" if published is None else "equal" if counted == published else f"{published:,}"


def _say_sources(sources: dict[str, str]) -> None:
    """Each source once, after the names it is of."""
    for source in dict.fromkeys(sources.values()):
        say(f"{', '.join(name for name, each in sources.items() if each == source)}: {source}")


def hardware(json: Json = False) -> None:
    """Accelerators: dense peaks, memory, links in one direction, power."""
    from planner.costs.accelerators import accelerators

    chips = list(accelerators().values())
    if json:
        show_json({"hardware": [{**asdict(chip), "matmul_ceiling": chip.matmul_ceiling} for chip in chips]})
        return
    columns = ("name", "BF16", "FP8", "FP4", "matmul", "GB", "GB/s", "scale-up", "scale-out", "TDP W", "a node")
    show_table("accelerators: dense TFLOP/s; GB/s of memory and, one way, of both links", columns, [
        (chip.name, _in(1e12, chip.bf16_flops), _in(1e12, chip.fp8_flops), _in(1e12, chip.fp4_flops),
         f"{chip.matmul_ceiling:.0%}{'' if chip.measured_matmul_flops else '*'}", _in(1e9, chip.memory_bytes),
         _in(1e9, chip.memory_bandwidth), _in(1e9, chip.scaleup_bandwidth_one_way),
         _in(1e9, chip.scaleout_bandwidth_one_way), _in(1, chip.tdp_watts), str(chip.per_node)) for chip in chips
    ])  # fmt: skip
    say("matmul: best measured BF16 matrix product over the peak; * not measured, the median of the others")
    _say_sources({chip.name: chip.source for chip in chips})


def _in(unit: float, value: float | None) -> str:
    return "-" if value is None else f"{value / unit:,.5g}"


def prices(json: Json = False) -> None:
    """Rents, purchase prices and electricity, each with date, basis and source."""
    from planner.costs.prices import grids, purchases, rents

    if json:
        show_json({"prices": {"rents": rents(), "purchases": purchases(), "grids": grids()}})
        return
    show_table("rent, USD per GPU-hour", ("accelerator", "typical", "low", "high", "basis", "date", "source"), [
        (rent.accelerator, f"{rent.usd_per_gpu_hour:.2f}", f"{rent.low:.2f}", f"{rent.high:.2f}",
         rent.basis.replace("_", " "), rent.date, rent.source) for rent in rents()
    ])  # fmt: skip
    show_table("purchase, USD per chip", ("accelerator", "typical", "low", "high", "server", "date", "source"), [
        (found.accelerator, f"{found.usd:,.0f}", f"{found.low:,.0f}", f"{found.high:,.0f}",
         "with" if found.includes_server else "without", found.date, found.source) for found in purchases()
    ])  # fmt: skip
    show_table("electricity", ("grid", "USD per kWh", "kg CO2e per kWh", "date", "source"), [
        (grid.name, f"{grid.usd_per_kwh:.4f}", f"{grid.kg_co2_per_kwh:.3f}", grid.date, grid.source) for grid in grids()
    ])  # fmt: skip
