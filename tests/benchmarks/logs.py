"""Every target of importing logs in one table: `python tests/benchmarks/logs.py [parquet|jsonl|tensorboard|ladder ...]`.

Runs import_logs.py (parquet, then jsonl) and import_tensorboard.py, one after the other, and compares the imported OLMo ladder
with its published finals. A missed target is printed as missed; run it on an idle machine, whose load stands in each row.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
LADDER = HERE.parents[2] / "shared" / "data"
NUMBER = r"\s+([\d.]+)"


@dataclass(frozen=True)
class Figure:
    """A figure of a benchmark: what it is, where its output says it, and the most that it may be."""

    name: str
    pattern: str
    most: float
    unit: str


RATIO = Figure("ratio to plain DuckDB", rf"ratio{NUMBER}", 1.5, "")
BENCHMARKS: dict[str, tuple[list[str], list[Figure]]] = {
    kind: (
        ["import_logs.py", kind],
        [
            Figure(f"5,000 runs of {kind}", rf"planner import{NUMBER}", most, "s"),
            Figure("its memory", r"planner import.*?\)\s+([\d.]+) GiB", 2, "GiB"),
            *([RATIO] if kind == "parquet" else []),
            Figure("one run more", rf"one run more{NUMBER}", 2, "s"),
        ],
    )
    for kind, most in (("parquet", 30), ("jsonl", 120))
} | {
    "tensorboard": (
        ["import_tensorboard.py"],
        [Figure("1,000 runs of TensorBoard", rf"import to the table{NUMBER}", 60, "s")],
    )
}


def measured(kind: str) -> Iterator[tuple[str, str, str, bool]]:
    """Name, target, figure and whether it was reached, of every figure of a benchmark."""
    arguments, figures = BENCHMARKS[kind]
    done = subprocess.run([sys.executable, str(HERE / arguments[0]), *arguments[1:]], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)} failed:\n{done.stderr}")
    for figure in figures:
        found = re.search(figure.pattern, done.stdout)
        if found is None:
            raise SystemExit(f"{' '.join(arguments)} does not tell {figure.name}:\n{done.stdout}")
        value = float(found[1])
        yield figure.name, f"<= {figure.most:g} {figure.unit}", f"{value:g} {figure.unit}", value <= figure.most


def ladder() -> Iterator[tuple[str, str, str, bool]]:
    """The finals of the OLMo ladder as imported against those published, and its cosine runs and their un-annealed points."""
    import pandas as pd

    from planner.logs.database import held
    from planner.logs.importing import read_logs

    source = LADDER / "olmo_ladder_checkpoints.csv.gz"
    if not source.exists():
        yield "OLMo ladder", "finals equal", "not measured: its data are not here", False
        return
    with held(None) as connection:
        runs = read_logs([source], database=connection).frame.set_index("run_id")
        points = connection.execute("SELECT run_id, phase, is_last FROM checkpoints").df()
    published = pd.read_csv(LADDER / "olmo_ladder_final.csv").set_index("run_id").sort_index()
    finals = runs[runs["is_final"] == "true"].sort_index()
    both = finals.index.intersection(published.index)
    equal = int((finals.loc[both, "loss"] == published.loc[both, "loss"]).sum())
    whole = equal == len(published) == len(finals)
    yield "OLMo ladder: finals equal", f"{len(published)}", f"{equal} of {len(finals)} imported", whole
    cosine = runs[runs.index.str.startswith("ladder")]
    right = int(((cosine["schedule"] == "cosine") & (cosine["annealed"] == "true")).sum())
    yield "OLMo ladder: cosine, annealed", f"{len(cosine)}", f"{right}", right == len(cosine) > 0
    own = points[points["run_id"].str.startswith("ladder")]
    told = int(((own["phase"] == "annealed") == own["is_last"]).sum())
    yield "OLMo ladder: points told apart", f"{len(own):,}", f"{told:,}", told == len(own) > 0


def main(kinds: list[str]) -> None:
    """Print a row per figure as it is known."""
    unknown = [kind for kind in kinds if kind not in (*BENCHMARKS, "ladder")]
    if unknown:
        raise SystemExit(f"{unknown[0]}: no benchmark; one of {', '.join(BENCHMARKS)}, ladder")
    print(f"{'what':<32}{'target':>14}{'figure':>24}  {'':8}load")
    for kind in kinds or [*BENCHMARKS, "ladder"]:
        for name, target, figure, reached in ladder() if kind == "ladder" else measured(kind):
            verdict = "reached" if reached else "MISSED"
            print(f"{name:<32}{target:>14}{figure:>24}  {verdict:<8}{os.getloadavg()[0]:.1f}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
