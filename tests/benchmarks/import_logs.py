"""Importing 5,000 runs of 4,000 steps beside plain DuckDB: run it alone, as `python tests/benchmarks/import_logs.py [jsonl]`.

Plain DuckDB loads the same files into a database and aggregates them to one row per run (last step and tokens, smoothed final
loss, lowest loss, peak and last rate, duration), written as csv. Each is timed in a process of its own, one after the other, with
Python's bytecode compiled before, as an installed planner has it.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

RUNS, STEPS, FILES = 5000, 4000, 20
TARGETS = {"parquet": 30, "jsonl": 120}
REPEATS = {"parquet": 7, "jsonl": 1}


def write(folder: Path, kind: str, first: int, runs: int, files: int) -> None:
    """Runs that fall from 5 to 2.4 nats with some noise, a cosine rate, tokens and a clock."""
    import duckdb

    folder.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as connection:
        connection.execute("SET threads = 2")
        for start in range(first, first + runs, max(runs // files, 1)):
            rows = (
                "SELECT 'run-' || lpad(r::VARCHAR, 5, '0') AS run_id, s * 10 AS step, s * 10 * 524288::BIGINT AS n_tokens_seen, "
                '2.2 + 3 * (s + 1)**-0.35 + 0.02 * (random() + random() + random() - 1.5) AS "train/loss", '
                "3e-4 * (0.55 + 0.45 * cos(pi() * s / 4000)) AS lr, 1.76e9 + r * 1000 + s * 1.5 AS _timestamp "
                f"FROM range({start}, {start + max(runs // files, 1)}) a(r), range(1, {STEPS + 1}) b(s) ORDER BY r, s"
            )
            if kind == "parquet":
                connection.execute(f"COPY ({rows}) TO '{folder}/part-{start:05d}.parquet'")
                continue
            connection.execute(f"CREATE OR REPLACE TABLE part AS {rows}")
            text = (
                "SELECT run_id, string_agg('{\"step\": ' || step || ', \"n_tokens_seen\": ' || n_tokens_seen || "
                '\', "train/loss": \' || round("train/loss", 6) || \', "lr": \' || round(lr, 9) || \', "_timestamp": \' || '
                "_timestamp || '}', chr(10) ORDER BY step) FROM part GROUP BY 1"
            )
            for name, lines in connection.execute(text).fetchall():
                (folder / f"{name}.jsonl").write_text(lines + "\n")


def plain(folder: Path, kind: str, out: Path) -> None:
    """DuckDB alone: load, aggregate, write."""
    import duckdb

    scan = f"read_parquet('{folder}/*.parquet')" if kind == "parquet" else (
        f"(SELECT parse_filename(filename, true) AS run_id, * EXCLUDE (filename) FROM read_json('{folder}/*.jsonl', "
        "format = 'newline_delimited', filename = true, columns = {step: 'BIGINT', n_tokens_seen: 'BIGINT', "
        "'train/loss': 'DOUBLE', lr: 'DOUBLE', _timestamp: 'DOUBLE'}))"
    )  # fmt: skip
    with duckdb.connect(str(out / "plain.duckdb")) as connection:
        connection.execute("SET threads = 2; SET memory_limit = '1500MB'")
        connection.execute(
            'CREATE TABLE points AS SELECT run_id, step, n_tokens_seen AS tokens, "train/loss" AS loss, lr, _timestamp AS time '
            f"FROM {scan}"
        )
        connection.execute(
            "CREATE TABLE runs AS SELECT run_id, count(*) AS n, max(step) AS step, max(tokens) AS tokens, min(loss) AS lowest, "
            "max(lr) AS lr_peak, arg_max(lr, step) AS lr_last, max(time) - min(time) AS duration FROM points GROUP BY 1"
        )
        connection.execute(
            "CREATE TABLE finals AS SELECT run_id, avg(loss) AS loss FROM points JOIN (SELECT run_id, step AS ended FROM runs) "
            "USING (run_id) WHERE points.step > ended - 500 GROUP BY 1"
        )
        connection.execute(f"COPY (SELECT * FROM runs JOIN finals USING (run_id) ORDER BY 1) TO '{out}/plain.csv'")


def ours(folder: Path, out: Path) -> None:
    """The command as a user runs it."""
    from planner.cli.entry import main

    sys.argv = ["planner", "import", str(folder), "-o", str(out / "ours"), "--json"]
    try:
        main()
    except SystemExit as ended:
        if ended.code:
            raise


@dataclass(frozen=True)
class Cost:
    """Seconds, CPU seconds and peak memory (GiB) of a process."""

    seconds: float
    cpu: float
    gib: float


def timed(place: Path, what: str, *arguments: str) -> Cost:
    """One of the above in a process of its own, whose bytecode lies in `place`."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = str(place / "bytecode")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    done = subprocess.run([sys.executable, __file__, what, *arguments], capture_output=True, text=True, env=environment)
    seconds = time.perf_counter() - start
    assert done.returncode == 0, done.stderr
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    memory = json.loads(done.stderr.strip().splitlines()[-1])["memory"]
    return Cost(seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, memory)


