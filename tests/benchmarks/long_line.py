"""A line of 1 GB in each kind of text that is read: `python tests/benchmarks/long_line.py [GB]`; target: 2 GiB, one clear line.

Each file holds good rows, the long line, and good rows again; it is imported by the command in a process of its own.
"""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

GB, TARGET_GIB = 10**9, 2.0
# Of each kind: a row, how the long line begins and how it ends.
KINDS = {
    "log.jsonl": (b'{"step": %d, "loss": 3.0}\n', b'{"step": 50, "note": "', b'"}\n'),
    "log.jsonl.gz": (b'{"step": %d, "loss": 3.0}\n', b'{"step": 50, "note": "', b'"}\n'),
    "log.csv": (b"%d,3.0\n", b'50,"', b'"\n'),
    "log.out": (b"[rank0]:step: %d  loss:  3.0000  grad_norm:  0.5  memory: 1.0GiB(2%%)  tps: 1,000\n", b"x", b"\n"),
    "trainer_state.json": (b" ", b'{"log_history": [{"step": 1, "loss": 3.0, "note": "', b'"}]}'),
}


def write(path: Path, size: int) -> None:
    """Stream the file, so that nothing large stands in memory here."""
    row, begin, end = KINDS[path.name]
    with gzip.open(path, "wb", compresslevel=1) if path.suffix == ".gz" else path.open("wb") as file:
        file.write(b"step,loss\n" if path.suffix == ".csv" else b"")
        file.writelines(row % at if b"%" in row else row for at in range(1, 50))
        file.write(begin)
        for _ in range(size >> 20):
            file.write(b"a" * (1 << 20))
        file.write(end)
        file.writelines(row % at if b"%" in row else row for at in range(51, 100))


def main(size: int) -> None:
    """Print what each import says, how long it took and what memory it needed."""
    print(
        f"a line of {size / GB:g} GB; target: <= {TARGET_GIB:g} GiB and one clear line; load {os.getloadavg()[0]:.1f}"
    )
    for name in KINDS:
        with tempfile.TemporaryDirectory() as place:
            path = Path(place) / name
            write(path, size)
            start = time.perf_counter()
            done = subprocess.run(
                [sys.executable, "-c", _CODE, str(path), str(Path(place) / "out")],
                capture_output=True,
                text=True,
                cwd=place,
            )
            seconds = time.perf_counter() - start
            *said, memory = (done.stdout + done.stderr).replace(place, "").strip().splitlines()
            assert "Traceback" not in done.stderr, done.stderr
            print(f"{name}: exit {done.returncode}, {seconds:.1f} s, {float(memory):.2f} GiB")
            print(
                "    "
                + "\n    ".join(line for line in said if "skipped" in line or "planner:" in line or "runs;" in line)
            )


_CODE = """
import resource, sys
from planner.cli.app import main
code = 0
try:
    main(["import", sys.argv[1], "-o", sys.argv[2]])
except SystemExit as ended:
    code = ended.code
sys.stdout.flush()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, file=sys.stderr)
sys.exit(code)
"""


if __name__ == "__main__":
    main(int(float(sys.argv[1]) * GB) if len(sys.argv) > 1 else GB)
