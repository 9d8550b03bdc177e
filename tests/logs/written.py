"""A small lab's logs with restarts, spikes, failures and divergence, to be written in any format."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd

BATCH, CONTEXT, CHIPS = 65536, 2048, 8


def histories() -> dict[str, pd.DataFrame]:
    """Six runs of 400 logged steps: a clean one, one restarted, one with a spike, one diverged, one that failed, a short one."""
    rng = np.random.default_rng(0)
    found = {}
    for at, name in enumerate(("clean", "restarted", "spiky", "diverged", "failed", "cut")):
        step = np.arange(10, 4001, 10)
        loss = 2 + 4 * step**-0.3 + 0.01 * at + 0.005 * rng.standard_normal(step.size)
        rate = 1e-3 * np.where(step < 200, step / 200, 0.1 + 0.45 * (1 + np.cos(np.pi * (step - 200) / 3800)))
        frame = pd.DataFrame({
            "step": step, "n_tokens_seen": step * BATCH, "train/loss": loss, "lr": rate,
            "_timestamp": 1.7e9 + at * 1e5 + step * 2.0,
            "eval/c4/loss": np.where(step % 400 == 0, loss + 0.1, np.nan),
        })  # fmt: skip
        if name == "spiky":
            frame.loc[250, "train/loss"] += 3.0
        if name == "diverged":
            frame.loc[frame["step"] > 3000, ["train/loss"]] = np.nan
            frame.loc[frame["step"] > 3000, ["eval/c4/loss"]] = np.nan
        if name == "failed":
            frame = frame[frame["step"] <= 1500]
        if name == "cut":
            frame = frame[frame["step"] <= 3000]
        if name == "restarted":  # it died at 2500, was taken up again from the checkpoint at 2000
            first, again = frame[frame["step"] <= 2500], frame[frame["step"] > 2000]
            frame = pd.concat([first.assign(**{"train/loss": first["train/loss"] + 1e-3}), again], ignore_index=True)
            frame.loc[len(first) :, "_timestamp"] += 3600
        found[name] = frame.reset_index(drop=True)
    return found


SETTINGS = {
    name: {"params_total": 1e8 * (1 + at), "batch_tokens": BATCH, "steps": 4000, "seed": at, "n_accelerators": CHIPS}
    for at, name in enumerate(("clean", "restarted", "spiky", "diverged", "failed", "cut"))
}


def long_table() -> pd.DataFrame:
    """Every run's history under its id, with its settings on every row."""
    parts = [frame.assign(run_id=name, **SETTINGS[name]) for name, frame in histories().items()]
    return pd.concat(parts, ignore_index=True)


def write(kind: str, folder: Path) -> Path:
    """The lab's logs as one table of `kind` (csv, csv.gz, tsv, jsonl, jsonl.gz, parquet), or "files": a jsonl file per run."""
    folder.mkdir(parents=True, exist_ok=True)
    table = long_table()
    path = folder / f"lab.{kind}"
    if kind in ("csv", "csv.gz"):
        table.to_csv(path, index=False)
    elif kind == "tsv":
        table.to_csv(path, index=False, sep="\t")
    elif kind in ("jsonl", "jsonl.gz"):
        text = "".join(json.dumps(row) + "\n" for row in rows_of(table))
        path.write_bytes(gzip.compress(text.encode()) if kind.endswith("gz") else text.encode())
    elif kind == "parquet":
        with duckdb.connect() as connection:
            connection.register("log", table)
            connection.table("log").write_parquet(str(path))
    else:
        for name, frame in histories().items():
            lines = [{"config": {**SETTINGS[name], "run_id": name}}, *rows_of(frame)]
            (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        return folder
    return path


def rows_of(table: pd.DataFrame) -> list[dict]:
    """Rows as JSON objects: an evaluation that was not made is left out, a training loss that is no number is NaN."""
    return [
        {name: value for name, value in row.items() if not (name.startswith("eval/") and value != value)}
        for row in table.to_dict("records")
    ]
