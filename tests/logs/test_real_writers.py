"""What the packages themselves write in cases that the small lab does not have: resumed runs, nested metrics, NaN."""

from __future__ import annotations

import importlib.util
import math
import subprocess
import sys

import numpy as np
import pytest

from planner.logs.detect import claims_of
from planner.logs.source import Source

pytestmark = pytest.mark.filterwarnings("ignore")  # those of the packages


def needs(package):
    return pytest.mark.skipif(
        importlib.util.find_spec(package) is None, reason=f"{package} is not installed: pip install {package}"
    )


def read(path):
    (claim,) = claims_of(Source.of(str(path)))
    log = claim.reader.read(claim.parts)
    return claim.reader.name, list(log.segments), log.skipped


@needs("trackio")
def test_what_trackio_itself_writes_is_read(tmp_path):
    """In a process of its own: trackio starts threads that end with it."""
    program = (
        "import trackio\n"
        "trackio.init(project='lab', name='a', config={'lr': 1e-3, 'model': {'dim': 8}, 'planner_run_id': 'plan-a'})\n"
        "for step in range(5):\n"
        "    trackio.log({'train/loss': 3.0 - step if step != 2 else float('nan'), 'top': {'inner': step}}, step=10 * step)\n"
        "trackio.finish()\n"
    )
    environment = {"TRACKIO_DIR": str(tmp_path), "HF_HUB_OFFLINE": "1", "PATH": "", "HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", program], env=environment, cwd=tmp_path, check=True, timeout=120)
    name, (segment,), skipped = read(tmp_path / "lab.db")
    assert name == "trackio" and not skipped
    assert segment.run_id == "plan-a" and segment.name == "a" and segment.config["model"] == {"dim": 8}
    loss = segment.history["train/loss"]
    np.testing.assert_array_equal(loss.step, [0, 10, 20, 30, 40])
    np.testing.assert_array_equal(loss.value, [3.0, 2.0, math.nan, 0.0, -1.0])
    assert segment.history["top.inner"].value.tolist() == [0, 1, 2, 3, 4] and segment.started <= segment.ended


@needs("wandb")
def test_a_resumed_run_of_wandb_is_one_run_of_two_segments(tmp_path):
    import wandb

    settings = wandb.Settings(mode="offline", silent=True, console="off")
    for first in (0, 5):
        run = wandb.init(
            project="lab", id="abcd1234", resume="allow", dir=str(tmp_path), settings=settings, config={"seed": 1}
        )
        for step in range(first, first + 5):
            run.log({"train/loss": 3.0 - step / 10, "top": {"inner": step}, "bad": math.nan}, step=step)
        run.finish(exit_code=0 if first else 1)
    name, segments, skipped = read(tmp_path)
    assert name == "wandb" and not skipped
    segments.sort(key=lambda segment: segment.started)
    assert [segment.key for segment in segments] == ["abcd1234"] * 2 and len({s.place for s in segments}) == 2
    assert [segment.status for segment in segments] == ["failed", "finished"]
    assert [segment.history["train/loss"].step.tolist() for segment in segments] == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]
    assert segments[0].history["top.inner"].value.tolist() == [0, 1, 2, 3, 4]
    assert np.isnan(segments[0].history["bad"].value).all() and segments[0].config["seed"] == 1


@needs("wandb")
def test_numbers_in_wandbs_records_are_those_that_the_reader_knows():
    """Field numbers are promises of a schema: the installed package's, against the reader's."""
    from wandb.proto import wandb_internal_pb2 as schema

    numbers = {
        "Record": {"history": 2, "summary": 3, "config": 5, "run": 17, "exit": 18, "environment": 26},
        "HistoryRecord": {"item": 1, "step": 2},
        "HistoryItem": {"key": 1, "nested_key": 2, "value_json": 16},
        "HistoryStep": {"num": 1},
        "SummaryRecord": {"update": 1},
        "SummaryItem": {"key": 1, "nested_key": 2, "value_json": 16},
        "ConfigRecord": {"update": 1},
        "ConfigItem": {"key": 1, "nested_key": 2, "value_json": 16},
        "RunRecord": {"run_id": 1, "config": 4, "display_name": 8, "start_time": 17},
        "RunExitRecord": {"exit_code": 1},
        "EnvironmentRecord": {"gpu_type": 18, "gpu_count": 19},
    }
    for message, known in numbers.items():
        fields = getattr(schema, message).DESCRIPTOR.fields_by_name
        assert {name: fields[name].number for name in known} == known, message


@needs("tensorboardX")
def test_hyperparameters_of_tensorboardx_are_read(tmp_path):
    from tensorboardX import SummaryWriter

    with SummaryWriter(str(tmp_path / "run")) as writer:
        writer.add_scalar("train/loss", 3.0, 1)
        writer.add_hparams({"d_model": 256, "optimizer": "adamw", "tied": True}, {"hparam/loss": 3.0})
    _, (segment,), _ = read(tmp_path)
    assert {name: segment.config[name] for name in ("d_model", "optimizer", "tied")} == {
        "d_model": 256.0,
        "optimizer": "adamw",
        "tied": True,
    }
    assert segment.history["train/loss"].value.tolist() == [3.0]


@needs("mlflow")
def test_a_deleted_run_of_mlflow_is_left_out_and_counted(tmp_path):
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}")
    experiment = client.create_experiment("lab")
    runs = [client.create_run(experiment).info.run_id for _ in range(2)]
    for run in runs:
        client.log_metric(run, "train/loss", math.inf, step=1)
        client.log_metric(run, "train/loss", math.nan, step=2)
        client.log_metric(run, "system/cpu", 1.0, step=2)
    client.delete_run(runs[0])
    _, (segment,), skipped = read(tmp_path / "mlflow.db")
    assert segment.key == runs[1] and skipped == {"a run that was deleted in MLflow": 1}
    assert list(segment.history) == ["train/loss"]
    np.testing.assert_array_equal(segment.history["train/loss"].value, [math.inf, math.nan])
