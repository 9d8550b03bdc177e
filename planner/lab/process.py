"""A worker process as the launcher holds it: ask, and wait for the answer or for its death."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

from planner.encode import to_json
from planner.errors import WorldError

WORKER = "planner.lab.local.worker"
TAIL = 2_000  # characters of a dead worker's last words


class Died(Exception):  # noqa: N818 - what became of a worker
    """The worker ended without an answer; its text says how."""


class Process:
    """One worker, with one thread for numbers."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start it and wait until it is ready. Raises WorldError, with its last words, when it does not start."""
        self._words = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        one = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [*command, str(os.getpid())], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._words,
            env={**os.environ, **one, **environment}, text=True, encoding="utf-8", bufsize=1,
        )  # fmt: skip
        self._asks, self._answers = self._process.stdin, self._process.stdout
        try:
            self._answer()
        except Died as died:
            self.close()
            raise WorldError(
                f"a worker does not start: {died}", "run its command by hand: " + " ".join(command)
            ) from None

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def ask(self, job: Mapping[str, object]) -> dict[str, Any]:
        """Its answer to a job; Died when it ends without one."""
        try:
            if self._asks:
                self._asks.write(to_json(job, indent=None) + "\n")
                self._asks.flush()
        except OSError:
            raise Died(self._how()) from None
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        line = self._answers.readline() if self._answers else ""
        if not line.endswith("\n"):
            raise Died(self._how())
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _how(self) -> str:
        """How it ended and what it said last."""
        code = self._process.wait()
        if code == -signal.SIGKILL:
            return "killed by signal 9 (by hand, or for want of memory)"
        self._words.seek(max(0, self._words.seek(0, os.SEEK_END) - TAIL))
        lines = self._words.read().decode("utf-8", errors="replace").strip().splitlines()
        how = f"ended by signal {-code}" if code < 0 else f"exit status {code}"
        return f"{how}: {lines[-1]}" if lines else how

    def kill(self) -> None:
        """Kill it: whoever waits for its answer learns of its death."""
        self._process.kill()

    def close(self) -> None:
        """Let it end: it does when there is nothing more to read."""
        for stream in (self._asks, self._answers):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        self._process.wait()
        self._words.close()
