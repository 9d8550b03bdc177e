"""`planner ledgers`."""

from __future__ import annotations

from typing import Annotated

import typer

from planner.cli.output import Json, Output, say, show_json, show_table


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("ledgers")(ledgers)


def ledgers(
    name: Annotated[str | None, typer.Argument(help="One case; without it all of them.")] = None,
    output: Output = None,
    json: Json = False,
) -> None:
    """What exploration cost others: published cases as small ledgers, with scope and source."""
    import pandas as pd

    from planner import store
    from planner.quantities import human
    from planner.report.published import UNITS, cases, find_case
    from planner.report.render import render_ledgers

    found = cases() if name is None else (find_case(name),)
    table = pd.concat([case.table for case in found], ignore_index=True)
    if output is not None:
        folder = store.Folder(output, "ledgers", {"cases": ",".join(case.name for case in found)}, replace=True)
        folder.start()
        folder.write_table(store.LEDGERS, table)
        folder.write_text("index.html", render_ledgers(found))
        folder.finish()
    if json:
        rows = table.astype(object).where(table.notna(), None)
        show_json({"ledgers": [
            {"name": case.name, "scope": case.scope, "scope_words": case.scope.words, "quantity": case.quantity,
             "ratio": case.ratio, "low": case.low, "high": case.high, "judgement": case.judgement, "source": case.source,
             "note": case.note, "rows": rows[rows["case"] == case.name].to_dict("records")} for case in found
        ]})  # fmt: skip
        return
    show_table("exploration against the final run, as published; compare only within a scope",
               ("case", "scope", "exploration", "final", "in", "ratio", "source"), [
        (case.name, case.scope, human(sum(amount for _, amount in case.exploration), 4),
         human(sum(amount for _, amount in case.final), 4), UNITS[case.quantity],
         f"{case.low:g} to {case.high:g} (judged)" if case.judgement else f"{case.ratio:.3g}", case.source) for case in found
    ])  # fmt: skip
    for scope in dict.fromkeys(case.scope for case in found):
        say(f"{scope}: {scope.words}")
    if name is not None:
        say(found[0].note)
        show_table(found[0].subject, ("side", "what", "amount", "usd"), [
            (row["side"], row["name"], human(row["amount"], 6), "-" if pd.isna(row["usd"]) else f"${human(row['usd'], 4)}")
            for row in table.to_dict("records")
        ])  # fmt: skip
