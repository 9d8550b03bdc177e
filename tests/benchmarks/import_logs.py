"""Importing 5,000 runs of 4,000 steps beside plain DuckDB: run it alone, as `python tests/benchmarks/import_logs.py [jsonl]`.

Plain DuckDB loads the same files into a database and aggregates them to one row per run (last step and tokens, smoothed final
loss, lowest loss, peak and last rate, duration), written as csv. Each is timed in a process of its own, one after the other.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RUNS, STEPS, FILES = 5000, 4000, 20
TARGETS = {"parquet": 30, "jsonl": 120}


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
    from planner.cli.app import main

    try:
        main(["import", str(folder), "-o", str(out / "ours"), "--json"])
    except SystemExit as ended:
        if ended.code:
            raise


def timed(what: str, *arguments: str) -> dict[str, float]:
    """Seconds, CPU seconds and peak memory (GiB) of one of the above in a process of its own."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    done = subprocess.run([sys.executable, __file__, what, *arguments], capture_output=True, text=True)
    seconds = time.perf_counter() - start
    assert done.returncode == 0, done.stderr
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    memory = json.loads(done.stderr.strip().splitlines()[-1])["memory"]
    return {"s": seconds, "cpu": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, "GiB": memory}


def main(kind: str) -> None:
    """Print target and figure of each claim."""
    with tempfile.TemporaryDirectory() as place:
        folder, out = Path(place) / "logs", Path(place) / "out"
        out.mkdir()
        write(folder, kind, 0, RUNS, FILES)
        size = sum(file.stat().st_size for file in folder.iterdir()) / 1e6
        print(f"{RUNS:,} runs x {STEPS:,} steps as {kind}: {size:,.0f} MB in {len(list(folder.iterdir())):,} files; "
              f"load of the machine {os.getloadavg()[0]:.1f}")  # fmt: skip
        beside, mine = timed("plain", str(folder), kind, str(out)), timed("ours", str(folder), str(out))
        print(f"plain DuckDB     {beside['s']:6.1f} s  (CPU {beside['cpu']:.1f} s)  {beside['GiB']:.2f} GiB")
        print(
            f"planner import   {mine['s']:6.1f} s  (CPU {mine['cpu']:.1f} s)  {mine['GiB']:.2f} GiB   "
            f"target <= {TARGETS[kind]} s, 2 GiB"
        )
        print(
            f"ratio            {mine['s'] / beside['s']:6.2f}    (of CPU {mine['cpu'] / beside['cpu']:.2f})"
            + ("   target <= 1.5" if kind == "parquet" else "")
        )
        write(folder, kind, RUNS, 1, 1)
        one = timed("ours", str(folder), str(out))
        print(f"one run more     {one['s']:6.1f} s  (CPU {one['cpu']:.1f} s)   target <= 2 s")


if __name__ == "__main__":
    if sys.argv[1:2] == ["plain"]:
        plain(Path(sys.argv[2]), sys.argv[3], Path(sys.argv[4]))
    elif sys.argv[1:2] == ["ours"]:
        ours(Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        main(sys.argv[1] if len(sys.argv) > 1 else "parquet")
    print(json.dumps({"memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20}), file=sys.stderr)
