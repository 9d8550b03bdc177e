"""An import that is killed at any point leaves the last good state, and the next one goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from planner import store
from planner.encode import table_bytes
from planner.errors import InputError
from planner.logs.importing import read_logs
from planner.runs import read_runs

# Where an import is killed: a function of ours, right before it runs, and at which of its calls.
POINTS = {
    "before anything is loaded": ("planner.logs.importing", "load_bulk", 1),
    "between two tables": ("planner.logs.importing", "load_bulk", 2),
    "points loaded, none judged": ("planner.logs.importing", "judge", 1),
    "judged, not committed": ("planner.logs.importing", "table_of", 1),
    "committed, nothing noted": ("planner.store", "planner_version", "after commit"),
    "table written, folder not complete": ("planner.store.Folder", "finish", 1),
}
KILLED = """
import importlib, os, signal, sys
module, _, name = {module!r}.rpartition(".") if {module!r}.endswith("Folder") else ({module!r}, "", "")
owner = getattr(importlib.import_module(module), name) if name else importlib.import_module(module)
asked, calls = {call!r}, 0
wanted = getattr(owner, {function!r})
import planner.cli.import_folder as folder
committed = False
imported = folder.import_logs

def imports(*args, **kwargs):
    global committed
    found = imported(*args, **kwargs)
    committed = True
    return found

def killed(*args, **kwargs):
    global calls
    calls += 1
    if calls == asked or (asked == "after commit" and committed):
        os.kill(os.getpid(), signal.SIGKILL)
    return wanted(*args, **kwargs)

folder.import_logs = imports
setattr(owner, {function!r}, killed)
from planner.cli.app import main
main(["import", "logs", "-o", "out"])
"""


@pytest.fixture(autouse=True)
def _in_its_own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "logs").mkdir()
    write(100)


def write(steps):
    """The same runs, logged up to a step, as csv and as parquet."""
    for name, kind in (("a", "csv"), ("b", "parquet")):
        rows = pd.DataFrame({"step": range(1, steps + 1), "train/loss": [4 - 0.01 * at for at in range(steps)]})
        with Path(f"logs/{name}.{kind}").open("wb") as file:
            file.write(table_bytes(rows, kind))


def dumped():
    with duckdb.connect("out/lab.duckdb") as connection:
        names = ("segments", "points", "finals", "runs", "sources")
        return {name: connection.execute(f"SELECT * FROM {name} ORDER BY ALL").fetchall() for name in names}


def killed_at(point):
    module, function, call = POINTS[point]
    code = textwrap.dedent(KILLED.format(module=module, function=function, call=call))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr


@pytest.mark.parametrize("point", POINTS)
def test_a_killed_import_leaves_the_last_good_state_and_the_next_goes_on(planner, point):
    assert planner("import", "logs", "-o", "out").code == 0
    before = dumped()
    write(200)
    killed_at(point)
    after = dumped()
    if point == "committed, nothing noted":
        assert len(after["points"]) == 400
        store.require_complete("out")  # with the table of the import before
    elif point == "table written, folder not complete":
        assert len(after["points"]) == 400
        with pytest.raises(InputError, match="half written"):
            store.require_complete("out")
    else:
        assert after == before
        store.require_complete("out")
    done = planner("import", "logs", "-o", "out", "--json")
    assert done.code == 0, done.err
    assert len(dumped()["points"]) == 400
    store.require_complete("out")
    whole = read_logs(["logs"]).frame.drop(columns="source")
    ours = read_runs("out/runs.csv").frame
    assert ours["train_loss"].astype(float).tolist() == whole["train_loss"].tolist()


@pytest.mark.parametrize("point", POINTS)
def test_a_first_import_that_is_killed_is_done_by_the_next(planner, point):
    killed_at(point)
    done = planner("import", "logs", "-o", "out", "--json")
    assert done.code == 0, done.err
    assert done.json["n_points"] == 200
    store.require_complete("out")


def test_kills_at_any_moment_never_harm_the_store(planner):
    """Twelve kills spread over the time that an import takes."""
    assert planner("import", "logs", "-o", "out").code == 0
    start = time.perf_counter()
    assert subprocess.run([sys.executable, "-m", "planner", "import", "logs", "-o", "other"]).returncode == 0
    seconds = time.perf_counter() - start
    for at in range(12):
        write(110 + at)
        process = subprocess.Popen(
            [sys.executable, "-m", "planner", "import", "logs", "-o", "out"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(seconds * (0.4 + 0.06 * at))
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        points = dumped()["points"]
        assert len({point[0] for point in points}) == 2 and len(points) % 2 == 0, "both files, or neither"
    assert planner("import", "logs", "-o", "out").code == 0
    assert len(dumped()["points"]) == 2 * 121
    store.require_complete("out")
