"""How long a report of 5,000 runs takes, from a cold start, and how large its page is.

    python tests/benchmarks/report.py

Prints target and figure: whole process <= 5 s, page <= 3 MB; exact sums of 100,000 ledger rows; first paint and sliders of the page
in a real browser where there is one.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from browser import CHROMIUM, Browser

from planner import store
from planner.report.findings import gather
from planner.report.ledger import ledger_of

RUNS = 5000
SWEEP = Path(__file__).resolve().parents[2] / "sweeps/deepseek_v3.toml"


def main() -> None:
    """Print every figure."""
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "run"
        subprocess.run([sys.executable, "-m", "planner", "run", SWEEP, "-o", made], check=True, capture_output=True)
        grow(made)
        took = []
        for _ in range(3):
            start = time.perf_counter()
            subprocess.run([sys.executable, "-m", "planner", "report", made], check=True, capture_output=True)
            took.append(time.perf_counter() - start)
        page = made / store.REPORT_HTML
        print(f"report of {RUNS:,} runs, whole process: {min(took):.2f} s, best of 3 (target 5 s)")
        print(f"page: {page.stat().st_size / 1e6:.2f} MB (target 3 MB)")
        sums(made)
        if CHROMIUM is None:
            print("no chromium here: the page was not opened")
            return
        with Browser(Path(folder)) as browser:
            browser.open(page)
            paint = browser.value("performance.getEntriesByType('paint').map(entry => entry.startTime)")
            print(
                f"first paint: {max(paint, default=float('nan')):.0f} ms (target 1,000 ms); console: {browser.console or 'clean'}"
            )
            moved = browser.value(
                "(() => { const took = []; for (const input of document.querySelectorAll('#what-if input'))"
                "for (let i = 1; i < 20; i++) { input.value = Number(input.min) + i / 20 * (input.max - input.min);"
                "const start = performance.now(); input.dispatchEvent(new Event('input')); document.body.offsetHeight;"
                "took.push(performance.now() - start) } return took })()"
            )
            print(
                f"a slider's move, drawn anew: {np.median(moved):.1f} ms median, {max(moved):.1f} ms at most (target 50 ms)"
            )


def grow(folder: Path) -> None:
    """Make the folder's plan and runs RUNS rows long by repeating rows under new ids; mend its record."""
    for name in (store.PLAN, store.RUNS):
        table = pd.read_csv(folder / name, keep_default_na=False)
        more = table.iloc[: RUNS - len(table)].copy()
        more["run_id"] += "-again"
        pd.concat([table, more]).to_csv(folder / name, index=False)
    record = json.loads((folder / store.PROVENANCE).read_text())
    for name in (store.PLAN, store.RUNS):
        del record["files"][name]
    (folder / store.PROVENANCE).write_text(json.dumps(record))


def sums(folder: Path) -> None:
    """Time the ledger of 100,000 rows."""
    entries = gather(folder).ledger.entries
    many = pd.concat([entries] * 20, ignore_index=True)
    start = time.perf_counter()
    ledger_of(many)
    print(f"exact sums of {len(many):,} rows along eight axes: {time.perf_counter() - start:.2f} s")


if __name__ == "__main__":
    main()
