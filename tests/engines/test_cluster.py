"""A real Dask scheduler with real workers on this machine: the numbers of one process, whatever is killed."""

from __future__ import annotations

import json
import logging
import signal
import socket
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from jobs import drawn, kills_once, refuses, slow, traced
from running import run_planner
from truths import REPOSITORY

from planner.engines import here, opened
from planner.errors import InputError, WorldError

HERE = Path(__file__).parent
needs_dask = pytest.mark.skipif(
    subprocess.run([sys.executable, "-c", "import distributed"], capture_output=True).returncode != 0,
    reason="Dask is not installed (pip install 'scaling-planner[dask]')",
)


class Cluster:
    """A scheduler and workers, each a process of its own; none outlives the `with`, nor for long a test run that is killed."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.processes = folder, []

    def __enter__(self) -> Cluster:
        file = self.folder / "scheduler.json"
        self.scheduler = self.start(
            "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", file,
            "--idle-timeout", "300",
        )  # fmt: skip
        began = time.monotonic()
        while not file.exists() or not file.read_text():
            if self.scheduler.poll() is not None or time.monotonic() - began > 60:
                self.__exit__()
                pytest.fail("the scheduler did not start within 60 s")
            time.sleep(0.05)
        self.tcp = json.loads(file.read_text())["address"]
        self.address = self.tcp.replace("tcp://", "dask://")
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.wait(10)

    def start(self, what: str, *arguments: object) -> subprocess.Popen:
        """A command of Dask in the background."""
        process = subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.dask_{what}", *map(str, arguments)], cwd=HERE,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.processes.append(process)
        return process

    def worker(self) -> subprocess.Popen:
        """One more worker; it ends with its scheduler."""
        return self.start(
            "worker", self.tcp, "--nthreads", "1", "--no-nanny", "--no-dashboard", "--death-timeout", "60",
            "--local-directory", self.folder,
        )  # fmt: skip


def connected(to: Cluster, *arguments: object, **settings: float):
    """The engine of a cluster with limits of its own."""
    from planner.engines.cluster import cluster

    host, _, port = to.address.removeprefix("dask://").rpartition(":")
    return cluster(host, int(port), *arguments, **settings)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with Cluster(tmp_path_factory.mktemp("dask")) as made:
        made.worker(), made.worker()
        yield made


@needs_dask
def test_a_cluster_gives_the_numbers_of_one_process_in_order(cluster):
    with opened(cluster.address) as engine:
        np.testing.assert_array_equal(list(engine(drawn, range(30))), list(here(drawn, range(30))))


@needs_dask
def test_dasks_own_logs_are_silent_while_it_is_used_and_no_longer(cluster):
    import distributed  # noqa: F401 - it sets the levels

    logs = [logging.getLogger(name) for name in ("distributed", "distributed.client", "distributed.core")]
    with opened(cluster.address):
        assert not any(log.isEnabledFor(logging.ERROR) for log in logs)
    assert all(log.isEnabledFor(logging.ERROR) for log in logs)


@needs_dask
def test_a_worker_killed_in_the_middle_loses_no_result(cluster, tmp_path):
    extra = cluster.worker()
    with opened(cluster.address) as engine:
        engine._client.wait_for_workers(3)
        found = []
        for number in engine(kills_once, [(seed, str(tmp_path)) for seed in range(60)]):
            found.append(number)
            if len(found) == 12:
                extra.kill()
    cluster.worker()  # in the place of the one that its work killed
    assert (tmp_path / "killed").exists()
    assert found == [float(np.random.default_rng(seed).normal()) for seed in range(60)]


@needs_dask
def test_an_error_of_the_work_is_the_works_own(cluster):
    with opened(cluster.address) as engine, pytest.raises(InputError, match="three is not allowed") as refused:
        list(engine(refuses, range(8)))
    assert refused.value.hint == "try four"


@needs_dask
def test_assess_prints_the_same_bytes_on_every_engine(cluster, planner, tmp_path):
    text = (REPOSITORY / "sweeps/seven_b_on_64_gpus.toml").read_text()
    (tmp_path / "quick.toml").write_text(text.replace('kind = "scaling"', 'kind = "scaling"\ndesign = "ladder"'))
    asked = ("assess", "quick.toml", "--worlds", "2", "--designs", "ray", "--json", "--engine")
    said = [
        planner(*asked, "processes:1"),
        run_planner(*asked, "processes:2", cwd=tmp_path),  # of its own: processes are not forked beside Dask's threads
        planner(*asked, cluster.address),
    ]
    assert [one.code for one in said] == [0, 0, 0], [one.err for one in said]
    assert said[0].out == said[1].out == said[2].out
    assert "[1/" in said[2].err


@needs_dask
def test_a_certificate_and_a_backtest_are_the_same_on_every_engine(cluster):
    from truths import TRUTHS, noisy

    from planner.fitting.backtest import folds_of
    from planner.fitting.certify import certify
    from planner.fitting.recipe import choose_recipe
    from planner.fitting.solve import bootstrap
    from planner.runs.columns import Count
    from planner.runs.sample import Sample

    params, tokens, loss = (column[::2] for column in noisy(TRUTHS["besiroglu"], 0.01, 5))
    sample = Sample(params, tokens, loss, Count.ACTIVE, "", "", {}, ())
    recipe = choose_recipe("chinchilla")

    def made(engine):
        proof = certify("chinchilla", (params, tokens), loss, engine=engine, cell_limit=200)
        draws = bootstrap("chinchilla", (params, tokens), loss, engine=engine, resamples=6000)
        folds = folds_of(sample, recipe, engine=engine)
        assert folds
        return [proof.lowest, proof.profile.lowest, proof.bound.lower, proof.bound.cells, draws.tobytes(),
                *(fold.low.tobytes() + fold.error.tobytes() for fold in folds)]  # fmt: skip

    with opened(cluster.address) as dask, opened("processes:2") as two:
        assert made(here) == made(two) == made(dask)


@needs_dask
def test_workers_that_compute_with_something_else_are_refused(cluster, monkeypatch):
    from planner.engines import cluster as module

    monkeypatch.setattr(module, "fingerprint", lambda: "numpy 0.1")
    with opened(cluster.address) as engine, pytest.raises(WorldError, match=r"has Python .* this machine numpy 0\.1"):
        list(engine(drawn, range(3)))


@needs_dask
def test_a_scheduler_that_goes_away_is_one_line(tmp_path):
    said = []
    with (
        Cluster(tmp_path) as own,
        opened(own.address, said.append) as engine,
        pytest.raises(WorldError, match="the scheduler went away"),
    ):
        own.worker()
        for _ in engine(drawn, range(400)):
            own.scheduler.kill()
    assert said == [f"{own.address} has no workers yet: waiting for the first"]


@needs_dask
def test_a_worker_that_stops_loses_no_result_once_the_scheduler_misses_it(tmp_path, monkeypatch):
    monkeypatch.setenv("DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL", "1s")  # of Dask's 5 min; it takes 5 s at the least
    with Cluster(tmp_path) as own, opened(own.address) as engine:
        stopped, other = own.worker(), own.worker()
        engine._client.wait_for_workers(2)
        found = []
        for done in engine(traced, range(60)):
            found.append(done)
            if done[1] == stopped.pid and len({pid for _, pid in found}) == 2:
                stopped.send_signal(signal.SIGSTOP)
    assert [number for number, _ in found] == [float(np.random.default_rng(seed).normal()) for seed in range(60)]
    assert {pid for _, pid in found} == {stopped.pid, other.pid}


@needs_dask
def test_chunks_may_take_longer_than_a_scheduler_may_be_silent(cluster):
    with connected(cluster, silence=2) as engine:
        assert list(engine(slow, [3.0])) == [3.0]


@needs_dask
def test_the_loss_of_all_workers_is_told_and_the_next_one_goes_on(tmp_path):
    said = []

    def told(sentence: str) -> None:
        said.append(sentence)
        if "others" in sentence:
            own.worker()

    with Cluster(tmp_path) as own, connected(own, told, silence=5) as engine:
        only, found = own.worker(), []
        for done in engine(traced, range(40)):
            found.append(done)
            if len(found) == 10:
                only.kill()
    assert [number for number, _ in found] == [float(np.random.default_rng(seed).normal()) for seed in range(40)]
    assert said == [f"{own.address} has no workers yet: waiting for the first",
                    f"{own.address} has lost its workers: waiting for others"]  # fmt: skip


@needs_dask
def test_a_scheduler_that_stops_is_one_line(tmp_path):
    with Cluster(tmp_path) as own:
        own.worker()
        with (
            pytest.raises(WorldError, match="the scheduler has said nothing for 2 s") as ended,
            connected(own, silence=2) as engine,
        ):
            for _ in engine(drawn, range(400)):
                own.scheduler.send_signal(signal.SIGSTOP)
    assert ended.value.hint.startswith("see whether it is stopped")


@needs_dask
def test_an_address_where_nobody_or_somebody_else_answers_is_one_line(planner, monkeypatch):
    from planner.engines import cluster as module

    monkeypatch.setattr(module, "cluster", partial(module.cluster, patience=0.5))
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        for port in (deaf.getsockname()[1], 1):  # takes the connection and says nothing; takes none
            done = planner(
                "assess", REPOSITORY / "sweeps/seven_b_on_64_gpus.toml", "--engine", f"dask://127.0.0.1:{port}"
            )
            assert done.code == 3
            first, second = done.err.strip().split("\n")
            assert first == f"planner: dask://127.0.0.1:{port}: no Dask scheduler answers there within 0.5 s"
            assert second.startswith("  try: start `dask scheduler`")


def test_the_limits_are_those_of_the_docs():
    from planner.engines.cluster import PATIENCE
    from planner.engines.pulse import SILENCE

    text = (REPOSITORY / "docs/engines.md").read_text()
    assert f"exit 3 after {PATIENCE:g} s" in text
    assert f"exit 3 after {SILENCE:g} s" in text


def test_without_dask_it_is_one_line(planner, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    done = planner("assess", REPOSITORY / "sweeps/seven_b_on_64_gpus.toml", "--engine", "dask://127.0.0.1:8786")
    assert done.code == 2
    assert done.err == (
        "planner: --engine dask://127.0.0.1:8786 needs Dask, which is not installed\n"
        "  try: pip install 'scaling-planner[dask]'\n"
    )


def test_an_engine_that_is_none_is_told_before_any_work(planner):
    done = planner("assess", REPOSITORY / "sweeps/seven_b_on_64_gpus.toml", "--engine", "tcp://127.0.0.1:8786")
    assert done.code == 2
    assert "is none that there is" in done.err
