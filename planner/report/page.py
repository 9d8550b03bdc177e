"""The de-risking report: one page, its Markdown, its JSON and its tables, from what a results folder holds."""

from __future__ import annotations

from typing import Any

import pandas as pd

from planner import store
from planner.report.figures import figures_of
from planner.report.findings import Findings, gather
from planner.report.redact import redacted_entries, redacted_summary
from planner.report.render import render_html, render_markdown
from planner.report.summary import summary_of
from planner.report.tables import csv_tables, page_rows

REDACTED = "report/redacted"


def write_report(folder: store.Folder, *, redact: bool = False) -> dict[str, Any]:
    """Write index.html, report.md, report.json and tables/*.csv into the folder's report/; returns what report.json holds.

    With `redact` a copy to share goes to report/redacted/: no names, no prices, no paths.
    """
    found = gather(folder.path)
    summary = summary_of(found)
    _write(folder, "report", summary, found, found.ledger.entries, redacted=False)
    if redact:
        shared, entries = redacted_summary(summary, found.ledger.entries), redacted_entries(found.ledger.entries)
        _write(folder, REDACTED, shared, found, entries, redacted=True)
    return summary


def _write(
    folder: store.Folder, where: str, summary: dict[str, Any], found: Findings, entries: pd.DataFrame, *, redacted: bool
) -> None:
    page = render_html(summary, figures_of(found, summary), page_rows(entries), redacted=redacted)
    folder.write_text(f"{where}/index.html", page)
    folder.write_text(f"{where}/report.md", render_markdown(summary, redacted=redacted))
    folder.write_json(f"{where}/report.json", summary)
    for name, table in csv_tables(summary, entries).items():
        folder.write_table(f"{where}/tables/{name}", table)
