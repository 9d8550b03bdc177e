"""The gates of a sweep on a real cluster, from its plan to the table of runs; the losses are chosen, all else is a user's."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path

import pandas as pd
from cluster import Cluster

from planner.lab.local.places import Places

SWEEPS = Path(__file__).resolve().parent.parent.parent / "sweeps"
GOOD, QUEUED, NEVER = "multi-head latent attention", "auxiliary-loss-free balancing", "multi-token prediction"
FACTOR = {"baseline": 1.0, GOOD: 0.97, QUEUED: 1.03, NEVER: 1.03}  # of the loss
# A trainer that is given its log, and leaves a trace.
TRAINER = """cp "$PLANNER_ROOT/../../chosen/$(basename "$PLANNER_LOG")" "$PLANNER_LOG"
touch "$PLANNER_ROOT/$PLANNER_RUN_ID/ran"
"""


def write_plan(planner, folder: Path) -> pd.DataFrame:
    """A plan of some fifty runs: two stages of three ideas, each run on one chip so that it fits the test cluster."""
    text = (SWEEPS / "deepseek_v3.toml").read_text().replace('"3x final"', '"0.01x final"')
    head, scaling, _, ideas = "[[idea]]".join(text.split("[[idea]]")[:4]).split("[[study]]")
    (folder / "sweep.toml").write_text("[[study]]".join((head, scaling, ideas)))
    done = planner("propose", "sweep.toml", "-o", "plan", "--json")
    assert done.code == 0, done.err
    plan = pd.read_csv(folder / "plan/plan.csv").assign(nodes=1, n_accelerators=1)
    plan.to_csv(folder / "plan.csv", index=False)
    return plan


def choose_losses(plan: pd.DataFrame, folder: Path) -> None:
    """A log for every run: a law of loss, times what the idea does, with a little noise."""
    noise = random.Random(1)
    for row in plan.to_dict("records"):
        law = 1.7 + 400 * row["params_active"] ** -0.34 + 410 * row["tokens"] ** -0.28
        loss = law * FACTOR[row["variant"]] * math.exp(noise.gauss(0, 0.001))
        line = {"run_id": row["run_id"], "step": round(row["tokens"] / row["batch_tokens"]), "tokens": row["tokens"], "loss": loss,
                "gpu_hours": row["gpu_hours"], "status": "completed"}  # fmt: skip
        path = folder / "chosen" / Places(folder).log(row["run_id"]).name
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(line) + "\n")


def test_gates_close_on_the_losses_logged_and_every_run_is_accounted_for(slurm: Cluster, planner, tmp_path):
    """One idea's second stage waits in the queue when its gate closes, another's was not submitted yet, the third's is trained."""
    plan = write_plan(planner, tmp_path)
    choose_losses(plan, tmp_path)
    (tmp_path / "trainer.sh").write_text(TRAINER)
    command = f"bash {tmp_path / 'trainer.sh'}"
    given = (
        "launch",
        "plan.csv",
        "--on",
        "slurm",
        "--command",
        command,
        "-o",
        "out",
        "--poll-seconds",
        "0.3",
        "--json",
    )
    early = planner(*given, "--where", f"stage=2,variant={QUEUED}", "--no-wait", "--sbatch=--begin=now+1hour")
    assert early.code == 0 and "left in the queue" in early.err, early.err
    waiting = set(plan["run_id"][(plan["stage"] == 2) & (plan["variant"] == QUEUED)])
    assert len(waiting) == early.json["left"] == len(slurm.call("squeue", "-h", "-r").split("\n")) - 1 > 0

    done = planner(*given, "--sweep", "sweep.toml")
    assert done.code == 0 and not slurm.call("squeue", "-h", "-r"), done.err
    closed = set(plan["run_id"][(plan["stage"] == 2) & plan["variant"].isin((QUEUED, NEVER))])
    rest = set(plan["run_id"]) - closed
    assert done.json["skipped"].keys() == closed and done.json["completed"] == len(rest) and not done.json["failed"]
    assert all("its gate closed after stage 1 (unlikely to help" in why for why in done.json["skipped"].values())
    assert {file.parent.name for file in (tmp_path / "out/output").glob("*/ran")} == rest
    books = [json.loads(file.read_text()) for file in (tmp_path / "out/state/slurm").glob("planner-*.json")]
    submitted = [entry["run_id"] for book in books for entry in book["entries"]]
    assert sorted(submitted) == sorted(rest | waiting), "each once; of the closed ones only those that waited already"

    imported = planner("import", "out/logs", "--plan", "plan.csv", "-o", "runs", "--json")
    assert imported.code == 0 and imported.json["missing"] == [] and imported.json["unplanned"] == [], imported.err
    table = pd.read_csv(tmp_path / "runs/runs.csv").set_index("run_id")
    assert set(table.index[table["status"] == "completed"]) == rest
    assert set(table.index[table["status"] == "cancelled"]) == closed
