"""What a tracker's reader yields becomes the same table as files do; a tracker that fails half way leaves the rest."""

import numpy as np
import pandas as pd
import pytest
from test_import import by_run, same
from written import SETTINGS, histories, write

from planner.errors import InputError, WorldError
from planner.logs import detect
from planner.logs.arrays import points_of
from planner.logs.importing import read_logs
from planner.logs.normalise import columns_of
from planner.logs.segment import Log, Segment, Series
from planner.logs.source import Part


def segments():
    """The lab of `written.py` as a tracker holds it: one series a metric, each at the steps where it was logged."""
    for name, frame in histories().items():
        history = {}
        for metric in frame.columns.drop(["step", "_timestamp"]):
            there = frame[metric].notna() if metric.startswith("eval") else np.ones(len(frame), bool)
            rows = frame[there]
            history[metric] = Series(
                rows["step"].to_numpy(float), rows[metric].to_numpy(float), rows["_timestamp"].to_numpy(float)
            )
        yield Segment(key=name, place=f"tracker://{name}", config={"trainer": SETTINGS[name]}, history=history)


class Tracker:
    """A reader of addresses tracker://..., which fails after some segments."""

    name, reads = "tracker", "a tracker of this test"

    def __init__(self, fails_after=None):
        self.fails_after = fails_after

    def claim(self, source):
        return [Part(source)] if source.uri.startswith("tracker://") else []

    def read(self, parts):
        return Log(segments=self._segments())

    def _segments(self):
        for at, segment in enumerate(segments()):
            if at == self.fails_after:
                raise WorldError("tracker://: answered 500 four times", "try again later")
            yield segment


@pytest.fixture
def tracker(monkeypatch):
    def install(**settings):
        monkeypatch.setattr(detect, "READERS", (Tracker(**settings), *detect.READERS))

    return install


def test_segments_give_the_table_that_files_give(tracker, tmp_path):
    tracker()
    found, files = read_logs(["tracker://lab"]), read_logs([write("jsonl", tmp_path)])
    same(by_run(found), by_run(files))
    assert found.dropped == files.dropped


def test_segments_read_again_change_nothing(tracker, tmp_path):
    tracker()
    store = tmp_path / "lab.duckdb"
    first = read_logs(["tracker://lab"], database=store)
    again = read_logs(["tracker://lab"], database=store)
    assert (again.points, again.n_points) == (0, first.n_points)
    pd.testing.assert_frame_equal(again.frame, first.frame)


def test_a_tracker_that_fails_half_way_leaves_what_came_before_and_is_taken_up_again(tracker, tmp_path):
    store = tmp_path / "lab.duckdb"
    tracker(fails_after=3)
    half = read_logs(["tracker://lab", write("csv", tmp_path)], database=store)
    assert half.error is not None
    assert half.error.exit_code == 3
    assert sorted(half.frame["run_id"]) == sorted(histories())  # three of the tracker, all of the file
    tracker()
    whole = read_logs(["tracker://lab"], database=store)
    assert whole.error is None
    assert whole.points == sum(
        len(frame) for name, frame in histories().items() if name in ("diverged", "failed", "cut")
    )


def test_a_tracker_that_gives_nothing_is_its_own_error(tracker):
    tracker(fails_after=0)
    with pytest.raises(WorldError, match="answered 500"):
        read_logs(["tracker://lab"])


def points(history, **config):
    segment = Segment(key="k", place="p", history=history)
    return points_of(segment, columns_of(history, given={}), config)


def series(steps, values):
    return Series(np.asarray(steps, float), np.asarray(values, float))


def test_metrics_logged_at_different_steps_stand_beside_each_other():
    frame, _, _ = points({"train/loss": series([1, 2, 3, 4], [4, 3, 2, 1]), "val_loss": series([2, 4], [3.5, 1.5])})
    assert frame["step"].tolist() == [1, 2, 3, 4]
    assert frame["loss"].tolist() == pytest.approx([np.nan, 3.5, np.nan, 1.5], nan_ok=True)


def test_a_sparse_metric_belongs_to_the_last_lap_that_covers_its_step():
    dense = series([100, 200, 300, 400, 300, 400, 500], range(7))
    frame, _, _ = points({"train/loss": dense, "val_loss": series([200, 400], [3.5, 1.5])})
    assert frame["step"].tolist() == [100, 200, 300, 400, 300, 400, 500]
    assert frame["loss"].dropna().index.tolist() == [1, 5]


