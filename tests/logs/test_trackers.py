"""Trackers on a server: a real MLflow server on loopback, W&B's real client against a server that answers in W&B's words,
and servers that fail, hang or break off half way."""

from __future__ import annotations

import gzip
import http.server
import importlib.util
import json
import math
import re
import sys
import threading
import time
import urllib.request
from contextlib import contextmanager

import duckdb
import numpy as np
import pytest
from simulated import lab

from planner.errors import InputError, WorldError
from planner.logs import tracker
from planner.logs.detect import claims_of
from planner.logs.source import Source

pytestmark = pytest.mark.filterwarnings("ignore")  # those of the clients
SECRET = "hunter2secret"  # noqa: S105


def needs(package):
    return pytest.mark.skipif(
        importlib.util.find_spec(package) is None,
        reason=f"{package} is not installed: pip install 'scaling-planner[{package}]'",
    )


def read(uri):
    (claim,) = claims_of(Source.of(uri))
    return claim.reader.name, claim.reader.read(claim.parts)


@pytest.fixture
def impatient(monkeypatch):
    """Retries at once, and short time-outs."""
    monkeypatch.setattr(tracker, "WAITS", (0.0, 0.0))
    monkeypatch.setattr(tracker, "PATIENCE", 4.0)
    for name in ("MLFLOW_HTTP_REQUEST_TIMEOUT", "WANDB_HTTP_TIMEOUT"):
        monkeypatch.setenv(name, "1")


