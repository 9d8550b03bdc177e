"""Commands in forked processes that have imported everything already, to be killed in the middle of their work.

with Forker() as forker:
    done = forker.run(["run", "sweep.toml"], cwd=folder, kill_after=0.3)
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

MODULES = ("planner.cli.app", "planner.cli.chain", "planner.cli.import_folder", "planner.report.page", "planner.sweep.plan",
           "matplotlib.figure", "matplotlib.backends.backend_svg", "planner.logs.importing")  # fmt: skip


@dataclass(frozen=True)
class Forked:
    """How a command ended: killed by us, or by itself with a code; its CPU seconds after the fork and its words on stderr."""

    killed: bool
    code: int
    seconds: float
    err: str


class Forker:
    """One process that forks a child for each command."""

    def __init__(self) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stdin.close()
        self._process.wait(60)
        self._process.stdout.close()

    def run(self, arguments: list[object], *, cwd: Path, kill_after: float | None = None) -> Forked:
        """One command to its end, or killed with SIGKILL after so many CPU seconds: wall time would miss on a busy machine."""
        asked = {"arguments": [str(word) for word in arguments], "cwd": str(cwd), "kill_after": kill_after}
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        return Forked(**json.loads(self._process.stdout.readline()))


def cpu_seconds(pid: int) -> float:
    """User and system seconds of a process and its threads, to a hundredth."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def serve() -> None:
    """Read commands from stdin, fork a child for each, answer how it ended."""
    from importlib import import_module

    for module in MODULES:
        import_module(module)
    for line in sys.stdin:
        asked = json.loads(line)
        said, told = os.pipe()
        child = os.fork()
        if not child:
            os.close(said)
            os.chdir(asked["cwd"])
            os.dup2(told, 2)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            sys.modules["planner.cli.app"].main(asked["arguments"])
            os._exit(99)
        os.close(told)
        status, killed = None, False
        limit = asked["kill_after"]
        while status is None:
            pid, ended, used = os.wait4(child, os.WNOHANG)
            if pid:
                status = ended
            elif limit is not None and not killed and cpu_seconds(child) >= limit:
                os.kill(child, signal.SIGKILL)
                killed = True
            else:
                time.sleep(0.002)
        killed = os.WIFSIGNALED(status)
        with os.fdopen(said, errors="replace") as words:
            err = words.read()[-3000:]
        code = -1 if killed else os.WEXITSTATUS(status)
        print(
            json.dumps({"killed": killed, "code": code, "seconds": used.ru_utime + used.ru_stime, "err": err}),
            flush=True,
        )


if __name__ == "__main__":
    serve()
