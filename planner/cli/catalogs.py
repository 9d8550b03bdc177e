"""`planner models`, `hardware`, `prices`, `laws`: the catalogs, with sources."""

from __future__ import annotations

import typer

from planner.cli.output import Json, say, show_json, show_table


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("models")(models)
    app.command("hardware")(hardware)
    app.command("prices")(prices)
    app.command("laws")(laws)


def models(json: Json = False) -> None:
    """Model shapes, with parameters counted from them."""
    from planner.models.catalog import find_model, model_entries
    from planner.models.parameters import count_parameters
    from planner.quantities import human

    found = {name: (find_model(name), entry.source) for name, entry in model_entries().items()}
    counted = {name: count_parameters(model) for name, (model, _) in found.items()}
    if json:
        show_json({"models": [
            {"name": name, "params_total": count.total, "params_active": count.active,
             "params_active_without_input_embedding": count.active_without_input_embedding,
             "params_non_embedding": count.non_embedding, "shape": found[name][0], "source": found[name][1]}
            for name, count in counted.items()
        ]})  # fmt: skip
        return
    show_table("models", ("name", "total", "active", "non-embedding", "layers", "width"), [
        (name, human(count.total, 4), human(count.active, 4), human(count.non_embedding, 4),
         str(found[name][0].n_layers), str(found[name][0].d_model)) for name, count in counted.items()
    ])  # fmt: skip
    for name, (_, source) in found.items():
        say(f"{name}: {source}")


def hardware(json: Json = False) -> None:
    """Accelerators: dense peaks, memory, power."""
    from planner.costs.accelerators import accelerators
    from planner.quantities import human

    if json:
        show_json({"hardware": list(accelerators().values())})
        return
    show_table("accelerators (dense peaks)", ("name", "BF16 FLOP/s", "FP8 FLOP/s", "memory bytes", "TDP W", "a node"), [
        (a.name, human(a.bf16_flops), human(a.fp8_flops) if a.fp8_flops else "-", human(a.memory_bytes), str(a.tdp_watts),
         str(a.per_node)) for a in accelerators().values()
    ])  # fmt: skip


def prices(json: Json = False) -> None:
    """Rent per accelerator-hour, with date and basis."""
    from planner.costs.accelerators import accelerators

    if json:
        rents = [
            {"name": a.name, "usd_per_hour": a.usd_per_hour, "basis": a.price_basis} for a in accelerators().values()
        ]
        show_json({"prices": rents})
        return
    show_table("rent", ("accelerator", "USD per hour", "basis"), [
        (a.name, f"{a.usd_per_hour:.2f}", a.price_basis) for a in accelerators().values()
    ])  # fmt: skip


def laws(json: Json = False) -> None:
    """Laws, their formulas and published coefficients."""
    from planner.laws import LAWS

    if json:
        show_json({"laws": [
            {"name": law.name, "formula": law.formula, "source": law.source,
             "published": [{"source": p.source, "values": p.values} for p in law.published]} for law in LAWS.values()
        ]})  # fmt: skip
        return
    for law in LAWS.values():
        say(f"{law.name}: {law.formula}\n  {law.source}")
        for published in law.published:
            say(f"  {', '.join(f'{k} {v:g}' for k, v in published.values.items())}  ({published.source})")
