"""The lab's runs as trackers keep them, and the list of all formats."""

from __future__ import annotations

import csv
import json
import math
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from printed import levanter, maxtext, megatron, nanochat, nemo, olmo_core, torchtitan, trainer_state
from simulated import Run


def tensorboard(folder: Path, runs: Sequence[Run]) -> None:
    """tensorboardX's writer, a folder per run, a file per process."""
    from tensorboardX import SummaryWriter

    for run in runs:
        for process in run.processes:
            writer = SummaryWriter(str(folder / run.name), filename_suffix=f".{int(process.started)}")
            writer.add_text("config", json.dumps(run.config))
            for step, time, loss, lr, evaluated in process.rows():
                writer.add_scalar("train/loss", loss, step, walltime=time)
                writer.add_scalar("train/lr", lr, step, walltime=time)
                if evaluated is not None:
                    writer.add_scalar("val/loss", evaluated, step, walltime=time)
            writer.close()


def wandb(folder: Path, runs: Sequence[Run]) -> None:
    """Offline runs of the wandb package; every restart is a run of its own, the planner's id in its config."""
    import wandb as package

    for run in runs:
        for process in run.processes:
            settings = package.Settings(mode="offline", silent=True, console="off")
            logged = package.init(project="lab", name=run.name, config=run.config, dir=str(folder), settings=settings)
            for step, _, loss, lr, evaluated in process.rows():
                row = {"global_step": step, "train/loss": loss, "train/lr": lr}
                logged.log(row if evaluated is None else {**row, "val/loss": evaluated})
            logged.finish(exit_code=0 if process.finished else 1)


def wandb_history(folder: Path, runs: Sequence[Run]) -> None:
    """`run.history()` saved with pandas, one file per process in one of its forms; W&B's NaN are lost in all of them."""
    import pandas as pd

    for count, (run, process) in enumerate([(one, process) for one in runs for process in one.processes]):
        rows = [
            {"_step": at, "_timestamp": time, "_runtime": time - process.started, "global_step": step, "train/loss": loss,
             "train/lr": lr, "val/loss": evaluated}
            for at, (step, time, loss, lr, evaluated) in enumerate(process.rows())
        ]  # fmt: skip
        frame, path = pd.DataFrame(rows), folder / f"{run.name}-{count}"
        if count == 0:
            frame.to_csv(path.with_suffix(".csv"), index=False)
        elif count == 1:
            frame.to_json(path.with_suffix(".jsonl"), orient="records", lines=True)
        elif count == 2:
            frame.to_json(path.with_suffix(".json"))
        else:
            import duckdb

            with duckdb.connect() as connection:
                connection.register("frame", frame)
                connection.execute(f"COPY frame TO '{path.with_suffix('.parquet')}' (FORMAT parquet)")


def wandb_panel(folder: Path, runs: Sequence[Run]) -> None:
    """The csv of one panel: the training loss of runs without a restart."""
    chosen = [run for run in runs if len(run.processes) == 1]
    with (folder / "wandb_export.csv").open("w", newline="") as file:
        names = [f"{run.name} - train/loss{end}" for run in chosen for end in ("", "__MIN", "__MAX")]
        table = csv.writer(file, quoting=csv.QUOTE_ALL)
        table.writerow(["Step", *names])
        values = [
            dict(zip(run.processes[0].steps.tolist(), run.processes[0].train_loss.tolist(), strict=True))
            for run in chosen
        ]
        for step in sorted({step for run in values for step in run}):
            table.writerow([step, *(cell for run in values for cell in [_cell(run.get(step))] * 3)])


def mlflow_sqlite(folder: Path, runs: Sequence[Run]) -> None:
    _mlflow(f"sqlite:///{folder / 'mlflow.db'}", runs)


def mlruns(folder: Path, runs: Sequence[Run]) -> None:
    """The tree of small files, which newer MLflow reads and writes only when it is asked to."""
    import os

    os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
    _mlflow((folder / "mlruns").as_uri(), runs)


