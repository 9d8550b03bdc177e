"""How long 1,000 TensorBoard runs of 1,000 steps take to import: our reader alone, the whole import, and TensorBoard's own reader.

    python tests/benchmarks/import_tensorboard.py [RUNS]

Three scalars a step, written by tensorboardX's SummaryWriter where it is installed (twenty runs, copied), else byte by byte.
Target: 60 s for the import, on two cores.
"""

from __future__ import annotations

import importlib.util
import math
import resource
import shutil
import sys
import tempfile
import time
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "logs"))

from encoded import event_file

from planner.logs.importing import read_logs
from planner.logs.readers.tensorboard import TensorBoard
from planner.logs.source import Source

STEPS, DISTINCT, TARGET = 1000, 20, 60.0


def write(folder: Path, runs: int) -> str:
    """`runs` folders of one event file each; returns what wrote them."""
    real = importlib.util.find_spec("tensorboardX") is not None
    for run in range(min(DISTINCT, runs)):
        (_written if real else _encoded)(folder / f"run{run:04d}", run)
    for run in range(DISTINCT, runs):
        shutil.copytree(folder / f"run{run % DISTINCT:04d}", folder / f"run{run:04d}")
    return "tensorboardX" if real else "tests/logs/encoded.py"


def _scalars(run: int) -> list[tuple[float, int, str, float]]:
    rows = []
    for step in range(1, STEPS + 1):
        for tag, value in (
            ("train/loss", 2 + run / 100 + 6 * step**-0.4),
            ("train/lr", 3e-4),
            ("throughput/mfu", 41.0),
        ):
            rows.append((1.78e9 + step, step, tag, value))
    return rows


def _written(folder: Path, run: int) -> None:
    from tensorboardX import SummaryWriter

    with SummaryWriter(str(folder)) as writer:
        for wall, step, tag, value in _scalars(run):
            writer.add_scalar(tag, value, step, walltime=wall)


def _encoded(folder: Path, run: int) -> None:
    folder.mkdir()
    (folder / "events.out.tfevents.1.host").write_bytes(event_file(_scalars(run)))


def _peers(folder: Path) -> float:
    """Seconds of TensorBoard's EventAccumulator for one run, every scalar kept."""
    warnings.simplefilter("ignore")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    started = time.perf_counter()
    for run in range(DISTINCT):
        accumulator = EventAccumulator(str(folder / f"run{run:04d}"), size_guidance={"scalars": 0}).Reload()
        assert all(len(accumulator.Scalars(tag)) == STEPS for tag in accumulator.Tags()["scalars"])
    return (time.perf_counter() - started) / DISTINCT


def main() -> None:
    """Write, read, import, compare; print the figures."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        writer = write(folder, runs)
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        print(f"{runs} runs x {STEPS} steps x 3 scalars, {size / 1e6:.0f} MB, written by {writer}")
        reader = TensorBoard()
        started = time.perf_counter()
        read = sum(
            one.value.size
            for segment in reader.read(reader.claim(Source.of(name))).segments
            for one in segment.history.values()
        )
        alone = time.perf_counter() - started
        print(f"reader alone            {alone:7.1f} s   {read:,} points, {read / alone / 1e6:.2f} million/s")
        started = time.perf_counter()
        logged = read_logs([name], database=folder / "lab.duckdb")
        whole = time.perf_counter() - started
        assert len(logged.frame) == runs and logged.n_points == runs * STEPS
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        verdict = "reached" if whole <= TARGET else "MISSED"
        print(f"import to the table     {whole:7.1f} s   target {TARGET:.0f} s: {verdict}; peak memory {peak:.2f} GiB")
        if importlib.util.find_spec("tensorboard") is not None:
            peer = _peers(folder)
            print(
                f"EventAccumulator        {peer * runs:7.1f} s   ({peer * 1e3:.0f} ms a run), {peer * runs / alone:.1f} times ours"
            )
        assert math.isfinite(whole)


if __name__ == "__main__":
    main()
