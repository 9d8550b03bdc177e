"""The log of a run: cut back to a checkpoint, and read by `planner import` under the right names."""

from __future__ import annotations

import json

import pytest
from tiny_plans import row

from planner.errors import WorldError
from planner.lab.local.log import RunLog
from planner.lab.local.places import Ending, Outcome
from planner.lab.local.rates import rate_at
from planner.lab.local.record import end_line, point_line, settings_line
from planner.lab.local.task import task_of


def written(path, task, *, ending=Ending.COMPLETED):
    log = RunLog(path, task.run_id)
    log.write(settings_line(task, "texts-0123456789", device="cpu", precision="fp32"))
    for step in range(1, task.steps + 1):
        rate = rate_at(step - 1, peak=task.lr_peak, steps=task.steps, warmup=task.warmup_steps, schedule=task.schedule)
        log.write(point_line(task, step, 5 - step / 100, rate, 0.01, 1e6 * step))
    log.write(end_line(task, Outcome(task.run_id, ending, 4.25, "", task.steps, 1.0, 1e6 * task.steps)))
    log.saved()
    log.close()


def test_a_log_goes_on_where_a_checkpoint_was_and_forgets_the_rest(tmp_path):
    path = tmp_path / "logs/r.jsonl"
    log = RunLog(path, "r")
    log.write({"step": 1})
    kept = log.saved()
    log.write({"step": 2, "train_loss": float("nan")})
    log.close()
    again = RunLog(path, "r", kept)
    again.write({"step": 3})
    again.close()
    assert [json.loads(line) for line in path.read_text().splitlines()] == [
        {"run_id": "r", "step": 1},
        {"run_id": "r", "step": 3},
    ]


def test_a_log_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "logs").write_text("a file in the way")
    with pytest.raises(WorldError, match=r"r\.jsonl: cannot be written"):
        RunLog(tmp_path / "logs/r.jsonl", "r")


def test_planner_import_understands_the_log(tmp_path):
    importing = pytest.importorskip("planner.logs.importing", reason="the import of logs is not merged yet")
    task = task_of(row("r", steps=100))
    written(tmp_path / "logs/r.jsonl", task)
    found = importing.read_logs([tmp_path / "logs"]).frame.iloc[0]
    assert (found["run_id"], found["status"], found["loss_name"]) == ("r", "completed", "texts-0123456789")
    assert found["loss"] == 4.25 and found["loss_unit"] == "nats_per_token" and found["schedule"] == "cosine"
    assert found["tokens"] == task.tokens and found["lr_peak"] == 0.01 and found["batch_tokens"] == task.batch_tokens
