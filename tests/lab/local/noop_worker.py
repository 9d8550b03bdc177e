"""A worker that trains nothing: it notes that it was asked, sleeps as long as the plan says, or dies as the plan says."""

from __future__ import annotations

import os
import signal
import sys
import time

from planner.errors import WorldError
from planner.lab.local.places import Ending, Outcome
from planner.lab.local.worker import Job, quiet_stdout, serve


def train(job: Job) -> Outcome:
    asked = job.places.folder / "asked"
    asked.mkdir(exist_ok=True)
    with (asked / job.run_id).open("a") as file:
        file.write(f"{time.monotonic()} {os.getpid()}\n")
    time.sleep(float(job.row.get("sleep") or 0))
    match str(job.row.get("does") or ""):
        case "die":
            os.kill(os.getpid(), signal.SIGKILL)
        case "raise":
            raise RuntimeError("out of memory: tried to allocate 1 TB")
        case "disk":
            raise WorldError("/full/log.jsonl: cannot be written: No space left on device", "free some space")
        case "diverge":
            outcome = Outcome(job.run_id, Ending.DIVERGED, reason="loss not finite")
            job.places.write_outcome(outcome)
            return outcome
    outcome = Outcome(job.run_id, Ending.COMPLETED, loss=1.0)
    job.places.write_outcome(outcome)
    return outcome


if __name__ == "__main__":
    if sys.argv[1] == "broken":
        raise SystemExit("no module named torch")
    serve(train, sys.stdin, quiet_stdout())