def test_samples_need_the_context_length_and_perplexity_becomes_nats():
    history = {"consumed samples": series([1, 2], [10, 20]), "eval/perplexity": series([1, 2], [np.e, np.e**2])}
    frame, _, units = points(history, context_length=2048.0)
    assert frame["tokens"].tolist() == [20480, 40960]
    assert frame["loss"].tolist() == [1, 2]
    assert units["loss_unit"] == "nats_per_token"
    assert "tokens" not in points(history)[0]


def test_bits_per_byte_become_nats_where_the_bytes_per_token_are_known():
    history = {"val_bpb": series([1], [1.0])}
    frame, _, units = points(history, bytes_per_token=4.5)
    assert (frame["loss"].iloc[0], units["loss_unit"]) == (pytest.approx(4.5 * np.log(2)), "nats_per_token")
    frame, _, units = points(history)
    assert (frame["loss"].iloc[0], units["loss_unit"]) == (1.0, "bits_per_byte")


def test_the_same_units_come_out_of_bulk_tables(tmp_path):
    rows = [{"step": step, "consumed_samples": step * 10, "val_bpb": 1.0, "train/ppl": np.e, "mfu(%)": 40.0, "throughput(tps)": 5e3,
             "seq_len": 2048, "bytes_per_token": 4.5, "world_size": 8} for step in range(1, 5)]  # fmt: skip
    pd.DataFrame(rows).to_csv(tmp_path / "log.csv", index=False)
    from planner.logs.database import held

    with held(None) as connection:
        run = read_logs([tmp_path / "log.csv"], database=connection).frame.iloc[0]
        last = connection.execute("SELECT * FROM points ORDER BY step DESC").df().iloc[0]
    assert last["tokens"] == 4 * 10 * 2048
    assert last["loss"] == pytest.approx(4.5 * np.log(2))
    assert run["loss_unit"] == "nats_per_token"
    assert last["train_loss"] == pytest.approx(1)
    assert last["mfu"] == pytest.approx(0.4)
    assert last["tokens_per_second"] == 8 * 5e3


def test_parameters_are_counted_again_from_the_architecture_and_logged_flops_compared(tmp_path):
    shape = {"n_layers": 2, "d_model": 64, "n_heads": 4, "d_ff": 128, "vocab_size": 100}
    row = {"run_id": "a", "tokens": 1e6, "loss": 3.0, "flops": 1e15, **shape}
    pd.DataFrame([row]).to_csv(tmp_path / "runs.csv", index=False)
    found = read_logs([tmp_path / "runs.csv"])
    run = found.frame.iloc[0]
    # embedding and head 100 x 64 each; a layer: 4 x 64^2 attention, 3 x 64 x 128 MLP, two norms; one more norm
    assert run["params_total"] == 2 * 100 * 64 + 2 * (4 * 64**2 + 3 * 64 * 128 + 2 * 64) + 64
    assert run["flops"] == 6 * run["params_active"] * 1e6
    assert run["flops_logged"] == 1e15
    assert "differ by more than 10 %" in found.notes[-1]


def test_an_unknown_reader_is_named(tmp_path):
    with pytest.raises(InputError, match="is no reader"):
        from planner.logs.importing import Settings

        read_logs([write("csv", tmp_path)], Settings(reader="fax"))


@pytest.mark.parametrize("kind", ["csv", "tracker"])
def test_further_evaluation_sets_are_kept_apart(tracker, tmp_path, kind):
    from planner.logs.database import held

    values = {"eval/c4/loss": [3.0, 2.5], "eval/wiki/loss": [3.5, np.nan], "eval/c4/bpb": [1.0, 0.9]}
    pd.DataFrame({"step": [1, 2], **values}).to_csv(tmp_path / "log.csv", index=False)
    if kind == "csv":
        source = tmp_path / "log.csv"
    else:
        history = {name: series([1, 2], column) for name, column in values.items()}
        history["eval/wiki/loss"] = series([1], [3.5])
        one = Segment(key="k", place="tracker://x", history=history)
        tracker()
        detect.READERS[0]._segments = lambda: iter([one])
        source = "tracker://x"
    with held(None) as connection:
        found = read_logs([source], database=connection)
        evals = connection.execute("SELECT step, name, unit, value FROM evals ORDER BY name, step").fetchall()
    assert (found.frame["loss"].iloc[0], found.frame["loss_name"].iloc[0]) == (2.5, "eval/c4")
    assert evals == [
        (1, "eval/c4", "bits_per_byte", 1.0), (2, "eval/c4", "bits_per_byte", 0.9), (1, "eval/wiki", "nats_per_token", 3.5),
    ]  # fmt: skip
