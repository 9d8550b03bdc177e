"""What a run came to: its final loss and its lowest, whether it diverged, was cut short or not annealed; and what was dropped."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from planner.logs.database import held
from planner.logs.importing import Settings, parse_keep, read_logs


@pytest.fixture(autouse=True)
def _in_its_own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def imported(frame, settings=None, name="log.csv"):
    frame.to_csv(name, index=False)
    found = read_logs([name], settings)
    (row,) = found.frame.to_dict("records")
    return row, found


def logged(values, column="val_loss", **more):
    return pd.DataFrame({"step": np.arange(1, len(values) + 1), column: values, **more})


def test_the_lowest_loss_is_said_when_the_final_one_lies_above_it():
    row, found = imported(logged([3.0, 2.5, 2.6]))
    assert (row["loss"], row["loss_min"], row["problem"]) == (2.6, 2.5, "minimum below the final loss")
    assert found.notes == ("1 run: end more than 0.5% above their lowest loss (column loss_min)",)
    row, found = imported(logged([3.0, 2.5, 2.51]), name="near.csv")
    assert (row["loss"], row["loss_min"], row["problem"], found.notes) == (2.51, 2.5, "", ())


def test_a_training_loss_is_the_mean_of_its_last_values_and_the_lowest_such_mean_is_beside_it():
    values = np.linspace(3, 2, 1000) + 0.01 * np.random.default_rng(0).standard_normal(1000)
    values[-20:] += 0.1
    row, _ = imported(logged(values, "train_loss"))
    assert row["loss_window"] == 20  # 2 % of the values
    assert row["loss"] == pytest.approx(values[-20:].mean(), rel=1e-12)
    assert row["loss_min"] == pytest.approx(values.reshape(50, 20).mean(axis=1).min(), rel=1e-12)
    row, _ = imported(logged(np.linspace(3, 2, 5000), "train_loss"), name="long.csv")
    assert row["loss_window"] == 50  # and never more


@pytest.mark.parametrize(("end", "status"), [(2.5 * 1.11, "diverged"), (2.5 * 1.09, "completed"), (np.inf, "diverged")])
def test_an_evaluation_that_ends_a_tenth_above_its_lowest_or_is_infinite_has_diverged(end, status):
    row, _ = imported(logged([3.0, 2.5, end]))
    assert (row["status"], row["is_final"]) == (status, "true" if status == "completed" else "false")


def test_a_run_that_trains_on_without_a_loss_has_diverged():
    """As a table that leaves NaN out shows it; a loss logged more rarely than the rate is no sign of it."""
    steps = np.arange(1, 101)
    for last, status in ((93, "diverged"), (96, "completed")):
        row, _ = imported(logged(np.where(steps <= last, 3.0, np.nan), "train_loss", lr=1e-3), name=f"{last}.csv")
        assert row["status"] == status


def test_a_run_that_saw_too_few_tokens_is_truncated_and_not_final_whatever_its_tracker_says():
    for steps, problem in ((300, "truncated"), (398, "")):
        values = np.linspace(3, 2, steps)
        row, _ = imported(logged(values, steps=400, batch_tokens=1000, state="finished"), name=f"{steps}.csv")
        assert (row["status"], row["problem"], row["is_final"]) == (
            "completed",
            problem,
            "false" if problem else "true",
        )


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_training_and_evaluation_losses_are_kept_apart(kind):
    """A bare "loss" beside an evaluation is that of training."""
    frame = pd.DataFrame({"step": [1, 2], "loss": [3.0, 2.9], "eval/c4/loss": [3.2, 3.1]})
    frame.to_csv("a.csv", index=False)
    frame.to_json("a.jsonl", orient="records", lines=True)
    (row,) = read_logs([f"a.{kind}"]).frame.to_dict("records")
    assert (row["loss"], row["loss_name"], row["train_loss"]) == (3.1, "eval/c4", 2.9)


def test_points_before_a_cooldown_are_told_from_annealed_ones():
    steps = np.arange(1, 1001)
    wsd = 1e-3 * np.minimum(np.minimum(steps / 50, 1), (1000 - steps) / 200)
    with held(None) as connection:
        row = read_logs([_written("wsd.csv", wsd)], database=connection).frame.iloc[0]
        phases = dict(connection.execute("SELECT phase, count(*) FROM checkpoints GROUP BY 1").fetchall())
    assert (row["schedule"], row["annealed"]) == ("warmup_stable_decay", "true")
    assert phases["annealed"] == 1 and phases["warmup"] == 49 and phases["stable"] > 700 and phases["decay"] > 150
    with held(None) as connection:
        found = read_logs([_written("cut.csv", wsd[:850])], database=connection)
        phases = dict(connection.execute("SELECT phase, count(*) FROM checkpoints GROUP BY 1").fetchall())
    assert found.frame["annealed"].tolist() == ["false"] and "annealed" not in phases
    assert "1 run ends un-annealed: the learning rate is above 35% of its peak" in found.notes


def _written(name, rates):
    logged(np.linspace(3, 2, len(rates)), "train_loss", lr=rates).to_csv(name, index=False)
    return name


def test_every_point_that_does_not_count_is_counted_in_its_run_and_taken_back_later(tmp_path):
    losses = [3.0, 2.9, np.inf, 2.8, 2.75, 2.7]
    steps = [1, 2, 3, 2, 3, 4]
    pd.DataFrame({"run_id": "a", "step": steps, "loss": losses}).to_csv("log.csv", index=False)
    found = read_logs(["log.csv"], database=tmp_path / "lab.duckdb")
    assert found.dropped == {"overlap after a restart": 2}
    assert found.frame[["n_points", "n_dropped"]].values.tolist() == [[6, 2]]
    kept = read_logs(
        ["log.csv"], Settings(keep=parse_keep(["overlap after a restart"])), database=tmp_path / "lab.duckdb"
    )
    assert kept.dropped == {"loss not finite": 1}, "the store judges all runs anew when the rules change"
    assert kept.frame[["n_points", "n_dropped"]].values.tolist() == [[6, 1]]


def test_rows_that_belong_to_no_run_or_say_nothing_are_counted():
    Path("log.csv").write_text("run_id,step,loss\na,1,3\n,2,2.9\na,2,2.8\n")
    assert read_logs(["log.csv"]).skipped == {"row without a run id": 1}
    Path("rows.csv").write_text("run_id,tokens,loss,note\na,1e9,3,x\n,,,y\n")
    assert read_logs(["rows.csv"]).skipped == {"row with nothing in it that is known": 1}


UNITS = {
    "throughput/total_gflops": (3.0, "flops", 3e9),
    "throughput/total petaflops": (3.0, "flops", 3e15),
    "total_flos": (3.0, "flops", 3.0),
    "throughput/mfu": (45.0, "mfu", 0.45),
    "mfu(%)": (1.25, "mfu", 0.0125),
    "mfu": (0.45, "mfu", 0.45),
    "MFU": (45.0, "mfu", 0.45),  # more than 1.5 is no fraction
    "throughput/tokens_per_second": (500.0, "tokens_per_second", 500.0),
    "throughput/device/tps": (500.0, "tokens_per_second", 8 * 500.0),
    "perf/per_device_tokens_per_sec": (500.0, "tokens_per_second", 8 * 500.0),
    "throughput/samples_per_sec": (2.0, "tokens_per_second", 2 * 2048.0),
    "elapsed time per iteration (ms)": (250.0, "step_seconds", 0.25),
}


@pytest.mark.parametrize("theirs", UNITS)
@pytest.mark.parametrize("form", ["table", "segment"])
def test_measures_come_in_our_units(theirs, form):
    value, ours, wanted = UNITS[theirs]
    rows = [{"step": step, "train/loss": 3.0 - step / 10, theirs: value} for step in (1, 2)]
    config = {"context_length": 2048, "n_accelerators": 8}
    if form == "table":
        source = Path("log.jsonl")
        source.write_text("".join(json.dumps(row) + "\n" for row in [{"config": config}, *rows]))
    else:
        history = [{"step": row["step"], "loss": row["train/loss"], theirs: value} for row in rows]
        source = Path("trainer_state.json")
        source.write_text(json.dumps({"best_metric": None, "epoch": 1, "log_history": history}))
    with held(None) as connection:
        read_logs(
            [source], Settings(constants={name: str(value) for name, value in config.items()}), database=connection
        )
        assert connection.execute(f"SELECT {ours} FROM points").fetchall() == [(wanted,)] * 2


def test_hours_of_attempts_that_failed_are_charged_by_their_clocks():
    steps = np.arange(1, 361)
    one = logged(np.full(360, 3.0), "train_loss", time=1.7e9 + 10.0 * steps, run_id="a", n_accelerators=8)
    one[:180].to_csv("first.csv", index=False)
    again = one[90:].assign(time=one["time"][90:] + 7200)
    again.to_csv("second.csv", index=False)
    row = read_logs(["first.csv", "second.csv"]).frame.iloc[0]
    assert (row["attempts"], row["gpu_hours"]) == (2, pytest.approx(8 * (180 + 270) * 10 / 3600))
