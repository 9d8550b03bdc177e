"""The launcher: every run once, in order, whatever dies."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny_plans import branch, row

from planner.errors import InputError, WorldError
from planner.lab.launch import Settings, launch, ordered
from planner.lab.local.places import Ending, Outcome, Places
from planner.lab.local.worker import held

WORKER = str(Path(__file__).with_name("noop_worker.py"))


def start(rows, folder, *, jobs=2, limit=None, command=(sys.executable, WORKER)):
    places = Places(Path(folder))
    order = ordered(rows, places, limit)
    return launch(order, rows, places, Settings(jobs, limit, command=command))


def asked(folder) -> dict[str, list[float]]:
    found = {}
    for file in (Path(folder) / "asked").iterdir():
        found[file.name] = [float(line.split()[0]) for line in file.read_text().splitlines()]
    return found


def test_every_run_is_trained_once_and_not_again(tmp_path):
    rows = [row(f"r{n}") for n in range(20)]
    first = start(rows, tmp_path)
    assert {run: outcome.status for run, outcome in first.outcomes.items()} == dict.fromkeys(
        (f"r{n}" for n in range(20)), Ending.COMPLETED
    )
    second = start(rows, tmp_path)
    assert not second.outcomes and second.skipped == {f"r{n}": "completed before" for n in range(20)}
    assert all(len(times) == 1 for times in asked(tmp_path).values())


def test_urgent_runs_come_first_and_trunks_before_their_branches(tmp_path):
    rows = [row("late", priority=3), branch("b", "t", steps=50, cooldown=10, priority=1), row("r", priority=2),
            row("t", priority=2, schedule="constant")]  # fmt: skip
    start(rows, tmp_path, jobs=1)
    times = asked(tmp_path)
    assert sorted(times, key=times.get) == ["t", "b", "r", "late"]


def test_one_bad_run_stops_no_other_and_its_branches_say_why(tmp_path):
    rows = [row("dies", does="die"), row("raises", does="raise"), row("diverges", does="diverge"),
            *(row(f"r{n}") for n in range(5)), branch("b", "diverges", steps=50, cooldown=10),
            branch("c", "nowhere", steps=50, cooldown=10)]  # fmt: skip
    done = start(rows, tmp_path)
    assert {run for run, outcome in done.outcomes.items() if outcome.status is Ending.COMPLETED} == {
        f"r{n}" for n in range(5)
    }
    assert done.failed["dies"].startswith("failed: its worker died 3 times: killed by signal 9")
    assert done.failed["raises"] == "failed: RuntimeError: out of memory: tried to allocate 1 TB"
    assert done.failed["diverges"] == "diverged: loss not finite"
    assert done.skipped["b"] == "its trunk diverges did not complete" and "not in the plan" in done.skipped["c"]
    assert not done.all_ended
    again = start(rows, tmp_path)  # failed runs are tried again, diverged ones are not
    assert set(again.outcomes) == {"dies", "raises"}
    assert again.skipped["b"] == "its trunk diverges diverged" and again.skipped["diverges"] == "diverged before"


def test_a_full_disk_stops_the_launch_and_the_next_one_goes_on(tmp_path):
    rows = [row("a"), row("b", does="disk"), row("c"), row("d")]
    with pytest.raises(WorldError, match="No space left on device"):
        start(rows, tmp_path, jobs=1)
    rows[1] = row("b")
    done = start(rows, tmp_path, jobs=1)
    assert set(done.outcomes) == {"b", "c", "d"} and done.skipped == {"a": "completed before"} and done.all_ended


def test_a_worker_that_does_not_start_is_told_once(tmp_path):
    with pytest.raises(WorldError, match="a worker does not start: exit status 1: no module named torch"):
        start([row(f"r{n}") for n in range(50)], tmp_path, command=(sys.executable, WORKER, "broken"))


def test_a_limit_takes_the_most_urgent_runs(tmp_path):
    rows = [
        row("late", priority=3),
        branch("b", "t", steps=50, cooldown=10),
        row("t", schedule="constant"),
        row("x", priority=1),
    ]
    done = start(rows, tmp_path, limit=2)
    assert set(done.outcomes) == {"x", "t"} and done.left == 2 and not done.all_ended
    assert set(start(rows, tmp_path, limit=1).outcomes) == {"b"}


def test_two_launchers_on_one_plan_train_no_run_twice(tmp_path):
    rows = [row(f"r{n}", sleep=0.02) for n in range(40)]
    context = multiprocessing.get_context("spawn")
    others = [context.Process(target=start, args=(rows, str(tmp_path))) for _ in range(2)]
    for other in others:
        other.start()
    start(rows, tmp_path)
    for other in others:
        other.join(60)
        assert other.exitcode == 0
    assert len(asked(tmp_path)) == 40 and all(len(times) == 1 for times in asked(tmp_path).values())


def test_a_run_that_another_process_holds_is_waited_for(tmp_path):
    places = Places(tmp_path)
    began = time.monotonic()
    with held(places.lock("r")) as ours:
        assert ours
        context = multiprocessing.get_context("spawn")
        other = context.Process(target=start, args=([row("r"), row("s")], str(tmp_path)))
        other.start()
        while not places.outcome("s"):
            time.sleep(0.05)
            assert time.monotonic() - began < 60
        time.sleep(0.3)
        assert "r" not in asked(tmp_path)
    other.join(60)
    assert other.exitcode == 0 and set(asked(tmp_path)) == {"r", "s"}


def test_a_lock_is_free_once_its_process_is_dead(tmp_path):
    code = (
        "import time\nfrom pathlib import Path\nfrom planner.lab.local.worker import held\n"
        f"with held(Path({str(tmp_path / 'lock')!r})) as ours:\n    print(ours is not None, flush=True)\n    time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "True\n"
    with held(tmp_path / "lock") as ours:
        assert not ours
    holder.kill()
    holder.wait()
    holder.stdout.close()
    with held(tmp_path / "lock") as ours:
        assert ours


def test_a_run_id_that_is_a_path_stays_in_the_folder(tmp_path):
    places = Places(tmp_path)
    for run_id in ("../../escape", "/etc/x", "a b", "..", "é" * 300):
        for path in (places.log(run_id), places.state(run_id), places.lock(run_id)):
            assert path.resolve().is_relative_to(tmp_path.resolve()) and len(path.name) < 200
            assert path.resolve() not in (tmp_path.resolve(), (tmp_path / "state").resolve())


def test_an_outcome_that_is_damaged_is_named(tmp_path):
    places = Places(tmp_path)
    places.write_outcome(Outcome("r", Ending.COMPLETED, 1.5))
    assert places.outcome("r") == Outcome("r", Ending.COMPLETED, 1.5)
    (places.state("r") / "outcome.json").write_text("{}")
    with pytest.raises(InputError, match="not an outcome"):
        ordered([row("r")], places)


def test_a_plan_with_a_run_twice_is_refused(tmp_path):
    with pytest.raises(InputError, match="has run r twice"):
        ordered([row("r"), row("r")], Places(tmp_path))
