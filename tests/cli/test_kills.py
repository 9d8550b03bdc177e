"""`planner run`, `import` and `report` killed with SIGKILL at 50 random points, on a full disk, and under a wrong clock.

The processes are forked after their imports, and killed after a random share of the CPU time that they take, so that kills fall
into the work. What counts as the same: every file of the folder byte for byte, but for times, arguments and the planner's commit
in provenance.json, and the rows of lab.duckdb, whose file may lay them out anew.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import time
from pathlib import Path

import duckdb
import pytest
from forked import Forker

from planner import store

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads CPU times from /proc")
KILLS = {"run": 16, "import": 24, "report": 10}
IN_A_ROW = 4  # kills before a command is let through and its folder looked at
LANDED = 0.5  # of the kills at least, in the middle of the command


@pytest.fixture(scope="module")
def forker():
    with Forker() as made:
        yield made


@pytest.fixture(scope="module")
def whole(forker, little_sweep, tmp_path_factory) -> Path:
    """The results folder of an undisturbed run."""
    folder = tmp_path_factory.mktemp("whole") / "results"
    done = forker.run(["run", little_sweep, "-o", folder], cwd=folder.parent)
    assert done.code == 0, done.err
    (folder.parent / "seconds").write_text(str(done.seconds))
    return folder


@pytest.fixture(scope="module")
def logs(tmp_path_factory) -> Path:
    """Curves of 40 runs, and then longer ones."""
    folder = tmp_path_factory.mktemp("logs")
    write_logs(folder / "logs", 400)
    write_logs(folder / "longer", 900)
    return folder


def write_logs(folder: Path, points: int) -> None:
    folder.mkdir()
    for run in range(40):
        lines = (
            {"run_id": f"r{run}", "step": step, "tokens": step * 1000, "eval/loss": 2 + 3 / (step + run), "params": 1e6 * (run + 1)}
            for step in range(1, points + 1)
        )  # fmt: skip
        (folder / f"r{run}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def state(folder: Path) -> dict[str, object]:
    """All that a folder holds; times, arguments and commit left out."""
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_dir():
            continue
        name = str(path.relative_to(folder))
        if name == store.PROVENANCE:
            record = json.loads(path.read_text())
            found[name] = {
                key: value
                for key, value in record.items()
                if key not in ("written", "reported", "arguments", "planner")
            }
        elif name == "lab.duckdb":
            found[name] = tables(path)
        else:
            found[name] = path.read_bytes()
    return found


def tables(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """The rows of every table, but for when they were read."""
    with duckdb.connect(str(path), read_only=True) as connection:
        names = [name for (name,) in connection.execute("SELECT table_name FROM duckdb_tables() ORDER BY 1").fetchall()]
        found = {}
        for name in names:
            columns = [row[0] for row in connection.execute(f"DESCRIBE {name}").fetchall() if row[0] != "imported"]
            found[name] = sorted(connection.execute(f"SELECT {', '.join(columns)} FROM {name}").fetchall(), key=repr)
        return found


def killed_and_started_again(forker, arguments, folder: Path, whole: Path, begin, kills: int, seconds: float) -> int:
    """Kill a command at random points of its life, let it through every few kills, compare; how many kills landed."""
    points, landed, seconds = random.Random(7), 0, max(seconds, 0.02)
    for number in range(kills):
        if number % IN_A_ROW == 0:
            begin()
        landed += forker.run(arguments, cwd=folder.parent, kill_after=points.uniform(0, seconds)).killed
        if number % IN_A_ROW == IN_A_ROW - 1 or number == kills - 1:
            done = forker.run(arguments, cwd=folder.parent)
            assert done.code == 0, done.err
            assert state(folder) == state(whole)
    return landed


def test_run_killed_at_random_points_ends_with_the_same_bytes(forker, little_sweep, whole, tmp_path):
    folder, seconds = tmp_path / "cut", float((whole.parent / "seconds").read_text())

    def begin():
        shutil.rmtree(folder, ignore_errors=True)

    landed = killed_and_started_again(
        forker, ["run", little_sweep, "-o", folder], folder, whole, begin, KILLS["run"], seconds
    )
    print(f"{landed} of {KILLS['run']} kills of `run` landed in the work")
    assert landed >= LANDED * KILLS["run"]


@pytest.mark.parametrize("again", [False, True], ids=["new folder", "longer logs"])
def test_import_killed_at_random_points_ends_with_the_same_rows(forker, logs, tmp_path, again):
    folder, whole, before, source = tmp_path / "cut", tmp_path / "whole", tmp_path / "before", tmp_path / "logs"
    shutil.copytree(logs / "logs", source)
    if again:
        assert forker.run(["import", source, "-o", before], cwd=tmp_path).code == 0
        shutil.copytree(logs / "longer", source, dirs_exist_ok=True)
        shutil.copytree(before, whole)
    undisturbed = forker.run(["import", source, "-o", whole], cwd=tmp_path)
    assert undisturbed.code == 0, undisturbed.err

    def begin():
        shutil.rmtree(folder, ignore_errors=True)
        if again:
            shutil.copytree(before, folder)

    kills = KILLS["import"] // 2
    landed = killed_and_started_again(
        forker, ["import", source, "-o", folder], folder, whole, begin, kills, undisturbed.seconds
    )
    print(f"{landed} of {kills} kills of `import` landed in the work")
    assert landed >= LANDED * kills


def test_report_killed_at_random_points_ends_with_the_same_bytes(forker, whole, tmp_path):
    folder, again = tmp_path / "cut", tmp_path / "again"
    shutil.copytree(whole, again)
    undisturbed = forker.run(["report", again], cwd=tmp_path)
    assert undisturbed.code == 0, undisturbed.err

    def begin():
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(whole, folder)

    landed = killed_and_started_again(
        forker, ["report", folder], folder, again, begin, KILLS["report"], undisturbed.seconds
    )
    print(f"{landed} of {KILLS['report']} kills of `report` landed in the work")
    assert landed >= LANDED * KILLS["report"]


@pytest.fixture
def small_disk(tmp_path):
    """A disk of its own, whose size is set in KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", place], capture_output=True).returncode:
        pytest.skip("no tmpfs can be mounted here (it needs root)")

    def sized(kib: int) -> Path:
        subprocess.run(["mount", "-o", f"remount,size={kib}k", place], check=True)
        return place

    yield sized
    subprocess.run(["umount", "-l", place], check=True)