@contextmanager
def served(answer):
    """A server on loopback; `answer(path, body)` gives a status and bytes, None to hang, "half" to break off half way."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            self.reply(gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body)

        def do_GET(self):
            self.reply(b"")

        def reply(self, body):
            found = answer(self.path, body)
            if found is None:
                stop.wait(30)
                return
            status, out, kept = (200, b'{"runs": [', 4000) if found == "half" else (*found, len(found[1]))
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(kept))
            self.end_headers()
            self.wfile.write(out)

        def log_message(self, *_):
            pass

    stop = threading.Event()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        stop.set()
        server.shutdown()
        server.server_close()


# A real MLflow server


def test_a_real_mlflow_server_gives_what_its_store_holds(mlflow_server):
    uri, folder = mlflow_server
    name, log = read(uri)
    assert name == "mlflow_server"
    from_server = {segment.key: segment for segment in log.segments}
    _, stored = read(f"sqlite:///{folder / 'mlflow.db'}")
    from_store = {segment.key: segment for segment in stored.segments}
    assert from_server.keys() == from_store.keys() and len(from_store) == 4
    for key, ours in from_store.items():
        theirs = from_server[key]
        for field in ("name", "run_id", "status", "started", "ended", "config"):
            assert getattr(theirs, field) == getattr(ours, field), field
        assert theirs.history.keys() == ours.history.keys()
        for metric, one in ours.history.items():
            for field in ("step", "value", "time"):
                np.testing.assert_array_equal(getattr(theirs.history[metric], field), getattr(one, field))
    assert any(math.isnan(segment.history["train/loss"].value[-1]) for segment in from_server.values())


def dying(uri, histories):
    """Answers of the real server until so many histories were asked for, then 500."""
    asked = []

    def answer(path, body):
        asked.extend([path] if "get-history" in path else [])
        if len(asked) > histories:
            return 500, b"{}"
        headers = {"content-type": "application/json"}
        request = urllib.request.Request(uri + path, data=body or None, headers=headers)  # noqa: S310 - on loopback
        with urllib.request.urlopen(request, timeout=10) as found:  # noqa: S310
            return found.status, found.read()

    return answer


def test_a_server_that_dies_half_way_keeps_the_runs_before_it(mlflow_server, impatient):
    uri, _ = mlflow_server
    kept = []
    with served(dying(uri, 6)) as port:
        _, log = read(f"http://127.0.0.1:{port}")
        with pytest.raises(WorldError, match="after 3 tries"):
            for segment in log.segments:
                kept.append(segment)
    assert 1 <= len(kept) < 4


def test_an_import_from_a_dying_server_ends_with_3_and_keeps_what_was_read_but_no_password(
    mlflow_server, impatient, planner, tmp_path
):
    uri, _ = mlflow_server
    with served(dying(uri, 6)) as port:
        done = planner("import", f"http://user:{SECRET}@127.0.0.1:{port}", "-o", "lab", "--json")
    assert done.code == 3, done.err
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert SECRET not in done.out + done.err
    assert kept and not [path for path in kept if SECRET.encode() in path.read_bytes()]
    with duckdb.connect(str(tmp_path / "lab/lab.duckdb")) as base:
        assert 1 <= base.execute("SELECT count(*) FROM segments").fetchone()[0] < 4
    again = planner("import", uri, "-o", "lab", "--json")
    assert again.code == 0 and again.json["n_runs"] == 3


@needs("mlflow")
@pytest.mark.parametrize(
    "answer", [(500, b"{}"), (200, b"no json"), None, "half"], ids=["500", "nonsense", "hangs", "half"]
)
def test_an_mlflow_server_that_fails_is_a_world_error_without_its_password(impatient, answer, caplog):
    with served(lambda path, body: answer) as port:
        _, log = read(f"http://user:{SECRET}@127.0.0.1:{port}")
        started = time.monotonic()
        with pytest.raises(WorldError) as error:
            list(log.segments)
        assert time.monotonic() - started < 20
    told = f"{error.value.message} {error.value.hint} {caplog.text}"
    assert "did not answer after 3 tries" in told and SECRET not in told


@needs("mlflow")
def test_an_mlflow_server_that_refuses_is_asked_once(impatient):
    asked = []

    def answer(path, body):
        asked.append(path)
        return 403, b'{"error_code": "PERMISSION_DENIED", "message": "no"}'

    with served(answer) as port:
        _, log = read(f"http://127.0.0.1:{port}")
        with pytest.raises(InputError, match="refused"):
            list(log.segments)
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("package", "uri"),
    [("mlflow", "http://127.0.0.1:9"), ("wandb", "wandb://lab/scaling"), ("wandb", "https://wandb.ai/lab/scaling")],
)
def test_an_absent_client_is_one_line_that_installs_it(monkeypatch, package, uri):
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
    _, log = read(uri)
    with pytest.raises(InputError) as error:
        list(log.segments)
    assert error.value.hint == f"pip install 'scaling-planner[{package}]'" and package in error.value.message


@pytest.mark.parametrize("scheme", ["postgresql", "mysql+pymysql", "mssql"])
def test_a_database_of_mlflow_is_left_to_its_server_and_its_password_is_not_shown(scheme):
    _, log = read(f"{scheme}://user:{SECRET}@db.internal/mlflow")
    with pytest.raises(InputError, match="MLflow's own server opens") as error:
        list(log.segments)
    assert SECRET not in error.value.message + error.value.hint


# W&B


def wandb_words(runs, history=None):
    """Answers to the questions that wandb 0.31 asks of a server, for `runs` of the lab, newest W&B schema."""
    nodes = {run.name: _node(run) for run in runs}
    rows = {
        run.name: [
            {"_step": at, "_timestamp": moment, "global_step": step, "train/loss": loss, "train/lr": lr}
            for at, (step, moment, loss, lr, _) in enumerate(run.processes[0].rows())
        ]
        for run in runs
    }

    def answer(path, body):
        if not path.startswith("/graphql"):
            return 200, b"{}"
        question = json.loads(body)
        name = question.get("operationName") or re.search(r"query\s+(\w+)", question["query"])[1]
        asked = question.get("variables", {})
        if name in ("Viewer", "GetDefaultEntity"):
            return _data(
                viewer={
                    "id": "v",
                    "entity": "lab",
                    "username": "u",
                    "email": "e",
                    "flags": "{}",
                    "teams": {"edges": []},
                }
            )
        if name == "RunHistoryKeys":
            node = nodes[asked["name"]]
            return _data(project={"run": {"historyKeys": node["historyKeys"]}})
        if name == "RunParquetHistory":
            return _data(project={"run": {"parquetHistory": {"liveData": [], "parquetUrls": []}}})
        if name == "HistoryPage":
            if history is not None and (failed := history()) is not None:
                return failed
            page = rows[asked["run"]][asked["minStep"] : asked["maxStep"]]
            return _data(project={"run": {"history": [json.dumps(row) for row in page]}})
        if "Runs" in name:
            edges = [{"node": node, "cursor": key} for key, node in nodes.items()]
            found = {"edges": edges, "pageInfo": {"endCursor": "c", "hasNextPage": False}}
            return _data(project={"internalId": "1", "runCount": len(edges), "readOnly": True, "runs": found})
        return _data(project={"internalId": "1", "run": nodes.get(asked.get("name", ""))})

    return answer


def _node(run):
    config = {name: {"value": value, "desc": None} for name, value in run.config.items()}
    last = run.processes[0].steps.size - 1
    keys = {
        "train/loss": {"typeCounts": [{"type": "number", "count": last + 1}], "monotonic": False, "previousValue": 1}
    }
    return {
        "id": run.name, "name": run.name, "displayName": run.name, "tags": [], "sweepName": None, "state": "finished",
        "config": json.dumps(config), "group": None, "jobType": None, "commit": None, "readOnly": True, "projectId": "1",
        "createdAt": "2026-01-01T00:00:00Z", "heartbeatAt": "2026-01-01T01:00:00Z", "description": None, "notes": None,
        "systemMetrics": "{}", "summaryMetrics": json.dumps({"final_bpb": 0.9, "train/learning_rate": 3e-5, "_step": last}),
        "historyLineCount": last + 1,
        "historyKeys": {"lastStep": last, "sets": [], "keys": keys}, "user": {"name": "u", "username": "u"},
    }  # fmt: skip


def _data(**found):
    return 200, json.dumps({"data": found}).encode()


@needs("wandb")
def test_wandbs_api_gives_whole_histories(monkeypatch, wandb_key):
    runs = lab()[1:]
    with served(wandb_words(runs)) as port:
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{port}")
        name, log = read("wandb://lab/scaling")
        segments = list(log.segments)
    assert name == "wandb_server" and [segment.key for segment in segments] == [run.name for run in runs]
    for run, segment in zip(runs, segments, strict=True):
        loss = segment.history["train/loss"]
        np.testing.assert_array_equal(loss.step, run.processes[0].steps)
        np.testing.assert_array_equal(loss.value, run.processes[0].train_loss)
        assert segment.run_id == run.config["planner_run_id"] and segment.config["seq_length"] == 2048
        assert segment.summary == {"final_bpb": 0.9} and SECRET not in repr(segment)


@needs("wandb")
@pytest.mark.parametrize("failure", [(500, b"{}"), "half"], ids=["500", "half"])
def test_a_wandb_server_that_dies_half_way_keeps_the_runs_before_it(monkeypatch, wandb_key, impatient, failure):
    runs, asked, kept = lab()[1:], [], []
    monkeypatch.setattr(tracker, "PATIENCE", 8.0)

    def history():
        asked.append(1)
        return failure if len(asked) > 1 else None

    with served(wandb_words(runs, history)) as port:
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{port}")
        _, log = read("wandb://lab/scaling")
        with pytest.raises(WorldError) as error:
            for segment in log.segments:
                kept.append(segment)
    assert [segment.key for segment in kept] == [runs[0].name]
    assert "after 3 tries" in error.value.message and SECRET not in error.value.message


@needs("wandb")
def test_wandb_without_a_key_is_told_where_it_is(monkeypatch):
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    _, log = read("wandb://lab/scaling")
    with pytest.raises(InputError, match="no key") as error:
        list(log.segments)
    assert "WANDB_API_KEY" in error.value.hint


@pytest.mark.parametrize("uri", ["wandb://lab", "wandb://", "wandb:///x/y"])
def test_an_address_that_is_no_project_of_wandb_is_refused(uri):
    _, log = read(uri)
    with pytest.raises(InputError, match="no W&B address"):
        list(log.segments)


def test_a_question_is_asked_again_and_then_given_up(monkeypatch):
    monkeypatch.setattr(tracker, "WAITS", (0.0, 0.0, 0.0))
    tries = []

    def question():
        tries.append(1)
        if len(tries) < 3:
            raise ConnectionError(f"http://me:{SECRET}@host/x?api_key={SECRET} broke")
        return "answer"

    assert tracker.asked(question, "place", refused=lambda error: False) == "answer"
    tries[:] = [1] * -99
    with pytest.raises(WorldError) as error:
        tracker.asked(lambda: question() if len(tries) < 0 else _broken(), "place", refused=lambda error: False)
    assert SECRET not in error.value.message and "4 tries" in error.value.message


def _broken():
    raise ConnectionError(f"http://me:{SECRET}@host/x?api_key={SECRET}&token={SECRET} broke")


def test_a_client_that_hangs_is_left_behind(monkeypatch):
    monkeypatch.setattr(tracker, "WAITS", (0.0,))
    monkeypatch.setattr(tracker, "PATIENCE", 0.1)
    with pytest.raises(WorldError, match=r"no answer within 0\.1 seconds"):
        tracker.asked(lambda: time.sleep(5), "place", refused=lambda error: False)
