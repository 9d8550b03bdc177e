"""The same runs, written in each format by the tool's own writer or in its own words, are read back the same from all of them."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from formats import FORMATS
from simulated import BATCH, CONTEXT, STEPS, lab

from planner.logs.detect import claims_of
from planner.logs.importing import Settings, read_logs
from planner.logs.names import meaning
from planner.logs.readers import READERS
from planner.logs.source import Source

pytestmark = pytest.mark.filterwarnings("ignore")  # those of the packages that write


def read(folder):
    """Reader, segments and what was skipped, from a source that one reader reads."""
    (claim,) = claims_of(Source.of(str(folder)))
    log = claim.reader.read(claim.parts)
    return claim.reader.name, list(log.segments), log.skipped


def written(name, folder, runs):
    """The lab in a format; skipped where the package that writes it is not installed."""
    form = FORMATS[name]
    if form.package and importlib.util.find_spec(form.package) is None:
        pytest.skip(f"{form.package} is not installed: pip install {form.package}")
    form.write(folder, runs)
    return form


def series(segment, ours):
    """The metric of a segment that means `ours`, of the highest priority."""
    known = [(meaning(theirs, segment.dialect), theirs) for theirs in segment.history]
    found = [(name.priority, theirs) for name, theirs in known if name and name.ours == ours]
    return segment.history[min(found)[1]] if found else None


def started(segment):
    return (segment.started or 0.0, segment.attempt or 0, segment.name)


@pytest.mark.parametrize("name", FORMATS)
def test_the_same_segments_are_read_from_every_format(tmp_path, name):
    runs = lab()
    form = written(name, tmp_path, runs)
    reader, segments, skipped = read(tmp_path)
    assert reader == form.reader
    expected = [(run, process) for run in runs for process in run.processes if run.name not in form.lacks]
    if "overlap" in form.lacks:
        expected = expected[1:]
    assert len(segments) == len(expected)
    assert not {reason for reason in skipped if "cut" in reason or "damaged" in reason}
    for run, process in expected:
        segment = next(one for one in segments if matches(one, run, process, form))
        same(segment, run, process, form)


def matches(segment, run, process, form):
    """Whether a segment is this process of this run: by name, and by its first step."""
    return run.name in f"{segment.name} {segment.key}" and (
        "overlap" in form.lacks or len(run.processes) == 1 or first_step(segment, form) == process.steps[0]
    )


def first_step(segment, form):
    return series(segment, "train_loss").step[0] + (form.reader == "nemo")


def same(segment, run, process, form):
    steps, losses, rates = process.steps, process.train_loss, process.lr
    eval_steps, eval_loss = process.eval_steps, process.eval_loss
    if (
        "overlap" in form.lacks
    ):  # the state has the points of the first process up to the restart, then those of the second
        first = run.processes[0]
        kept = first.steps < steps[0] if len(run.processes) > 1 else np.zeros(first.steps.size, bool)
        steps, losses = np.append(first.steps[kept], steps), np.append(first.train_loss[kept], losses)
        rates = np.append(first.lr[kept], rates)
        early = first.eval_steps < process.steps[0] if len(run.processes) > 1 else np.zeros(first.eval_steps.size, bool)
        eval_steps, eval_loss = (
            np.append(first.eval_steps[early], eval_steps),
            np.append(first.eval_loss[early], eval_loss),
        )
    if "nan" in form.lacks:
        steps, losses, rates = steps[~np.isnan(losses)], losses[~np.isnan(losses)], rates[: steps.size]
    train = series(segment, "train_loss")
    shift = 1 if form.reader == "nemo" else 0  # NeMo's steps count from 0
    np.testing.assert_array_equal(train.step + shift, steps)
    np.testing.assert_allclose(train.value, losses, rtol=1e-6)
    if "eval" not in form.lacks:
        evaluated = series(segment, "loss")
        np.testing.assert_array_equal(evaluated.step + shift, eval_steps)
        np.testing.assert_allclose(evaluated.value, eval_loss, rtol=1e-6)
    if "lr" not in form.lacks:
        np.testing.assert_allclose(series(segment, "lr").value[: rates.size], rates, rtol=1e-6)
    if "time" not in form.lacks:
        times = [
            process.time(step) for step in process.steps[~np.isnan(process.train_loss) | ("nan" not in form.lacks)]
        ]
        np.testing.assert_allclose(train.time, times, atol=1e-3)
    if "id" not in form.lacks and form.reader not in ("nemo",):
        assert segment.run_id == run.config["planner_run_id"]


def test_the_settings_that_a_tool_prints_are_read(tmp_path):
    wanted = {
        "megatron": {"global_batch_size": BATCH, "seq_length": CONTEXT, "train_iters": STEPS, "world_size": 8},
        "nemo": {"global_batch_size": BATCH, "max_steps": STEPS},
        "torchtitan": {
            "training.global_batch_size": BATCH,
            "training.seq_len": CONTEXT,
            "training.steps": STEPS,
            "world_size": 8,
        },
        "nanochat": {
            "total_batch_size": BATCH * CONTEXT,
            "n_embd": 256,
            "num_params": 28_900_000,
            "num_iterations": STEPS,
        },
        "maxtext": {"max_target_length": CONTEXT, "learning_rate": 3e-4, "num_params": 29_000_000},
        "olmo_core": {"max_steps": STEPS},
    }
    for name, settings in wanted.items():
        folder = tmp_path / name
        folder.mkdir()
        FORMATS[name].write(folder, lab())
        for segment in read(folder)[1]:
            assert {key: segment.config.get(key) for key in settings} == settings, segment.place


def test_nemo_samples_are_put_right_where_the_printer_averaged_them(tmp_path):
    FORMATS["nemo"].write(tmp_path, lab())
    for segment in read(tmp_path)[1]:
        samples = segment.history["consumed_samples"]
        np.testing.assert_allclose(samples.value, (samples.step + 1) * BATCH)


def test_readers_have_names_of_their_own():
    names = [reader.name for reader in READERS]
    assert len(set(names)) == len(names)


def test_a_folder_of_several_formats_is_read_by_the_reader_of_each(tmp_path):
    for name in ("megatron", "torchtitan", "trainer_state", "trackio", "wandb_history"):
        (tmp_path / name).mkdir()
        FORMATS[name].write(tmp_path / name, lab())
    claims = {claim.reader.name: len(claim.parts) for claim in claims_of(Source.of(str(tmp_path)))}
    assert claims == {"megatron": 3, "torchtitan": 3, "trainer_state": 3, "trackio": 1, "wandb_export": 4}


@pytest.mark.parametrize("name", FORMATS)
def test_the_table_of_runs_is_the_same_from_every_format(tmp_path, name):
    """One row per run: final losses, steps, tokens and status; where the id did not travel, runs are known by their place."""
    form = written(name, tmp_path, lab())
    logged = read_logs([tmp_path], Settings(constants={"batch_tokens": str(BATCH * CONTEXT)}))
    table = logged.frame
    row_of = {run.name: table[table["run_id"].str.contains(run.name)] for run in lab()}
    for run, rows in row_of.items():
        if run in form.lacks or (run == "restarted" and form.reader == "wandb_export"):
            continue  # nothing in an export says that two files are one run
        (row,) = rows.to_dict("records")
        expected = EXPECTED[run]
        assert row["train_loss"] == pytest.approx(expected["train_loss"], rel=1e-6)
        if "eval" not in form.lacks:
            assert row["loss"] == pytest.approx(expected["loss"], rel=1e-6)
        if form.reader != "nemo" and "nan" not in form.lacks:
            assert row["tokens"] == expected["steps"] * BATCH * CONTEXT
        if "nan" not in form.lacks:
            assert row["status"] in expected["status"]
        if "lr" not in form.lacks and "nan" not in form.lacks:
            assert row["lr_last"] == pytest.approx(expected["lr"], rel=1e-6)
    if "nan" not in form.lacks:
        assert logged.dropped["loss not finite"] == 1
        assert logged.dropped.get("overlap after a restart", 0) == (0 if "overlap" in form.lacks else 9)


def _expected():
    """What a run's final row is, from the lab itself; 2 % of the training points make the final training loss."""
    found = {}
    for run in lab():
        last = run.processes[-1]
        first = run.processes[0]
        losses = np.append(first.train_loss[first.steps < last.steps[0]], last.train_loss)
        finite = losses[np.isfinite(losses)]
        found[run.name] = {
            "loss": last.eval_loss[-1], "train_loss": finite[-max(round(0.02 * finite.size), 1) :].mean(),
            "steps": last.steps[-1], "lr": last.lr[-1],  # those of a step whose loss is no number were spent too
            "status": {"diverged", "failed"} if run.name == "failed" else {"completed"},
        }  # fmt: skip
    return found


EXPECTED = _expected()