def _mlflow(uri: str, runs: Sequence[Run]) -> None:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param

    client = MlflowClient(tracking_uri=uri)
    experiment = client.create_experiment("lab")
    for run in runs:
        for process in run.processes:
            tags = {"planner_run_id": run.config["planner_run_id"]}
            made = client.create_run(experiment, start_time=int(process.started * 1000), run_name=run.name, tags=tags)
            key = made.info.run_id
            metrics = []
            for step, time, loss, lr, evaluated in process.rows():
                values = {"train/loss": loss, "train/lr": lr} | ({} if evaluated is None else {"val/loss": evaluated})
                metrics += [Metric(name, value, int(time * 1000), step) for name, value in values.items()]
            client.log_batch(
                key, metrics=metrics, params=[Param(name, str(value)) for name, value in run.config.items()]
            )
            client.set_terminated(key, "FINISHED" if process.finished else "FAILED")


def trackio(folder: Path, runs: Sequence[Run]) -> None:
    """The tables of trackio 0.43, written as its storage does; test_real_writers.py reads what the package itself writes."""
    with closing(sqlite3.connect(folder / "lab.db")) as base:
        base.execute(
            "CREATE TABLE metrics (id INTEGER PRIMARY KEY, run_id TEXT, timestamp TEXT, run_name TEXT, step INTEGER, metrics TEXT)"
        )
        base.execute(
            "CREATE TABLE configs (id INTEGER PRIMARY KEY, run_id TEXT UNIQUE, run_name TEXT, config TEXT, created_at TEXT)"
        )
        for run in runs:
            for at, process in enumerate(run.processes):
                key = f"{run.name}{at}"
                config = json.dumps({**run.config, "_Username": None})
                base.execute("INSERT INTO configs (run_id, run_name, config) VALUES (?, ?, ?)", (key, run.name, config))
                for step, time, loss, lr, evaluated in process.rows():
                    row = {"train/loss": "NaN" if math.isnan(loss) else loss, "train/lr": lr}
                    row |= {} if evaluated is None else {"val/loss": evaluated}
                    base.execute(
                        "INSERT INTO metrics (run_id, timestamp, run_name, step, metrics) VALUES (?, ?, ?, ?, ?)",
                        (key, datetime.fromtimestamp(time, UTC).isoformat(), run.name, step, json.dumps(row).encode()),
                    )
        base.commit()


@dataclass(frozen=True)
class Format:
    """How a format is written, the package that writes it, and what it cannot say."""

    write: Callable[[Path, Sequence[Run]], None]
    reader: str
    package: str = ""
    lacks: frozenset[str] = frozenset()


FORMATS = {
    "megatron": Format(megatron, "megatron"),
    "nemo": Format(nemo, "nemo"),
    "torchtitan": Format(torchtitan, "torchtitan", lacks=frozenset({"lr", "id"})),
    "nanochat": Format(nanochat, "nanochat", lacks=frozenset({"lr", "id", "time"})),
    "maxtext": Format(maxtext, "maxtext", lacks=frozenset({"lr", "id"})),
    "olmo_core": Format(olmo_core, "olmo_core", lacks=frozenset({"id"})),
    "levanter": Format(levanter, "levanter"),
    "trainer_state": Format(trainer_state, "trainer_state", lacks=frozenset({"overlap", "time"})),
    "tensorboard": Format(tensorboard, "tensorboard", "tensorboardX"),
    "wandb": Format(wandb, "wandb", "wandb", lacks=frozenset({"time"})),
    "wandb_history": Format(wandb_history, "wandb_export", lacks=frozenset({"nan", "id"})),
    "wandb_panel": Format(
        wandb_panel, "wandb_export", lacks=frozenset({"lr", "eval", "nan", "restarted", "id", "time"})
    ),
    "mlflow_sqlite": Format(mlflow_sqlite, "mlflow", "mlflow"),
    "mlruns": Format(mlruns, "mlflow", "mlflow"),
    "trackio": Format(trackio, "trackio"),
}


def _cell(value: float | None) -> str:
    return "" if value is None or math.isnan(value) else str(value)