def both(place: Path, folder: Path, kind: str) -> tuple[Cost, Cost]:
    """Plain DuckDB and the planner on the same files, each into a new folder, which is left in `place`."""
    out = place / "out"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    return timed(place, "plain", str(folder), kind, str(out)), timed(place, "ours", str(folder), str(out))


def middle(costs: Sequence[Cost]) -> Cost:
    """The median of each figure; the largest memory."""
    return Cost(median(c.seconds for c in costs), median(c.cpu for c in costs), max(c.gib for c in costs))


def main(kind: str) -> None:
    """Print target and figure of each claim."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        folder, warm_up = place / "logs", place / "warm-up"
        write(warm_up, kind, 0, 1, 1)
        both(place, warm_up, kind)
        write(folder, kind, 0, RUNS, FILES)
        size = sum(file.stat().st_size for file in folder.iterdir()) / 1e6
        print(f"{RUNS:,} runs x {STEPS:,} steps as {kind}: {size:,.0f} MB in {len(list(folder.iterdir())):,} files; "
              f"load of the machine {os.getloadavg()[0]:.1f}; medians of {REPEATS[kind]}")  # fmt: skip
        pairs = [both(place, folder, kind) for _ in range(REPEATS[kind])]
        plainly, mine = (middle(costs) for costs in zip(*pairs, strict=True))
        print(f"plain DuckDB     {plainly.seconds:6.2f} s  (CPU {plainly.cpu:.2f} s)  {plainly.gib:.2f} GiB")
        print(
            f"planner import   {mine.seconds:6.2f} s  (CPU {mine.cpu:.2f} s)  {mine.gib:.2f} GiB   "
            f"target <= {TARGETS[kind]} s, 2 GiB"
        )
        ratios = sorted(ours.seconds / beside.seconds for beside, ours in pairs)
        print(
            f"ratio            {mine.seconds / plainly.seconds:6.2f}    (of CPU {mine.cpu / plainly.cpu:.2f}; "
            f"of pairs {ratios[0]:.2f} to {ratios[-1]:.2f})" + ("   target <= 1.5" if kind == "parquet" else "")
        )
        write(folder, kind, RUNS, 1, 1)
        one = timed(place, "ours", str(folder), str(place / "out"))
        print(f"one run more     {one.seconds:6.2f} s  (CPU {one.cpu:.2f} s)   target <= 2 s")


if __name__ == "__main__":
    if sys.argv[1:2] == ["plain"]:
        plain(Path(sys.argv[2]), sys.argv[3], Path(sys.argv[4]))
    elif sys.argv[1:2] == ["ours"]:
        ours(Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        main(sys.argv[1] if len(sys.argv) > 1 else "parquet")
    print(json.dumps({"memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20}), file=sys.stderr)