def refused_for_lack_of_space(done, *, kind: int = 3) -> None:
    """One clear line and what to try, no traceback."""
    assert done.code == kind, done.err
    told = [line for line in done.err.splitlines() if not line.startswith("[")]
    assert len(told) == 2 and told[1].startswith("  try: "), done.err
    assert "space" in told[0].lower(), done.err


@pytest.mark.parametrize("kib", [12, 300])
def test_run_on_a_full_disk_says_so_and_goes_on_when_there_is_space(
    forker, little_sweep, whole, small_disk, tmp_path, kib
):
    folder = small_disk(kib) / "results"
    refused_for_lack_of_space(forker.run(["run", little_sweep, "-o", folder], cwd=tmp_path))
    assert not list(folder.rglob(".*")), "temporary files are left"
    small_disk(64_000)
    assert forker.run(["run", little_sweep, "-o", folder], cwd=tmp_path).code == 0
    assert state(folder) == state(whole)


def test_report_on_a_full_disk_keeps_the_old_pages(forker, whole, small_disk, tmp_path):
    folder = small_disk(64_000) / "results"
    shutil.copytree(whole, folder)
    before = state(folder)
    used = sum(-(-path.stat().st_size // 4096) * 4 for path in folder.rglob("*") if path.is_file())
    small_disk(used + 8)
    refused_for_lack_of_space(forker.run(["report", folder], cwd=tmp_path))
    assert state(folder) == before
    small_disk(64_000)
    assert forker.run(["report", folder], cwd=tmp_path).code == 0
    assert state(folder) == before


def test_import_on_a_full_disk_keeps_the_last_import(forker, logs, small_disk, tmp_path):
    folder, source, fresh = small_disk(64_000) / "runs", tmp_path / "logs", tmp_path / "whole"
    shutil.copytree(logs / "logs", source)
    assert forker.run(["import", source, "-o", folder], cwd=tmp_path).code == 0
    before = state(folder)
    shutil.copytree(logs / "longer", source, dirs_exist_ok=True)
    used = sum(-(-path.stat().st_size // 4096) * 4 for path in folder.rglob("*") if path.is_file())
    small_disk(used + 16)
    refused_for_lack_of_space(forker.run(["import", source, "-o", folder], cwd=tmp_path))
    small_disk(64_000)
    assert state(folder)["lab.duckdb"] == before["lab.duckdb"]
    assert forker.run(["import", source, "-o", folder], cwd=tmp_path).code == 0
    assert forker.run(["import", source, "-o", fresh], cwd=tmp_path).code == 0
    assert state(folder)[store.RUNS] == state(fresh)[store.RUNS]


def test_import_into_a_new_folder_on_a_full_disk_leaves_none(forker, logs, small_disk, tmp_path):
    place = small_disk(64)
    refused_for_lack_of_space(forker.run(["import", logs / "logs", "-o", place / "runs"], cwd=tmp_path))
    assert not (place / "runs").exists()


def test_a_clock_that_jumped_changes_nothing(forker, little_sweep, whole, logs, tmp_path):
    ahead, source = tmp_path / "ahead", tmp_path / "logs"
    shutil.copytree(whole, ahead)
    shutil.copytree(logs / "logs", source)
    record = json.loads((ahead / store.PROVENANCE).read_text())
    (ahead / store.PROVENANCE).write_text(json.dumps({**record, "written": "2199-01-01T00:00:00+00:00"}))
    assert forker.run(["import", source, "-o", tmp_path / "runs"], cwd=tmp_path).code == 0
    for future in (time.time() + 10**9, 1.0):
        for path in (*ahead.rglob("*"), *source.rglob("*")):
            os.utime(path, (future, future))
        assert forker.run(["report", ahead], cwd=tmp_path).code == 0
        assert forker.run(["run", little_sweep, "-o", ahead], cwd=tmp_path).code == 0
        assert forker.run(["import", source, "-o", tmp_path / "runs"], cwd=tmp_path).code == 0
        assert state(ahead) == state(whole)
