"""This machine's processes: the same numbers as one process, whatever is killed, and none where they do not pay."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from jobs import drawn, kills, kills_once, quick, refuses

from planner.engines import carrying, here, opened, processes
from planner.errors import InputError, WorldError
from planner.laws.formula import make_law


def test_processes_give_the_numbers_of_one_process_in_order():
    with processes(2) as engine:
        for _ in range(2):
            np.testing.assert_array_equal(list(engine(drawn, range(20))), list(here(drawn, range(20))))


def test_small_work_stays_in_this_process_and_large_work_does_not(tmp_path):
    with processes(2) as engine:
        assert {pid for _, pid in engine(quick, range(100))} == {os.getpid()}
        assert list(engine(quick, [])) == []
        list(engine(drawn, range(12)))
        assert engine._executor is not None


def test_a_killed_process_is_replaced_and_loses_no_result(tmp_path):
    said: list[str] = []
    with processes(2, said.append) as engine:
        found = list(engine(kills_once, [(seed, str(tmp_path)) for seed in range(20)]))
    assert (tmp_path / "killed").exists()
    assert found == [float(np.random.default_rng(seed).normal()) for seed in range(20)]
    assert said == ["a worker process was killed: its work is done again"]


def test_work_that_kills_every_process_is_told_in_one_line():
    with processes(2) as engine, pytest.raises(WorldError, match="killed 3 times over the same work"):
        list(engine(kills, range(8)))


def test_an_error_of_the_work_is_the_works_own():
    with processes(2) as engine, pytest.raises(InputError, match="three is not allowed") as refused:
        list(engine(refuses, range(8)))
    assert refused.value.hint == "try four"


ORPHANS = """
import os, sys
sys.path.insert(0, sys.argv[1])
from jobs import drawn
from planner.engines import processes
with processes(2) as engine:
    for n, _ in enumerate(engine(drawn, range(1000))):
        if n == 8:
            print(*(p.pid for p in engine._executor._processes.values()), flush=True)
"""


def test_workers_end_when_their_parent_is_killed():
    parent = subprocess.Popen(
        [sys.executable, "-c", ORPHANS, str(Path(__file__).parent)], stdout=subprocess.PIPE, text=True
    )
    workers = [int(pid) for pid in parent.stdout.readline().split()]
    assert len(workers) == 2
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    began = time.monotonic()
    while any(_alive(worker) for worker in workers):
        assert time.monotonic() - began < 60
        time.sleep(0.05)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize(
    "name",
    ["", "threads", "processes:0", "processes:-1", "processes:9999", "dask", "dask://", "dask://host", "dask://host:0",
     "dask://host:99999", "dask://host:8786/x", "dask://u:p@host:8786", "tcp://host:8786", "tls://host:8786", "http://host:1",
     "dask://ho st:1", "dask://-x:1", "dask://host:8786\n", "inproc://x"],
)  # fmt: skip
def test_any_other_name_is_refused(name):
    with pytest.raises(InputError, match="is none that there is"), opened(name):
        pass


def test_a_law_made_while_the_program_runs_is_fitted_here():
    from planner.laws import Chinchilla

    with processes(2) as engine:
        assert carrying(engine, Chinchilla) is engine
        assert carrying(engine, make_law("E + A/params^a", {"params", "tokens"})) is here
